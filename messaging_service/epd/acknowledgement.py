"""Reading what the EPD answered, by hand and bounded (HL7 v2.5.1 §2.9.2, §2.15.5 ERR, §2.15.8 MSA).

The texts of an answer (MSA-3, ERR-8) are not kept: they may quote the patient.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from messaging_service.domain.errors import MessagingError

LONGEST_ACK = 65_536
_CODE = re.compile(r"[A-Za-z0-9._-]{1,20}")
_CONTROL_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,197}[\x21-\x7e])?")
_SEGMENT_END = re.compile(r"[\r\n]+")


class AckUnreadable(MessagingError):
    """The EPD's answer is no HL7 acknowledgement. Show the integrator of the EPD what its interface sends."""


class AckUnknown(MessagingError):
    """The document was sent, but no answer that belongs to it came: the EPD may or may not have it.

    What follows is the tenant's choice ([epd] on_unknown): send again under the same ids, or park.
    """

    def __init__(self, why: Unanswered, answer: bytes = b"") -> None:
        """`answer` is what came instead, for the evidence; it is kept out of the message and the repr."""
        super().__init__(why)
        self.why = why
        self.digest = digest(answer) if answer else None


class Unanswered(StrEnum):
    """Why an outcome is unknown."""

    TIMEOUT = "timeout"
    CLOSED = "closed"
    GARBLED = "garbled"
    MISMATCH = "mismatch"


class AckCode(StrEnum):
    """MSA-1 (HL7 table 0008): application (A) or commit (C), accept, error or reject."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The answer to one message: MSA-2, and the code of ERR-3 (before 2.5 that of ERR-1.4 or MSA-6).

    `error` is empty when there is none, and after an accept. `digest` is the SHA-256 of the bytes, in hex:
    the evidence that is kept.
    """

    code: AckCode
    control_id: str
    error: str
    digest: str


def digest(raw: bytes) -> str:
    """SHA-256 in hex: evidence of an answer without its text."""
    return hashlib.sha256(raw).hexdigest()


def told_of(raw: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2 as they stand there, found without reading the rest: enough to tell whose answer it is.

    Empty where there is no MSA behind an MSH, ended by CR or LF.
    """
    found = _msa(raw[3:4]).search(raw, 8) if raw[:3] == b"MSH" else None
    if found is None:
        return "", ""
    return found[1].decode("latin-1").strip(), (found[2] or b"").decode("latin-1").strip()


@cache
def _msa(separator: bytes) -> re.Pattern[bytes]:
    """MSA-1 and MSA-2 with that field separator, of which there are no more than there are bytes."""
    sign = re.escape(separator)
    value = rb"((?:(?!%b)[^\r\n]){0,256})" % sign
    return re.compile(rb"[\r\n]MSA%b%b(?:%b%b)?" % (sign, value, sign, value))


def parse_ack(raw: bytes) -> Acknowledgement:
    """Read an acknowledgement, without its MLLP frame; any delimiters, CR or LF line ends.

    Raises:
        AckUnreadable: longer than 64 KiB, no MSH, no MSA, an unknown code or no control id.
    """
    if len(raw) > LONGEST_ACK:
        raise AckUnreadable("too long")
    segments = [line for line in _SEGMENT_END.split(raw.decode("latin-1")) if line]
    if not segments or not segments[0].startswith("MSH") or len(segments[0]) < 8:
        raise AckUnreadable("no MSH")
    separator = segments[0][3]
    fields = {parts[0]: parts for parts in (line.split(separator) for line in reversed(segments[1:]))}
    code = _field(fields.get("MSA", []), 1)
    control_id = _field(fields.get("MSA", []), 2)
    if code not in AckCode.__members__:
        raise AckUnreadable("MSA-1")
    if not _CONTROL_ID.fullmatch(control_id):
        raise AckUnreadable("MSA-2")
    error = "" if code in ("AA", "CA") else _error_code(fields, segments[0])
    return Acknowledgement(AckCode(code), control_id, error, digest(raw))


def _field(segment: list[str], number: int) -> str:
    return segment[number].strip() if len(segment) > number else ""


def _error_code(fields: dict[str, list[str]], header: str) -> str:
    """The first error's code; what does not look like one may be text about the patient and is dropped."""
    component, repetition, subcomponent = header[4], header[5], header[7]
    error = fields.get("ERR", [])
    located = _first(_field(error, 1), repetition).split(component)
    found = (
        _first(_field(error, 3), repetition, component, subcomponent)
        or (_first(located[3], subcomponent) if len(located) > 3 else "")
        or _first(_field(fields.get("MSA", []), 6), repetition, component, subcomponent)
    )
    return found if _CODE.fullmatch(found) else ""


def _first(text: str, *separators: str) -> str:
    for separator in separators:
        text = text.partition(separator)[0]
    return text.strip()
