"""Our acknowledgement of a message that came in, in its sender's own delimiters (HL7 v2.5.1 §2.9.2, §2.15.5)."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from datetime import datetime

from messaging_service.epd.acknowledgement import AckCode
from messaging_service.epd.inbound_errors import TEXTS, Error, NotUnderstood, Where
from messaging_service.epd.inbound_header import Header
from messaging_service.epd.inbound_segments import Delimiters
from messaging_service.epd.render import hl7_time

_COMMIT = {AckCode.AA: AckCode.CA, AckCode.AE: AckCode.CE, AckCode.AR: AckCode.CR}
_OLD_ERR = ("2.2", "2.3", "2.3.1", "2.4")


def answer(header: Header | None, code: AckCode, now: datetime, problem: NotUnderstood | None = None) -> bytes:
    """The acknowledgement, without its frame. `header` None: there was none to be read. `now` is aware.

    AA: it is durable. AE: it is not understood and would not be next time. AR: not now, send it again later.
    A sender who asks for a commit acknowledgement alone (MSH-15 without MSH-16) gets CA, CE or CR.
    """
    known = header or Header(("MSH",), Delimiters())
    signs = known.delimiters
    segments = [_msh(known, code, now), ["MSA", _said(known, code), known.control_id]]
    if problem is not None:
        segments.append(_err(known, problem.error, problem.where))
    return "".join(signs.field.join(segment) + "\r" for segment in segments).encode("latin-1")


def _said(header: Header, code: AckCode) -> str:
    commit = header.part(15) not in ("", "NE") and header.part(16) in ("", "NE")
    return _COMMIT.get(code, code) if commit else code


def _msh(header: Header, code: AckCode, now: datetime) -> list[str]:
    signs = header.delimiters
    encoding = signs.component + signs.repetition + signs.escape + signs.subcomponent
    kind = signs.component.join(part for part in ("ACK", header.part(9, 2), "ACK") if part)
    own = b32encode(hashlib.sha256(f"{code} {'|'.join(header.fields)}".encode()).digest()).decode()[:20]
    parties = [header.raw(number) for number in (5, 6, 3, 4)]
    processing, version = header.raw(11) or "P", header.raw(12) or "2.5"
    charset = header.raw(18)
    tail = ["", "", "", "", "", charset] if charset else []
    return ["MSH", encoding, *parties, hl7_time(now), "", kind, own, processing, version, *tail]


def _err(header: Header, error: Error, where: Where) -> list[str]:
    signs = header.delimiters
    place = [where.segment, str(where.sequence), *([str(where.field)] if where.field else [])]
    if header.part(12) in _OLD_ERR:
        coded = signs.subcomponent.join((error, TEXTS[error], "HL70357"))
        return ["ERR", signs.component.join([*place, *([] if where.field else [""]), coded])]
    return ["ERR", "", signs.component.join(place), signs.component.join((error, TEXTS[error], "HL70357")), "E"]
