"""From a document to the bytes of an MDM^T02, in microseconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from messaging_service.domain.errors import MessageFault, SettingInvalid
from messaging_service.epd.charset import fit
from messaging_service.epd.document import FilingDocument
from messaging_service.epd.lines import wrap
from messaging_service.epd.profile import Authority, EpdProfile, refuse_unknown_values
from messaging_service.epd.skeleton import Observation, build
from messaging_service.epd.text import LINE_BREAK, REPETITION, escape, one_line, split_lines
from messaging_service.epd.wording import LABELS, TRANSLITERATED, around_the_body

_TEXTS = (
    "control_id",
    "patient_name",
    "team_code",
    "team_name",
    "department",
    "author_name",
    "message_id",
    "parent",
)
_OPEN = {name: f"\ue000{name}\ue001" for name in (*_TEXTS, "identifiers", "code", "label", "value")}
_TIMES = {"sent_at": "19010101010101+0000", "written_at": "19020202020202+0000"}
"""What stands in the skeleton's open places while hl7apy builds and checks it."""

_LONGEST_VALUE = 60_000
"""Characters of one OBX-5 (HL7 allows 65,536); a longer text goes on in the next OBX of the same code."""


class Parts(NamedTuple):
    """What a document puts into the skeleton, escaped; `skeleton.build` takes the same."""

    values: dict[str, str]
    identifiers: list[str]
    observations: list[Observation]


@dataclass(frozen=True, slots=True)
class DocumentTemplate:
    """A site's MDM^T02 with open places. Compile once, render every document."""

    profile: EpdProfile
    _head: str
    _observation: str
    _authorities: Mapping[str, str]

    @classmethod
    def compile(cls, profile: EpdProfile) -> DocumentTemplate:
        """Let hl7apy build and check the site's message (tens of milliseconds, once).

        Raises:
            SettingInvalid: names the field of the [epd] table that HL7, or this service, does not allow.
        """
        refuse_unknown_values(profile)
        authorities = {system: _cx_rest(given) for system, given in profile.known_authorities.items()}
        observation = (_OPEN["code"], _OPEN["label"], [_OPEN["value"]])
        values = {**_OPEN, **_TIMES}
        build(profile, values, [f"1{rest}" for rest in authorities.values()], [observation])
        head, _, rest = build(profile, values, [_OPEN["identifiers"]], [observation]).partition("\rOBX|1")
        template = cls(profile, _slotted(head + "\r"), "OBX|%(number)d" + _slotted(rest), authorities)
        template.refuse_settings_beyond_the_charset()
        return template

    def refuse_settings_beyond_the_charset(self) -> None:
        """Raise SettingInvalid when a name in the profile does not fit the profile's own character set."""
        try:
            "".join((self._head, self._observation, *self._authorities.values())).encode(self.profile.codec)
        except UnicodeEncodeError as exc:
            raise SettingInvalid("[epd] charset: a name in this table does not fit it") from exc

    def render(self, document: FilingDocument) -> bytes:
        """The message in the profile's character set, segments ended by CR, without the MLLP frame.

        Raises:
            MessageFault: no identifier that the EPD knows, or a control id that MSH-10 does not hold.
        """
        values, identifiers, observations = self.parts(document)
        segments = [self._head % {**values, "identifiers": REPETITION.join(identifiers)}]
        for number, (code, label, repetitions) in enumerate(observations, 1):
            value = REPETITION.join(repetitions)
            segments.append(
                self._observation
                % {
                    "number": number,
                    "code": code,
                    "label": label,
                    "value": value,
                    "written_at": values["written_at"],
                }
            )
        return "".join(segments).encode(self.profile.codec)

    def parts(self, document: FilingDocument) -> Parts:
        """The document's values as they go into the skeleton. Raises as `render` does."""
        if len(document.control_id) > control_id_limit(self.profile.version):
            raise MessageFault("control-id-too-long", document.message_id, final=True)
        values = {
            "control_id": document.control_id,
            "patient_name": document.patient_name,
            "team_code": document.care_team_code,
            "team_name": document.care_team_name,
            "department": document.department_code,
            "author_name": document.author_name,
            "message_id": document.message_id,
            "parent": document.thread or "",
        }
        written = {name: self._field(text) for name, text in values.items()}
        written["sent_at"] = hl7_time(document.sent_at)
        written["written_at"] = hl7_time(document.written_at)
        return Parts(written, self._identifiers(document), list(self._observations(document)))

    def _field(self, text: str) -> str:
        return escape(one_line(fit(text, self.profile.codec)[0]))

    def _identifiers(self, document: FilingDocument) -> list[str]:
        known = [
            self._field(identifier.value) + self._authorities[identifier.system]
            for identifier in document.identifiers
            if identifier.system in self._authorities
        ]
        if not known:
            raise MessageFault("no-identifier-for-epd", document.message_id, final=True)
        return known

    def _observations(self, document: FilingDocument) -> Iterator[Observation]:
        changed = False
        for code, text in [*around_the_body(document), ("BODY", document.body)]:
            fitting, other_words = fit(text, self.profile.codec)
            changed |= other_words
            yield from self._observe(code, split_lines(fitting) if code == "BODY" else [one_line(fitting)])
        if changed:
            yield from self._observe("NOTE", [TRANSLITERATED])

    def _observe(self, code: str, lines: Sequence[str]) -> Iterator[Observation]:
        pieces = [escape(piece) for line in lines for piece in wrap(line, self.profile.max_line)]
        for batch in _batches(pieces):
            yield code, LABELS[code], [LINE_BREAK.join(batch)] if self.profile.text_as == "FT" else batch


def hl7_time(moment: datetime) -> str:
    """`moment` (aware) as HL7 writes it, to the second and with its offset (HL7 v2.5.1 §2A.22).

    Raises:
        ValueError: `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("an HL7 time stamp needs a time zone")
    return moment.strftime("%Y%m%d%H%M%S%z")


def control_id_limit(version: str) -> int:
    """How many characters MSH-10 holds: 20 before HL7 v2.6, 199 from there."""
    return 199 if version == "2.6" else 20


def _cx_rest(authority: Authority) -> str:
    """What follows CX-1: assigning authority and identifier type."""
    return f"^^^{'&'.join(map(escape, authority.assigning))}^{escape(authority.id_type)}"


def _slotted(er7: str) -> str:
    """hl7apy's text as a %-template: open places become slots."""
    template = er7.replace("%", "%%")
    for name, stand_in in {**_OPEN, **_TIMES}.items():
        template = template.replace(stand_in, f"%({name})s")
    return template


def _batches(pieces: Sequence[str]) -> Iterator[list[str]]:
    """`pieces` in groups that fit one OBX-5 each."""
    batch: list[str] = []
    size = 0
    for piece in pieces:
        taken = len(piece) + len(LINE_BREAK)
        if batch and size + taken > _LONGEST_VALUE:
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += taken
    yield batch
