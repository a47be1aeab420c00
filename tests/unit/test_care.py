"""Care worked out of what the EPD told: the same for every order of coming."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from messaging_service.domain.care import CareChange, CareEvent, Interval, care_from

EVENTS = st.lists(
    st.builds(
        CareEvent,
        id=st.text("abcdef", min_size=4, max_size=4),
        tenant=st.just("t"),
        patient=st.sampled_from(("p", "q")),
        told=st.sampled_from(CareChange),
        at=st.integers(0, 6),
        visit=st.sampled_from(("", "V1", "V2")),
        teams=st.none() | st.lists(st.sampled_from(("cardiology", "internal")), unique=True).map(tuple),
        deceased_at=st.sampled_from((None, 0, 5)),
        care_ended=st.booleans(),
        appointment=st.sampled_from(("", "F1", "F2")),
        starts_at=st.integers(0, 9),
    ),
    max_size=12,
    unique_by=lambda event: event.id,
)


@given(EVENTS, st.randoms())
def test_any_order_of_coming_is_the_same_care(events: list[CareEvent], chance: object) -> None:
    """Shuffled, the events of a person's records come to the same."""
    shuffled = list(events)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert care_from(shuffled) == care_from(events)


def event(told: CareChange, at: int, visit: str = "V1", *teams: str) -> CareEvent:
    """An event of one visit."""
    return CareEvent(f"{told}{at}", "t", "p", told, at, visit, teams or None)


def test_a_teams_interval() -> None:
    """From the first visit that names it until none does; a later visit opens it again from the first beginning."""
    told = [
        event(CareChange.BEGUN, 1, "V1", "cardiology"),
        event(CareChange.BEGUN, 2, "V2", "cardiology", "internal"),
        event(CareChange.ENDED, 3, "V1"),
        event(CareChange.UPDATED, 4, "V2", "internal"),
    ]
    assert care_from(told[:3]).teams == {"cardiology": Interval(1, 0), "internal": Interval(2, 0)}
    assert care_from(told).teams == {"cardiology": Interval(1, 4), "internal": Interval(2, 0)}
    again = [*told, event(CareChange.BEGUN, 5, "V3", "cardiology")]
    assert care_from(again).teams["cardiology"] == Interval(1, 0)


def test_a_visit_that_ended_is_not_changed_any_more() -> None:
    """An update after the end, as billing sends them, treats nobody."""
    told = [
        event(CareChange.BEGUN, 1, "V1", "cardiology"),
        event(CareChange.ENDED, 2),
        event(CareChange.UPDATED, 3, "V1", "internal"),
    ]
    assert care_from(told).teams == {"cardiology": Interval(1, 2)}


def test_the_end_of_care_lasts_until_a_visit_begins() -> None:
    """A discharge with the tenant's code ends it, an update does not undo that, a new visit does."""
    ended = replace(event(CareChange.ENDED, 2), care_ended=True)
    assert care_from([ended, event(CareChange.UPDATED, 3, "")]).care_ended_at == 2
    assert care_from([ended, event(CareChange.BEGUN, 4, "V2", "internal")]).care_ended_at == 0
