"""The header of a message that came in: enough to answer it, whatever else is wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from messaging_service.epd.inbound_errors import Error, NotUnderstood, Where
from messaging_service.epd.inbound_segments import Delimiters, Segments, segment_name, split

VERSIONS = frozenset(("2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2"))
CODECS = {
    "ASCII": "ascii",
    "8859/1": "cp1252",
    "8859/15": "iso8859-15",
    "UNICODE UTF-8": "utf-8",
}
"""MSH-18 → codec. 8859/1 is read as browsers read it: its C1 controls are never meant, Windows' signs are."""

_LINE_END = re.compile(rb"[\r\n]")
_LONGEST_HEADER = 4_096
_LONGEST_CONTROL_ID = 199
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_C1 = re.compile("[\x80-\x9f]")


@dataclass(frozen=True, slots=True, repr=False)
class Header:
    """MSH with the bytes of each field as they came (as Latin-1), to be given back unchanged."""

    fields: tuple[str, ...]
    delimiters: Delimiters

    @classmethod
    def of(cls, raw: bytes) -> Header:
        """The header of a message.

        Raises:
            NotUnderstood: it does not begin with MSH, its delimiters are none, or it holds control characters, which
            would end our answer's segment or frame.
        """
        line = _LINE_END.split(raw[:_LONGEST_HEADER], maxsplit=1)[0].decode("latin-1")
        if not line.startswith("MSH"):
            raise NotUnderstood(Error.SEGMENTS, Where("MSH"))
        delimiters = Delimiters.of(line)
        if found := _CONTROL.search(line):
            raise NotUnderstood(Error.DATA_TYPE, Where("MSH", line[: found.start()].count(delimiters.field) + 1))
        first, *rest = line.split(delimiters.field)
        return cls((first, delimiters.field, *rest), delimiters)

    def raw(self, number: int) -> str:
        """A field as it came; empty when absent."""
        return self.fields[number] if number < len(self.fields) else ""

    def part(self, number: int, component: int = 1) -> str:
        """A component of a field's first repetition, as it came, without spaces around it."""
        parts = self.raw(number).partition(self.delimiters.repetition)[0].split(self.delimiters.component)
        return parts[component - 1].strip() if component <= len(parts) else ""

    @property
    def sender(self) -> str:
        """MSH-3, the sending application."""
        return self.raw(3)

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.raw(10)

    def codec(self, default: str) -> str:
        """How the message's bytes are to be read. Raises NotUnderstood for a character set of MSH-18 not known."""
        declared = self.part(18)
        if declared and declared not in CODECS:
            raise NotUnderstood(Error.TABLE_VALUE, Where("MSH", 18))
        return CODECS[declared or default]


def read_segments(raw: bytes, header: Header, *, charset: str, processing_id: str) -> Segments:
    """The segments of a message whose header holds what it must.

    `charset` (an MSH-18 value) holds where MSH-18 is empty; `processing_id` is the only MSH-11 that is taken.

    Raises:
        NotUnderstood: MSH-9 to 12 or 18 is missing or not supported; bytes that the character set does not have.
    """
    _require_header(header, processing_id)
    codec = header.codec(charset)
    try:
        text = raw.decode(codec)
        _refuse_controls(text, codec)
    except UnicodeDecodeError as problem:
        raise NotUnderstood(Error.DATA_TYPE, _where(raw, problem.start, header.delimiters)) from None
    return split(text, header.delimiters, codec)


def _require_header(header: Header, processing_id: str) -> None:
    if not header.control_id.strip():
        raise NotUnderstood(Error.MISSING, Where("MSH", 10))
    if len(header.control_id) > _LONGEST_CONTROL_ID:
        raise NotUnderstood(Error.DATA_TYPE, Where("MSH", 10))
    if not header.part(9) or not header.part(9, 2):
        raise NotUnderstood(Error.MISSING, Where("MSH", 9))
    if header.part(12) not in VERSIONS:
        raise NotUnderstood(Error.VERSION, Where("MSH", 12))
    if header.part(11) != processing_id:
        raise NotUnderstood(Error.PROCESSING_ID, Where("MSH", 11))


def _refuse_controls(text: str, codec: str) -> None:
    """8859/15 has signs where Windows' set has others; bytes that are neither were never meant as controls."""
    if codec == "iso8859-15" and (found := _C1.search(text)):
        raise UnicodeDecodeError(codec, b"", found.start(), found.end(), "control")


def _where(raw: bytes, place: int, delimiters: Delimiters) -> Where:
    """The segment and field that hold the byte at `place`."""
    before = re.split(rb"[\r\n]+", raw[:place])
    name = segment_name(before[-1][:3].decode("latin-1"))
    same = sum(line[:3] == before[-1][:3] for line in before)
    field = before[-1].count(delimiters.field.encode())
    return Where(name, field + (name == "MSH"), max(1, same))
