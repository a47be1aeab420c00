"""From a document to the bytes of an MDM or ORU, in microseconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from messaging_service.domain.errors import MessageFault, SettingInvalid
from messaging_service.domain.filing import Change
from messaging_service.epd.charset import fit
from messaging_service.epd.document import FilingDocument
from messaging_service.epd.lines import wrap
from messaging_service.epd.profile import Authority, EpdProfile, refuse_unknown_values
from messaging_service.epd.skeleton import build
from messaging_service.epd.skeleton_segments import Observation
from messaging_service.epd.text import LINE_BREAK, REPETITION, escape, one_line, split_lines
from messaging_service.epd.wording import LABELS, TRANSLITERATED, around_the_body, withdrawal

_TEXTS = (
    "control_id",
    "patient_name",
    "team_code",
    "team_name",
    "department",
    "author_name",
    "message_id",
    "document",
    "parent",
    "reason",
)
_OPEN = {name: f"\ue000{name}\ue001" for name in (*_TEXTS, "identifiers", "code", "label", "value", "sub_id")}
_TIMES = {"sent_at": "19010101010101+0000", "written_at": "19020202020202+0000"}
"""What stands in the skeleton's open places while hl7apy builds and checks it."""

_LONGEST_VALUE = 60_000
"""Characters of one OBX-5 (HL7 allows 65,536); a longer text goes on in the next OBX of the same code."""


class Parts(NamedTuple):
    """What a document puts into the skeleton, escaped; `skeleton.build` takes the same."""

    values: dict[str, str]
    identifiers: list[str]
    observations: list[Observation]


class Skeleton(NamedTuple):
    """A message with open places: up to the first OBX, and one OBX."""

    head: str
    observation: str


@dataclass(frozen=True, slots=True)
class DocumentTemplate:
    """A site's messages with open places. Compile once, render every document."""

    profile: EpdProfile
    _skeletons: Mapping[Change, Skeleton]
    _authorities: Mapping[str, str]

    @classmethod
    def compile(cls, profile: EpdProfile) -> DocumentTemplate:
        """Let hl7apy build and check the site's messages (tens of milliseconds each, once).

        Raises:
            SettingInvalid: names the field of the [epd] table that HL7, or this service, does not allow.
        """
        refuse_unknown_values(profile)
        authorities = {system: _cx_rest(given) for system, given in profile.known_authorities.items()}
        skeletons = {change: _skeleton(profile, authorities.values(), change) for change in Change}
        template = cls(profile, skeletons, authorities)
        template.refuse_settings_beyond_the_charset()
        return template

    def refuse_settings_beyond_the_charset(self) -> None:
        """Raise SettingInvalid when a name in the profile does not fit the profile's own character set."""
        texts = [text for skeleton in self._skeletons.values() for text in skeleton]
        try:
            "".join((*texts, *self._authorities.values())).encode(self.profile.codec)
        except UnicodeEncodeError as exc:
            raise SettingInvalid("[epd] charset: a name in this table does not fit it") from exc

    def render(self, document: FilingDocument) -> bytes:
        """The message in the profile's character set, segments ended by CR, without the MLLP frame.

        Raises:
            MessageFault: no identifier that the EPD knows, or a control id that MSH-10 does not hold.
        """
        values, identifiers, observations = self.parts(document)
        skeleton = self._skeletons[document.change]
        segments = [skeleton.head % {**values, "identifiers": REPETITION.join(identifiers)}]
        for number, (code, label, repetitions) in enumerate(observations, 1):
            value = REPETITION.join(repetitions)
            segments.append(
                skeleton.observation
                % {
                    "number": number,
                    "sub_id": number,
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
            "document": document.number,
            "parent": document.replaces or document.thread or "",
            "reason": document.reason,
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
        for code, text in self._texts(document):
            fitting, other_words = fit(text, self.profile.codec)
            changed |= other_words
            yield from self._observe(code, split_lines(fitting) if code == "BODY" else [one_line(fitting)])
        if changed:
            yield from self._observe("NOTE", [TRANSLITERATED])

    def _texts(self, document: FilingDocument) -> Iterator[tuple[str, str]]:
        if document.change is not Change.WITHDRAWN:
            yield from around_the_body(document)
            yield "BODY", document.body
        elif self.profile.is_result:
            yield from withdrawal(document)

    def _observe(self, code: str, lines: Sequence[str]) -> Iterator[Observation]:
        pieces = [escape(piece) for line in lines for piece in wrap(line, self.profile.max_line)]
        for batch in _batches(pieces):
            yield code, LABELS[code], [LINE_BREAK.join(batch)] if self.profile.text_as == "FT" else batch


def _skeleton(profile: EpdProfile, authorities: Iterable[str], change: Change) -> Skeleton:
    has_text = profile.is_result or change is not Change.WITHDRAWN
    observations = [(_OPEN["code"], _OPEN["label"], [_OPEN["value"]])] if has_text else []
    values = {**_OPEN, **_TIMES}
    if change is Change.NEW:
        build(profile, values, [f"1{rest}" for rest in authorities], observations)  # hl7apy judges the authorities
    head, found, rest = build(profile, values, [_OPEN["identifiers"]], observations, change).partition("\rOBX|1")
    return Skeleton(_slotted(f"{head}\r" if found else head), "OBX|%(number)d" + _slotted(rest))


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
