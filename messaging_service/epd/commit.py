"""Our commit to an application acknowledgement that came in (enhanced mode, HL7 v2.5.1 §2.9.3)."""

from __future__ import annotations

from datetime import datetime

from messaging_service.epd.acknowledgement import AckCode
from messaging_service.epd.inbound_answer import answer
from messaging_service.epd.inbound_errors import NotUnderstood
from messaging_service.epd.inbound_header import Header

_WANTS_A_COMMIT = ("AL", "SU")


def commit_to(acknowledgement: bytes, now: datetime) -> bytes | None:
    """The CA that MSH-15 of an application acknowledgement asks for; None where it asks for none. `now` is aware."""
    try:
        header = Header.of(acknowledgement)
    except NotUnderstood:
        return None
    return answer(header, AckCode.CA, now) if header.part(15) in _WANTS_A_COMMIT else None
