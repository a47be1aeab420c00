"""Working days of a tenant: weekends, public holidays, own closing days."""

from __future__ import annotations

from datetime import date

import pytest

from messaging_service.adapters.working_days import TenantWorkingDays
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants import ReplyTarget


def calendar(*closed_on: str, holidays: str = "NL") -> TenantWorkingDays:
    return TenantWorkingDays(ReplyTarget(days=3, count="working", holidays=holidays, closed_on=closed_on))


@pytest.mark.parametrize(
    "day",
    [
        date(2026, 1, 1),
        date(2026, 4, 6),
        date(2026, 4, 27),
        date(2026, 5, 14),
        date(2026, 5, 25),
        date(2026, 12, 25),
        date(2025, 12, 26),
    ],
)
def test_dutch_holidays_on_weekdays(day: date) -> None:
    """On a Dutch public holiday that falls on a weekday nobody works."""
    assert day.weekday() < 5
    assert not calendar().is_working_day(day)


def test_good_friday_is_a_hospital_s_choice() -> None:
    """Good Friday is in the library's Dutch set, yet hospitals work; one that does not says so."""
    good_friday = date(2026, 4, 3)
    assert calendar().is_working_day(good_friday)
    closed = ReplyTarget(days=3, count="working", working_holidays=())
    assert not TenantWorkingDays(closed).is_working_day(good_friday)


@pytest.mark.parametrize("day", [date(2026, 5, 16), date(2026, 5, 17)])
def test_weekend(day: date) -> None:
    """Saturday and Sunday are no working days."""
    assert not calendar().is_working_day(day)


@pytest.mark.parametrize(
    "day",
    [date(2026, 5, 13), date(2026, 5, 15), date(2026, 12, 24), date(2026, 12, 31), date(2026, 4, 28)],
)
def test_ordinary_weekdays(day: date) -> None:
    """The day after Ascension Day, Christmas Eve and the like are working days."""
    assert calendar().is_working_day(day)


def test_kings_day_leaves_a_sunday() -> None:
    """In 2025 King's Day was kept on Saturday 26 April, so that the Monday after is a working day."""
    assert not calendar().is_working_day(date(2025, 4, 26))
    assert calendar().is_working_day(date(2025, 4, 28))


def test_liberation_day_counts_once_in_five_years() -> None:
    """5 May is free in 2025 but not in 2026, a Tuesday."""
    assert not calendar().is_working_day(date(2025, 5, 5))
    assert calendar().is_working_day(date(2026, 5, 5))


def test_closed_on_a_date_and_every_year() -> None:
    """A full date closes that one day, month and day close it in every year."""
    closed = calendar("2026-05-15", "12-24")
    assert not closed.is_working_day(date(2026, 5, 15))
    assert closed.is_working_day(date(2028, 5, 15))
    assert not closed.is_working_day(date(2026, 12, 24))
    assert not closed.is_working_day(date(2027, 12, 24))


def test_leap_day_every_year() -> None:
    """29 February can be closed on, although most years lack it."""
    closed = calendar("02-29")
    assert not closed.is_working_day(date(2028, 2, 29))
    assert closed.is_working_day(date(2028, 3, 1))


def test_another_country() -> None:
    """A Belgian tenant is closed on 21 July and open on King's Day."""
    belgian = calendar(holidays="BE")
    assert not belgian.is_working_day(date(2026, 7, 21))
    assert belgian.is_working_day(date(2026, 4, 27))


@pytest.mark.parametrize("wrong", ["2026-02-29", "13-01", "20260515", "2026-W20-5", "Kerst", "", "1-1", "02-30"])
def test_closed_on_is_checked_at_the_start(wrong: str) -> None:
    """A day that does not exist is refused by name, not found out on the day."""
    with pytest.raises(SettingInvalid) as refused:
        calendar("12-24", wrong)
    assert f"closed_on {wrong!r}" in str(refused.value)


def test_unknown_country() -> None:
    """A country code that the calendar does not know is refused by name."""
    with pytest.raises(SettingInvalid, match="'XX'"):
        calendar(holidays="XX")
