"""Bytes of an EPD to a typed event, or to the reason why not. No I/O."""

from __future__ import annotations

from messaging_service.epd.inbound_care import ADT_EVENTS, SIU_EVENTS, read_admission, read_appointment
from messaging_service.epd.inbound_errors import Error, NotUnderstood, Where
from messaging_service.epd.inbound_events import Agreement, Inbound
from messaging_service.epd.inbound_header import Header, read_segments
from messaging_service.epd.inbound_replies import MDM_EVENTS, read_document, read_result, read_status
from messaging_service.epd.inbound_segments import Segments
from messaging_service.epd.inbound_values import moment


def read(raw: bytes, header: Header, agreed: Agreement, now: int) -> Inbound:
    """What the message says.

    When it happened is EVN-2, else MSH-7, else `now` (milliseconds).

    Raises:
        NotUnderstood: with the code of table 0357, the segment and the field.
    """
    message = read_segments(raw, header, charset=agreed.charset, processing_id=agreed.processing_id)
    kind, trigger = header.part(9), header.part(9, 2)
    at = _happened(message, agreed) or now
    if kind == "MDM" and trigger in MDM_EVENTS:
        return read_document(message, trigger, at, agreed)
    if kind == "MDM" and trigger == "T04" and (agreed.handled or agreed.read):
        return read_status(message, at, agreed)
    if kind == "ORU" and trigger == "R01":
        return read_result(message, at, agreed)
    if kind == "ADT" and trigger in ADT_EVENTS:
        return read_admission(message, trigger, at, agreed)
    if kind == "SIU" and trigger in SIU_EVENTS:
        return read_appointment(message, trigger, at, agreed)
    raise NotUnderstood(Error.EVENT if kind in ("MDM", "ORU", "ADT", "SIU") else Error.MESSAGE_TYPE, Where("MSH", 9))


def _happened(message: Segments, agreed: Agreement) -> int | None:
    event = message.find("EVN")
    recorded = moment(event, 2, agreed.zone) if event else None
    return recorded or moment(message.the("MSH"), 7, agreed.zone)
