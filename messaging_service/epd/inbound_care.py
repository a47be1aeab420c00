"""Patients' comings and goings: ADT and SIU (HL7 v2.5.1 §3.3, §10.4)."""

from __future__ import annotations

from messaging_service.domain.care import CareChange
from messaging_service.epd.inbound_errors import Error, NotUnderstood
from messaging_service.epd.inbound_events import Agreement, Inbound, PatientChanged, RecordsJoined, RecordsParted
from messaging_service.epd.inbound_segments import Segment, Segments
from messaging_service.epd.inbound_values import moment, person

_TOLD = {
    "A01": CareChange.BEGUN,
    "A03": CareChange.ENDED,
    "A04": CareChange.BEGUN,
    "A08": CareChange.UPDATED,
    "A28": CareChange.UPDATED,
    "A31": CareChange.UPDATED,
}
_ABOUT_NO_VISIT = frozenset(("A28", "A31"))
_JOINING = frozenset(("A40", "A47"))
ADT_EVENTS = frozenset((*_TOLD, *_JOINING, "A37", "A45"))
SIU_EVENTS = frozenset(("S12", "S13", "S14", "S15"))
_ATTENDING = (7, 8, 9, 17)
_UNNUMBERED = "-"
"""A visit of a sender that does not number them: then a patient has one at a time."""


def read_admission(message: Segments, trigger: str, at: int, agreed: Agreement) -> Inbound:
    """What an ADT says.

    Raises:
        NotUnderstood: something that is needed is missing, or a record is joined to itself.
    """
    if trigger in _JOINING:
        return _joined(message, at, agreed)
    if trigger == "A37":
        return _parted(message, at, agreed)
    pid, visit = message.the("PID"), message.find("PV1")
    told, number, treating = _TOLD.get(trigger, CareChange.BEGUN), "", None
    if trigger not in _ABOUT_NO_VISIT and visit is not None and not (trigger == "A08" and visit.text(2) == "N"):
        number, treating = visit.text(19) or _UNNUMBERED, _treating(message, visit)
    return PatientChanged(
        told=told,
        at=at,
        person=person(pid, agreed.authorities),
        visit=number,
        treating=treating if treating or told is CareChange.BEGUN else None,
        deceased_at=_deceased(pid, at, agreed),
        discharged_to=visit.text(36) if visit and told is CareChange.ENDED else "",
        visit_was_of=person(message.the("MRG"), agreed.authorities, 1) if trigger == "A45" else None,
    )


def read_appointment(message: Segments, trigger: str, at: int, agreed: Agreement) -> PatientChanged:
    """An appointment made, moved, changed (S12 to S14) or cancelled (S15). Raises as `read_admission`."""
    schedule = message.the("SCH")
    number = schedule.text(2) or schedule.required(1)
    starts_at = 0 if trigger == "S15" else _starts(message, schedule, agreed)
    return PatientChanged(
        told=CareChange.CANCELLED if trigger == "S15" else CareChange.PLANNED,
        at=at,
        person=person(message.the("PID"), agreed.authorities),
        appointment=number,
        starts_at=starts_at,
    )


def _starts(message: Segments, schedule: Segment, agreed: Agreement) -> int:
    """Where versions and vendors put it: TQ1-7, SCH-11.4, AIS-4."""
    for segment, field, component in ((message.find("TQ1"), 7, 1), (schedule, 11, 4), (message.find("AIS"), 4, 1)):
        if segment is not None and segment.text(field, component):
            found = moment(segment, field, agreed.zone, component)
            assert found is not None
            return found
    raise NotUnderstood(Error.MISSING, schedule.at(11))


def _treating(message: Segments, visit: Segment) -> tuple[str, ...]:
    """Codes of the ward, of the practitioners in PV1, and of those in ROL-4 and PRT-5 that are not taken away."""
    codes = [visit.text(3), visit.text(10)]
    codes += [value.text(1, 1) for number in _ATTENDING for value in visit.all(number)]
    codes += [role.text(4) for role in message.all("ROL") if role.text(2) != "DE"]
    codes += [part.text(5) for part in message.all("PRT") if part.text(2) != "DE"]
    return tuple(dict.fromkeys(code.strip() for code in codes if code.strip()))


def _deceased(pid: Segment, at: int, agreed: Agreement) -> int | None:
    died = moment(pid, 29, agreed.zone)
    said = pid.text(30)
    if said == "N":
        return 0
    if said == "Y" or died is not None:
        return died if died is not None else at
    return None


def _joined(message: Segments, at: int, agreed: Agreement) -> RecordsJoined:
    """A40 may join several pairs in HL7; here one at a time, as its senders do (a second MRG is refused)."""
    pid, merged = message.the("PID"), message.the("MRG")
    survivor, loser = person(pid, agreed.authorities), person(merged, agreed.authorities, 1)
    if set(survivor.identifiers) & set(loser.identifiers):
        raise NotUnderstood(Error.DUPLICATE_KEY, merged.at(1))
    return RecordsJoined(at, survivor, loser)


def _parted(message: Segments, at: int, agreed: Agreement) -> RecordsParted:
    pids = message.all("PID")
    if len(pids) != 2:
        message.the("PID")
        pids[0].missing(3)
    one, other = (person(pid, agreed.authorities) for pid in pids)
    if set(one.identifiers) & set(other.identifiers):
        raise NotUnderstood(Error.DUPLICATE_KEY, pids[1].at(3))
    return RecordsParted(at, one, other)
