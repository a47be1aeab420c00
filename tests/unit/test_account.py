"""Accounts and representatives as pure rules: the closing clock, ages, and changes in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messaging_service.domain import account as accounts
from messaging_service.domain.account import Account, AccountState, Because, Rules, due_before
from messaging_service.domain.refusals import AccountClosed, RepresentativesFull, RepresentativeUnfit, TooYoung
from messaging_service.domain.representative import Kind, Representative, Standing, age_at, require_own_age

ZONE = ZoneInfo("Europe/Amsterdam")
RULES = Rules(28, ZONE, 2, False)
SEIN = Rules(28, ZONE, 1, True)
DAY = 86_400_000
OPEN = Account("p", "t", opened_at=1)


def ms(text: str) -> int:
    """A moment in the hospital's zone."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


def acts(kind: Kind = Kind.MENTOR, **changes: object) -> Representative:
    given = Representative("r", "actor", kind, signs_care_plan=True, first_contact=True, registered_at=1)
    return replace(given, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("over", "closing_on", "closes_at"), [
    ("2026-06-01T15:30", "2026-06-29", "2026-06-29T00:00"),
    ("2026-12-10T00:00", "2027-01-07", "2027-01-07T00:00"),
    ("2028-02-01T23:59", "2028-02-29", "2028-02-29T00:00"),
    ("2026-03-10T12:00", "2026-04-07", "2026-04-07T00:00"),
])  # fmt: skip
def test_the_clock_closes_at_the_start_of_the_day_it_named(over: str, closing_on: str, closes_at: str) -> None:
    """28 days on, at the hospital's midnight, over years, leap days and summer time."""
    account = replace(OPEN, care_over_at=ms(over))
    assert account.closing_on(RULES) == date.fromisoformat(closing_on)
    at = ms(closes_at)
    assert account.closes_at(RULES) == at
    assert account.state(RULES, at - 1) is AccountState.CLOSING
    assert account.state(RULES, at) is AccountState.CLOSED


def test_never_later_than_28_days_when_summer_time_ends() -> None:
    """Care over at midnight, the clock set back meanwhile: the day has begun by 28 times 24 hours, not an hour on."""
    over = ms("2026-10-01T00:00")
    assert replace(OPEN, care_over_at=over).closes_at(RULES) == over + 28 * DAY < ms("2026-10-29T00:00")


moments = st.integers(ms("2024-01-01T00:00"), ms("2030-01-01T00:00"))


@given(over=moments, days=st.integers(0, 28), later=st.integers(-3 * DAY, 32 * DAY))
@example(over=ms("2026-10-01T00:00"), days=28, later=28 * DAY)
@example(over=ms("2026-03-01T00:00"), days=28, later=28 * DAY)
def test_due_accounts_are_those_that_the_clock_closed(over: int, days: int, later: int) -> None:
    """What the worker looks up is what a look at the account says, at any moment; and never over `days` times 24 h."""
    rules, at = Rules(days, ZONE, 2, False), over + later
    account = replace(OPEN, care_over_at=over)
    assert (over < due_before(rules, at)) == (account.state(rules, at) is AccountState.CLOSED)
    assert account.closes_at(rules) <= over + days * DAY


def test_care_that_goes_on_stops_the_clock() -> None:
    """Told in time: nothing closes. Told after the clock closed: invited anew, with terms to be accepted again."""
    running = accounts.care_told(
        replace(OPEN, accepted={"a": "1"}), ms("2026-06-01T12:00"), RULES, ms("2026-06-02T12:00")
    )
    assert running.state(RULES, ms("2026-06-10T12:00")) is AccountState.CLOSING
    assert (
        accounts.care_told(running, 0, RULES, ms("2026-06-28T23:59")).state(RULES, ms("2030-01-01T00:00"))
        is AccountState.OPEN
    )
    again = accounts.care_told(running, 0, RULES, ms("2026-06-29T00:00"))
    assert again.state(RULES, ms("2026-06-29T00:00")) is AccountState.INVITED
    assert again.accepted == {}


def test_what_a_person_closed_stays_closed() -> None:
    """On request or by the hospital: care that goes on opens nothing."""
    closed = accounts.closed(OPEN, Because.REQUEST, 5)
    assert accounts.care_told(closed, 0, RULES, 9) == closed
    assert accounts.care_told(closed, 7, RULES, 9) == closed


def test_block_close_and_end_of_care_in_any_order() -> None:
    """At the same moment, whoever comes first: the account is closed, and its representative's access ended."""
    steps = {
        "block": lambda account: accounts.blocked(account, 10),
        "close": lambda account: accounts.closed(account, Because.REQUEST, 10),
        "care": lambda account: accounts.care_told(account, 9, RULES, 10),
        "suspend": lambda account: accounts.suspended(account, "r", 10),
    }
    ends = set()
    for order in permutations(steps):
        account = replace(OPEN, representatives=(acts(),))
        for step in order:
            account = steps[step](account)
        (representative,) = account.representatives
        ends.add((account.state(RULES, 10), account.blocked_at, representative.standing(10, None, ZONE)))
    assert ends == {(AccountState.CLOSED, 10, Standing.ENDED)}


