"""What a site agreed on with its EPD: the tenant's [epd.profile] table, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.filing import Change

RESULT = "ORU^R01"
VISIT_FIELDS = ("PV1-3", "PV1-7", "ROL")
RECIPIENT_FIELDS = (*VISIT_FIELDS, "TXA-5", "TXA-10", "TXA-23")
"""An ORU^R01 has no TXA. ROL is a segment after PV1 that MDM and ORU know by local agreement alone."""

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

    `correction` says how a filed text is corrected: T10 files a new document that replaces it, T08 edits it under its
    own number. `document_type` holds the components of TXA-2 (HL7 up to 2.6 knows one) or OBR-4. `max_line` is the
    longest line, in characters as shown, that the EPD takes. `recipient_fields` are the fields that carry the care
    team; none given, PV1-7 and TXA-5 as far as the message has them. `authorities` maps an identifier's system to who
    gave it out; other systems are not sent. `enhanced`: the EPD commits first (CA) and files, or refuses, later.
    """

    message: Literal["MDM^T02", "ORU^R01"] = "MDM^T02"
    correction: Literal["T08", "T10"] = "T10"
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
    recipient_fields: tuple[str, ...] | None = None
    enhanced: bool = False

    @property
    def codec(self) -> str:
        """Python's name of the character set in MSH-18."""
        return CODECS[self.charset]

    @property
    def is_result(self) -> bool:
        """Whether documents go as results, ORU^R01."""
        return self.message == RESULT

    @property
    def recipients(self) -> tuple[str, ...]:
        """The fields that carry the care team."""
        if self.recipient_fields is not None:
            return self.recipient_fields
        return ("PV1-7",) if self.is_result else ("PV1-7", "TXA-5")

    @property
    def answers_twice(self) -> bool:
        """Whether a commit (CA) is followed by an application acknowledgement of its own."""
        return self.enhanced and self.application_ack != "NE"

    @property
    def known_authorities(self) -> dict[str, Authority]:
        """The authorities whose identifiers are sent: without the BSN where the site does not take it."""
        return {system: authority for system, authority in self.authorities.items() if self.send_bsn or system != "bsn"}

    def trigger(self, change: Change) -> str:
        """MSH-9.2: of a result always R01."""
        if self.is_result:
            return "R01"
        return {Change.NEW: "T02", Change.CORRECTED: self.correction, Change.WITHDRAWN: "T11"}[change]

    @property
    def renumbers(self) -> bool:
        """Whether a correction is a document of its own (T10, HL7 v2.5.1 §9.5.10) and not the same one again."""
        return not self.is_result and self.correction == "T10"


def refuse_unknown_values(profile: EpdProfile) -> None:
    """Refuse what hl7apy cannot judge, because it is ours or because hl7apy does not look at it.

    Raises:
        SettingInvalid: names the field of the [epd] table.
    """
    fields_there_are = VISIT_FIELDS if profile.is_result else RECIPIENT_FIELDS
    checks = {
        f"message must be MDM^T02 or {RESULT}": profile.message in ("MDM^T02", RESULT),
        "correction must be T08 or T10": profile.correction in ("T08", "T10"),
        f"version must be one of {', '.join(VERSIONS)}": profile.version in VERSIONS,
        "processing_id must be P, T or D": profile.processing_id in ("P", "T", "D"),
        f"charset must be one of {', '.join(CODECS)}": profile.charset in CODECS,
        "text_as must be TX or FT": profile.text_as in ("TX", "FT"),
        f"max_line must be {SHORTEST_LINE} to {LONGEST_LINE}": SHORTEST_LINE <= profile.max_line <= LONGEST_LINE,
        "document_type needs a first component": bool(profile.document_type and profile.document_type[0]),
        f"recipient_fields must be of {', '.join(fields_there_are)}": bool(profile.recipients)
        and set(profile.recipients) <= set(fields_there_are),
        "authorities: no identifier is left that is sent": bool(profile.known_authorities),
        "accept_ack must not be NE when enhanced": not profile.enhanced or profile.accept_ack != "NE",
    }
    for demand, is_met in checks.items():
        if not is_met:
            raise SettingInvalid(f"[epd] {demand}")
