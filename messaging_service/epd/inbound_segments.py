"""HL7 v2 as it comes in: bytes to segments and fields, by the delimiters and character set of its own header.

Own and bounded, since hl7apy takes 12 ms a message, refuses LF line ends, ignores MSH-18 and never unescapes
(HL7 v2.5.1 §2.5.4, §2.6, §2.7, §2.15.9). Text is unescaped where it is asked for, after the split.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from messaging_service.epd.inbound_errors import Error, NotUnderstood, Where
from messaging_service.epd.text import unescape

MOST_SEGMENTS = 10_000
MOST_FIELDS = 500
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_SEQUENCE = re.compile(r"\\([^\\\r\n]*)\\")
_NULL = '""'


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @classmethod
    def of(cls, header: str) -> Delimiters:
        """Those of a line that begins with MSH; a fifth encoding character (2.7: truncation) is of no use here.

        Raises:
            NotUnderstood: not four different printable signs beside the field separator.
        """
        field, encoding = header[3:4], header[4:].partition(header[3:4] or " ")[0]
        signs = field + encoding
        printable = all("!" <= sign <= "~" and not sign.isalnum() for sign in signs)
        if len(encoding) not in (4, 5) or not printable or len(set(signs)) != len(signs):
            raise NotUnderstood(Error.DATA_TYPE, Where("MSH", 2 if field else 1))
        return cls(field, *encoding[:4])

    def meaning(self, text: str, codec: str) -> str:
        """`text` as a person reads it: escape sequences resolved, by these delimiters."""
        if self.escape not in text:
            return text
        if self != Delimiters():
            text = text.translate({ord("\\"): "\\X5C\\", ord(self.escape): "\\"})
            text = _SEQUENCE.sub(self._standard, text)
        return unescape(text, codec)

    def _standard(self, found: re.Match[str]) -> str:
        place = "FSRET".find(found[1]) if len(found[1]) == 1 else -1
        own = (self.field, self.component, self.repetition, self.escape, self.subcomponent)
        return f"\\X{ord(own[place]):02X}\\" if place >= 0 else found[0]


@dataclass(frozen=True, slots=True, repr=False)
class Value:
    """One repetition of a field."""

    raw: str
    delimiters: Delimiters
    codec: str

    def text(self, component: int = 0, subcomponent: int = 0) -> str:
        """All of it, one component or one subcomponent (from 1), unescaped; an explicit null is empty."""
        found = self.raw
        if component:
            found = _nth(found, self.delimiters.component, component)
        if subcomponent:
            found = _nth(found, self.delimiters.subcomponent, subcomponent)
        return "" if found == _NULL else self.delimiters.meaning(found, self.codec)

    def __bool__(self) -> bool:
        """Whether anything is there."""
        return self.raw not in ("", _NULL)


@dataclass(frozen=True, slots=True, repr=False)
class Segment:
    """One segment; `sequence` counts those of its name from 1."""

    name: str
    sequence: int
    fields: Sequence[str]
    delimiters: Delimiters
    codec: str

    def all(self, number: int) -> list[Value]:
        """The repetitions of a field, one empty one when it is absent."""
        raw = self.fields[number] if number < len(self.fields) else ""
        return [Value(part, self.delimiters, self.codec) for part in raw.split(self.delimiters.repetition)]

    def first(self, number: int) -> Value:
        """The first repetition."""
        return self.all(number)[0]

    def text(self, number: int, component: int = 1) -> str:
        """A component of the first repetition, without spaces around it."""
        return self.first(number).text(component, 1).strip()

    def required(self, number: int, component: int = 1) -> str:
        """The same. Raises NotUnderstood when it is empty."""
        return self.text(number, component) or self.missing(number)

    def missing(self, number: int) -> str:
        """Raise NotUnderstood for a required field."""
        raise NotUnderstood(Error.MISSING, self.at(number))

    def at(self, number: int) -> Where:
        """Where a field of this segment is."""
        return Where(self.name, number, self.sequence)


@dataclass(frozen=True, slots=True, repr=False)
class Segments:
    """A message's segments in their order."""

    segments: tuple[Segment, ...]

    def find(self, name: str) -> Segment | None:
        """The first of that name."""
        return next((segment for segment in self.segments if segment.name == name), None)

    def all(self, *names: str) -> list[Segment]:
        """Those of these names."""
        return [segment for segment in self.segments if segment.name in names]

    def the(self, name: str) -> Segment:
        """The one of that name: a second one may be text that broke out of its field.

        Raises:
            NotUnderstood: there is none, or more than one.
        """
        found = self.all(name)
        if len(found) != 1:
            raise NotUnderstood(Error.SEGMENTS, Where(name, 0, max(1, len(found))))
        return found[0]


def split(text: str, delimiters: Delimiters, codec: str) -> Segments:
    """Segments end with CR; a message without any CR may end them with LF, else LF is text.

    Raises:
        NotUnderstood: too many segments or fields, or a line that is no segment.
    """
    lines = [line.lstrip("\n") for line in text.split("\r" if "\r" in text else "\n")]
    lines = [line for line in lines if line]
    if len(lines) > MOST_SEGMENTS:
        raise NotUnderstood(Error.SEGMENTS, Where(segment_name(lines[MOST_SEGMENTS]), 0, MOST_SEGMENTS))
    counts: dict[str, int] = {}
    return Segments(tuple(_segment(line, counts, delimiters, codec, lines) for line in lines))


def segment_name(line: str) -> str:
    """The name of a segment, "" for a line that has none: somebody's text is not repeated in answers or logs."""
    return line[:3] if _NAME.fullmatch(line[:3]) else ""


def _segment(line: str, counts: dict[str, int], delimiters: Delimiters, codec: str, lines: list[str]) -> Segment:
    name = line[:3]
    counts[name] = counts.get(name, 0) + 1
    begins = line[3:4] in ("", delimiters.field)
    if not _NAME.fullmatch(name) or not begins or (name == "MSH" and line is not lines[0]):
        raise NotUnderstood(Error.SEGMENTS, Where(segment_name(line), 0, counts[name]))
    fields = line.split(delimiters.field)
    if len(fields) > MOST_FIELDS:
        raise NotUnderstood(Error.DATA_TYPE, Where(name, MOST_FIELDS, counts[name]))
    if name == "MSH":
        fields.insert(1, delimiters.field)
    return Segment(name, counts[name], fields, delimiters, codec)


def _nth(text: str, delimiter: str, number: int) -> str:
    parts = text.split(delimiter, number)
    return parts[number - 1] if number <= len(parts) else ""
