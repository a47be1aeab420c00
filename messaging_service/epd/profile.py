"""What a site agreed on with its EPD: the tenant's [epd] table, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from messaging_service.domain.errors import SettingInvalid

RECIPIENT_FIELDS = ("PV1-3", "PV1-7", "TXA-5", "TXA-10", "TXA-23")
VERSIONS = ("2.4", "2.5", "2.5.1", "2.6")
CODECS = {"8859/1": "iso8859-1", "8859/15": "iso8859-15", "UNICODE UTF-8": "utf-8"}
"""MSH-18 (HL7 table 0211) → Python's name for the same character set."""

SHORTEST_LINE, LONGEST_LINE = 20, 10_000


@dataclass(frozen=True, slots=True)
class Authority:
    """Who gave out an identifier: components of CX-4 (name, OID, "ISO") and CX-5, as ("ZKH",) and "PI"."""

    assigning: tuple[str, ...]
    id_type: str


def _dutch_authorities() -> Mapping[str, Authority]:
    return {"local": Authority(("ZKH",), "PI"), "bsn": Authority(("NLMINBIZA",), "NNNLD")}


@dataclass(frozen=True, slots=True)
class EpdProfile:
    """How one EPD wants its documents.

    `document_type` holds TXA-2's components (HL7 up to 2.6 knows one). `max_line` is the longest line, in
    characters as shown, that the EPD takes. `recipient_fields` are the fields that carry the care team.
    `authorities` maps an identifier's system to who gave it out; other systems are not sent.
    """

    version: Literal["2.4", "2.5", "2.5.1", "2.6"] = "2.5"
    sending_application: str = "MESSAGING"
    sending_facility: str = ""
    receiving_application: str = "EPD"
    receiving_facility: str = ""
    processing_id: Literal["P", "T", "D"] = "P"
    country: str = "NLD"
    charset: Literal["8859/1", "8859/15", "UNICODE UTF-8"] = "UNICODE UTF-8"
    document_type: tuple[str, ...] = ("PN",)
    confidentiality: str = "U"
    completion: str = "AU"
    patient_class: str = "O"
    text_as: Literal["TX", "FT"] = "TX"
    max_line: int = 1000
    send_bsn: bool = True
    authorities: Mapping[str, Authority] = field(default_factory=_dutch_authorities)
    accept_ack: str = "NE"
    application_ack: str = "AL"
    recipient_fields: tuple[str, ...] = ("PV1-7", "TXA-5")
    enhanced: bool = False

    @property
    def codec(self) -> str:
        """Python's name of the character set in MSH-18."""
        return CODECS[self.charset]

    @property
    def known_authorities(self) -> dict[str, Authority]:
        """The authorities whose identifiers are sent: without the BSN where the site does not take it."""
        return {system: authority for system, authority in self.authorities.items() if self.send_bsn or system != "bsn"}


def refuse_unknown_values(profile: EpdProfile) -> None:
    """Refuse what hl7apy cannot judge, because it is ours or because hl7apy does not look at it.

    Raises:
        SettingInvalid: names the field of the [epd] table.
    """
    unknown_fields = set(profile.recipient_fields) - set(RECIPIENT_FIELDS)
    checks = {
        "version": profile.version in VERSIONS,
        "processing_id": profile.processing_id in ("P", "T", "D"),
        "charset": profile.charset in CODECS,
        "text_as": profile.text_as in ("TX", "FT"),
        "max_line": SHORTEST_LINE <= profile.max_line <= LONGEST_LINE,
        "document_type": bool(profile.document_type and profile.document_type[0]),
        "recipient_fields": bool(profile.recipient_fields) and not unknown_fields,
        "authorities": bool(profile.known_authorities),
        "accept_ack": not profile.enhanced or profile.accept_ack != "NE",
    }
    for name, sound in checks.items():
        if not sound:
            raise SettingInvalid(f"[epd] {name}")
