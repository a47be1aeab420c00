"""A clinician's document: MDM^T02, T06, T08, T10, T11 and ORU^R01 (HL7 v2.5.1 §9.5, §7.3)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from messaging_service.epd.inbound_errors import Error, NotUnderstood, Where
from messaging_service.epd.inbound_events import (
    Agreement,
    ClinicianWrote,
    DocumentHandled,
    DocumentRead,
    NothingSaid,
    Told,
)
from messaging_service.epd.inbound_segments import Segment, Segments, Value
from messaging_service.epd.inbound_values import moment, name, person

_MDM_TOLD = {
    "T02": Told.WRITTEN,
    "T06": Told.WRITTEN,
    "T08": Told.CHANGED,
    "T10": Told.CHANGED,
    "T11": Told.WITHDRAWN,
}
MDM_EVENTS = frozenset(_MDM_TOLD)
LONGEST_TEXT = 1_000_000
_UNFINISHED = frozenset(("DI", "IN", "IP", "PA"))
"""TXA-17 (table 0271) of drafts; a patient reads only what its author has finished."""
_ORU_UNFINISHED = frozenset("IOPRSY")
_ORU_WITHDRAWN = frozenset("DWX")
"""OBR-25 (table 0123) and OBX-11 (table 0085): deleted, wrong (for another patient), cancelled."""
_STATUSES = frozenset("BCDFINOPRSUVWX")
"""OBX-11 (table 0085)."""
_PLAIN_TYPES = frozenset(("TX", "FT", "ST"))


def read_document(message: Segments, trigger: str, at: int, agreed: Agreement) -> ClinicianWrote:
    """The document of an MDM.

    T11 withdraws the document in TXA-12, T10 replaces the one in TXA-13, T08 changes the one in TXA-12; what
    TXA-13 names otherwise is answered.

    Raises:
        NotUnderstood: something that is needed is missing, or a draft.
    """
    txa = message.the("TXA")
    withdrawn = trigger == "T11" or txa.text(19) == "CA"
    if txa.text(17) in _UNFINISHED and not withdrawn:
        raise NotUnderstood(Error.TABLE_VALUE, txa.at(17))
    clinician = next((value for number in (9, 5, 22, 10) if (value := txa.first(number))), txa.first(9))
    parent = document_number(txa, 13) if txa.text(13) else ""
    return _wrote(
        message,
        agreed,
        told=Told.WITHDRAWN if withdrawn else _MDM_TOLD[trigger],
        document=document_number(txa, 12),
        replaces=parent if trigger == "T10" else "",
        parent=parent,
        placer=txa.text(14),
        at=at,
        written_at=moment(txa, 4, agreed.zone) or moment(txa, 6, agreed.zone) or at,
        clinician=clinician,
        codes=[txa.text(5), txa.text(10), txa.text(23)],
    )


def read_result(message: Segments, at: int, agreed: Agreement) -> ClinicianWrote:
    """The document that an ORU^R01 carries as text; its number is OBR-3. Raises as `read_document` does."""
    obr, orc = message.the("OBR"), message.find("ORC")
    results = message.all("OBX")
    marked = {obx.text(11) for obx in results}
    withdrawn = obr.text(25) == "X" or (bool(marked) and marked <= _ORU_WITHDRAWN)
    if obr.text(25) in _ORU_UNFINISHED and not withdrawn:
        raise NotUnderstood(Error.TABLE_VALUE, obr.at(25))
    holder = obr if agreed.placer == "OBR-2" else orc
    signed = next((value for obx in results if (value := obx.first(16))), obr.first(16))
    return _wrote(
        message,
        agreed,
        told=Told.WITHDRAWN if withdrawn else Told.CHANGED if obr.text(25) == "C" else Told.WRITTEN,
        document=document_number(obr, 3),
        replaces="",
        parent="",
        placer=holder.text(2) if holder else "",
        at=at,
        written_at=moment(obr, 22, agreed.zone) or moment(obr, 7, agreed.zone) or at,
        clinician=signed,
        codes=[obr.text(16)],
    )


def read_status(message: Segments, at: int, agreed: Agreement) -> DocumentHandled | DocumentRead | NothingSaid:
    """What an MDM^T04 says of the document in TXA-12 (HL7 v2.5.1 §9.5.4). Raises NotUnderstood."""
    txa = message.the("TXA")
    document, patient = document_number(txa, 12), person(message.the("PID"), agreed.authorities)
    if txa.text(17) in agreed.handled:
        return DocumentHandled(document, at, patient)
    return DocumentRead(document, at, patient) if txa.text(17) in agreed.read else NothingSaid()


def document_number(segment: Segment, number: int) -> str:
    """An EI: the number and, where there is one, who gave it out. Raises NotUnderstood when it is missing."""
    given_by = segment.text(number, 2)
    return segment.required(number) + (f"^{given_by}" if given_by else "")


def _wrote(
    message: Segments,
    agreed: Agreement,
    *,
    told: Told,
    document: str,
    replaces: str,
    parent: str,
    placer: str,
    at: int,
    written_at: int,
    clinician: Value,
    codes: list[str],
) -> ClinicianWrote:
    visit = message.find("PV1")
    wards = [visit.text(3), visit.text(3, 4), visit.text(10), visit.text(7)] if visit else []
    text, is_html = _text(message) if told is not Told.WITHDRAWN else ("", False)
    return ClinicianWrote(
        told=told,
        document=document,
        replaces=replaces,
        parent=parent,
        placer=placer,
        at=at,
        written_at=written_at,
        person=person(message.the("PID"), agreed.authorities),
        addressed=tuple(dict.fromkeys(code for code in [*wards, *codes] if code)),
        clinician=clinician.text(1, 1),
        name=name(clinician, family=2, given=3, prefix=6),
        role=_role(message, clinician),
        subject=_subject(message),
        text=text,
        is_html=is_html,
    )


def _role(message: Segments, clinician: Value) -> str:
    """What the clinician is: by the ROL that names the same person, else the degree in XCN-7."""
    code = clinician.text(1, 1)
    for role in message.all("ROL"):
        if code and role.text(4) == code:
            return role.text(3, 2) or role.text(3)
    return clinician.text(7, 1).strip()


def _is_subject(obx: Segment) -> bool:
    return obx.text(3) == "SUBJECT"


def _subject(message: Segments) -> str:
    return next((obx.first(5).text().strip() for obx in message.all("OBX") if _is_subject(obx)), "")


def _text(message: Segments) -> tuple[str, bool]:
    """What was written, a line for each repetition, and whether it is HTML.

    Raises:
        NotUnderstood: nothing was, or in a form that cannot be shown as text, or beyond a million characters, or it is
            cut by a delimiter that was not escaped.
    """
    for obx in message.all("OBX"):
        _require_whole(obx)
    shown = [obx for obx in message.all("OBX") if not _is_subject(obx)]
    if len(shown) == 1 and shown[0].text(2) == "ED":
        return _encapsulated(shown[0])
    lines = list(_lines(message))
    text = "\n".join(lines).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise NotUnderstood(Error.MISSING, Where("OBX", 5))
    if len(text) > LONGEST_TEXT:
        raise NotUnderstood(Error.DATA_TYPE, Where("OBX", 5))
    return text, False


def _require_whole(obx: Segment) -> None:
    """A field delimiter that nobody escaped would cut a text: the rest stands further on, and the status with it."""
    if obx.text(11) not in _STATUSES and (beyond := next((n for n in range(6, 11) if obx.text(n)), 0)):
        raise NotUnderstood(Error.DATA_TYPE, obx.at(beyond))


def _lines(message: Segments) -> Iterator[str]:
    for segment in message.all("OBX", "NTE"):
        if segment.name == "NTE":
            yield from (value.text() for value in segment.all(3))
        elif not _is_subject(segment):
            if segment.text(2) not in _PLAIN_TYPES:
                raise NotUnderstood(Error.TABLE_VALUE, segment.at(2))
            yield from (value.text() for value in segment.all(5))


def _encapsulated(obx: Segment) -> tuple[str, bool]:
    """Text or HTML in an ED (source^type^subtype^encoding^data); a PDF or an image cannot be shown here yet."""
    value = obx.first(5)
    kind, subtype, encoding = (value.text(part).upper() for part in (2, 3, 4))
    if kind != "TEXT" or subtype not in ("PLAIN", "HTML", "") or encoding not in ("A", "BASE64"):
        raise NotUnderstood(Error.TABLE_VALUE, obx.at(5))
    content = value.text(5)
    try:
        text = base64.b64decode(content, validate=True).decode("utf-8") if encoding == "BASE64" else content
    except (binascii.Error, UnicodeDecodeError):
        raise NotUnderstood(Error.DATA_TYPE, obx.at(5)) from None
    if not text.strip():
        raise NotUnderstood(Error.MISSING, obx.at(5))
    if len(text) > LONGEST_TEXT:
        raise NotUnderstood(Error.DATA_TYPE, obx.at(5))
    return text, subtype == "HTML"
