"""Reading ADT and SIU: who treats, who died, which visit, which records are one."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import hl7apy.parser
import pytest

from messaging_service.domain.care import CareChange
from messaging_service.domain.message import Identifier
from messaging_service.epd.inbound import read
from messaging_service.epd.inbound_errors import NotUnderstood
from messaging_service.epd.inbound_events import Agreement, Inbound, PatientChanged, RecordsJoined, RecordsParted
from messaging_service.epd.inbound_header import Header
from messaging_service.epd.profile import EpdProfile
from tests.parts.epd_sender import LOCAL, admission, appointment

AGREED = Agreement(EpdProfile().authorities, "8859/1", "P", ZoneInfo("Europe/Amsterdam"))
OTHER = "5678^^^ZKH^PI"


def taken(message: str) -> Inbound:
    """What is read."""
    raw = message.encode()
    return read(raw, Header.of(raw), AGREED, 0)


def changed(message: str) -> PatientChanged:
    """The same, of one patient."""
    event = taken(message)
    assert isinstance(event, PatientChanged)
    return event


def milliseconds(*when: int) -> int:
    """A time in UTC."""
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


def test_an_admission_names_visit_ward_and_all_who_treat() -> None:
    """PV1-3, 7, and those in ROL and PRT that are added, none that is taken away."""
    more = "ROL|1|AD|PP|81^Smit\rROL|2|DE|PP|82^Bos\rPRT|1|AD||AP|83^Mol"
    event = changed(admission("A01", attending="77^Vries~78^Dam", more=more))
    assert (event.told, event.visit, event.person.name) == (CareChange.BEGUN, "V1", "Anna Jansen")
    assert event.treating == ("CARD", "77", "78", "81", "83")


@pytest.mark.parametrize(
    ("trigger", "told", "visit"),
    [
        ("A01", CareChange.BEGUN, "V1"),
        ("A04", CareChange.BEGUN, "V1"),
        ("A08", CareChange.UPDATED, "V1"),
        ("A03", CareChange.ENDED, "V1"),
        ("A28", CareChange.UPDATED, ""),
        ("A31", CareChange.UPDATED, ""),
    ],
)
def test_what_a_trigger_means(trigger: str, told: CareChange, visit: str) -> None:
    """A visit begins, changes or ends; a person's own data are about no visit."""
    event = changed(admission(trigger))
    assert (event.told, event.visit) == (told, visit)


@pytest.mark.parametrize(
    ("died", "dead", "expected"),
    [
        ("", "", None),
        ("", "N", 0),
        ("20260101", "Y", milliseconds(2025, 12, 31, 23)),
        ("20260101", "", milliseconds(2025, 12, 31, 23)),
        ("", "Y", milliseconds(2026, 5, 28, 10)),
        ('""', '""', None),
    ],
)
def test_death_is_said_taken_back_or_not_said(died: str, dead: str, expected: int | None) -> None:
    """PID-29 and 30; without a time it is that of the event."""
    assert changed(admission("A31", died=died, dead=dead)).deceased_at == expected


@pytest.mark.parametrize("trigger", ["A40", "A47"])
def test_joined_records(trigger: str) -> None:
    """MRG-1 goes on as PID-3."""
    event = taken(admission(trigger, mrg=OTHER, visit="", ward=""))
    assert isinstance(event, RecordsJoined)
    assert (event.loser.identifiers, event.survivor.identifiers) == (
        (Identifier("local", "5678"),),
        (Identifier("local", "1234"),),
    )


def test_parted_records() -> None:
    """A37 holds two PIDs."""
    event = taken(admission("A37", more=f"PID|||{OTHER}", visit="", ward=""))
    assert isinstance(event, RecordsParted)
    assert (event.one.identifiers[0].value, event.other.identifiers[0].value) == ("1234", "5678")


def test_a_moved_visit() -> None:
    """A45: the visit now is PID's, and was MRG's."""
    event = changed(admission("A45", mrg=OTHER))
    assert event.visit_was_of is not None
    assert (event.visit, event.visit_was_of.identifiers[0].value) == ("V1", "5678")


def test_appointments() -> None:
    """Made and moved with their start, in the hospital's zone where no offset is given; cancelled without."""
    event = changed(appointment("S12", "20260701100000"))
    assert (event.told, event.appointment, event.starts_at) == (CareChange.PLANNED, "AFS1", milliseconds(2026, 7, 1, 8))
    tq1 = appointment("S13", "").replace("PID|", "TQ1|1||||||20260702100000\rPID|")
    assert changed(tq1).starts_at == milliseconds(2026, 7, 2, 8)
    assert changed(appointment("S15", "")).told is CareChange.CANCELLED


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (admission("A40", mrg=LOCAL), ("205", "MRG", 1, 1)),
        (admission("A40"), ("100", "MRG", 0, 1)),
        (admission("A40", mrg="1234^^^ELDERS^XX"), ("101", "MRG", 1, 1)),
        (admission("A37"), ("101", "PID", 3, 1)),
        (admission("A37", more=f"PID|||{LOCAL}"), ("205", "PID", 3, 2)),
        (admission("A01", patient="111111111^^^NLMINBIZA^NNNLD"), ("102", "PID", 3, 1)),
        (admission("A08", died="gisteren"), ("102", "PID", 29, 1)),
        (admission("A99"), ("201", "MSH", 9, 1)),
        (appointment("S12", ""), ("101", "SCH", 11, 1)),
        (appointment("S12", "morgen"), ("102", "SCH", 11, 1)),
        (appointment("S12", "20260701", number=""), ("101", "SCH", 1, 1)),
        (appointment("S26", "20260701"), ("201", "MSH", 9, 1)),
    ],
)
def test_bad_input_has_a_defined_answer(message: str, expected: tuple[str, str, int, int]) -> None:
    """Code, segment, field and how-manieth segment for each."""
    with pytest.raises(NotUnderstood) as raised:
        taken(message)
    where = raised.value.where
    assert (raised.value.error, where.segment, where.field, where.sequence) == expected


def test_hl7apy_finds_the_same_visit() -> None:
    """What we read out of an admission is what hl7apy reads out of the same bytes."""
    message = admission("A01", attending="77^Vries", discharged_to="")
    parsed = hl7apy.parser.parse_message(message, find_groups=False)
    assert changed(message).visit == parsed.pv1.pv1_19.value
    assert parsed.pv1.pv1_7.value.partition("^")[0] in (changed(message).treating or ())