@pytest.mark.parametrize(("born", "at", "age"), [
    ("2014-06-01", "2026-05-31T23:59", 11),
    ("2014-06-01", "2026-06-01T00:00", 12),
    ("2012-02-29", "2026-02-28T23:59", 13),
    ("2012-02-29", "2026-03-01T00:00", 14),
    ("2012-02-29", "2028-02-29T00:00", 16),
    ("2010-12-31", "2026-12-30T23:59", 15),
    ("2010-12-31", "2026-12-31T00:00", 16),
])  # fmt: skip
def test_birthdays_begin_at_the_hospitals_midnight(born: str, at: str, age: int) -> None:
    """To the minute, on 29 February and at the end of a year."""
    assert age_at(date.fromisoformat(born), ms(at), ZONE) == age


def test_parents_by_the_childs_age() -> None:
    """Under 12 the parent and not the child; from 12 the child, the parent with its consent; from 16 no parent."""
    born, parent = date(2014, 6, 1), acts(Kind.PARENT)
    before, twelve, sixteen = ms("2026-05-31T23:59"), ms("2026-06-01T00:00"), ms("2030-06-01T00:00")
    assert parent.standing(before, born, ZONE) is Standing.ACTIVE
    with pytest.raises(TooYoung):
        require_own_age(born, before, ZONE)
    require_own_age(born, twelve, ZONE)
    assert parent.standing(twelve, born, ZONE) is Standing.AWAITING_CONSENT
    with pytest.raises(RepresentativeUnfit):
        parent.consent(True, before, born, ZONE)
    allowed = parent.consent(True, twelve, born, ZONE)
    assert allowed.standing(sixteen - 1, born, ZONE) is Standing.ACTIVE
    assert allowed.standing(sixteen, born, ZONE) is Standing.ENDED
    assert allowed.consent(False, twelve, born, ZONE).standing(twelve, born, ZONE) is Standing.AWAITING_CONSENT
    with pytest.raises(RepresentativeUnfit):
        allowed.consent(True, sixteen, born, ZONE)


def test_a_parent_needs_a_date_of_birth() -> None:
    """Nothing is guessed: neither registered nor active without one."""
    with pytest.raises(RepresentativeUnfit):
        accounts.registered(OPEN, acts(Kind.PARENT), RULES, None, 5)
    assert acts(Kind.PARENT).standing(5, None, ZONE) is Standing.SUSPENDED


def test_no_more_representatives_than_allowed() -> None:
    """One more is refused, the same one again changes nothing, and one that lapsed at 16 makes place."""
    born, at = date(2014, 6, 1), ms("2027-01-01T12:00")
    one = accounts.registered(OPEN, acts(Kind.PARENT), SEIN, born, at)
    assert accounts.registered(one, acts(Kind.PARENT, id="other"), SEIN, born, at) is one
    other = acts(id="m", actor="another")
    with pytest.raises(RepresentativesFull):
        accounts.registered(one, other, SEIN, born, at)
    later = accounts.registered(one, other, SEIN, born, ms("2030-06-01T00:00"))
    assert [each.id for each in later.representatives] == ["r", "m"]
    with pytest.raises(RepresentativesFull):
        accounts.registered(later, acts(id="x", actor="x"), SEIN, born, ms("2030-06-01T00:00"))


def test_signer_and_first_contact_at_registration_and_after() -> None:
    """Terms SEIN, article 2.2: only who is both; who is not both any more is suspended until it is confirmed."""
    for lacking in ({"signs_care_plan": False}, {"first_contact": False}):
        with pytest.raises(RepresentativeUnfit):
            accounts.registered(OPEN, acts(**lacking), SEIN, None, 5)
        accounts.registered(OPEN, acts(**lacking), RULES, None, 5)
    one = accounts.registered(OPEN, acts(), SEIN, None, 5)
    doubted = accounts.confirmed(one, "r", SEIN, signs_care_plan=True, first_contact=False, birth=None, at=6)
    assert doubted.representative("r").standing(6, None, ZONE) is Standing.SUSPENDED
    sure = accounts.confirmed(doubted, "r", SEIN, signs_care_plan=True, first_contact=True, birth=None, at=7)
    assert sure.representative("r").standing(7, None, ZONE) is Standing.ACTIVE


def test_who_ended_is_not_confirmed() -> None:
    """An ended representation is registered anew, and a closed account takes none."""
    one = accounts.registered(OPEN, acts(), SEIN, None, 5)
    gone = accounts.ended(one, "r", 6)
    with pytest.raises(RepresentativeUnfit):
        accounts.confirmed(gone, "r", SEIN, signs_care_plan=True, first_contact=True, birth=None, at=7)
    with pytest.raises(AccountClosed):
        accounts.registered(accounts.closed(OPEN, Because.HOSPITAL, 6), acts(), SEIN, None, 7)
