"""Until when an answer is aimed at: full days, in the hospital's own time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.adapters.working_days import TenantWorkingDays
from messaging_service.domain.reply import NaiveTimestamp, reply_expected_by
from messaging_service.tenants import ReplyTarget

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
WORKING = TenantWorkingDays(ReplyTarget(days=3, count="working")).is_working_day


def expected(received: datetime, days: int = 3, count: Literal["working", "calendar"] = "working") -> date:
    return reply_expected_by(received, days, count, AMSTERDAM, WORKING)


def local(year: int, month: int, day: int, hour: int = 12, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=AMSTERDAM)


@pytest.mark.parametrize(
    ("received", "days", "by"),
    [
        (local(2026, 5, 13, 16), 3, date(2026, 5, 19)),  # Wednesday before Ascension Day, then a weekend
        (local(2026, 6, 1), 3, date(2026, 6, 4)),  # an ordinary Monday
        (local(2026, 6, 5), 1, date(2026, 6, 8)),  # Friday to Monday
        (local(2026, 6, 6), 1, date(2026, 6, 8)),  # received on a Saturday
        (local(2026, 6, 7), 1, date(2026, 6, 8)),  # and on a Sunday
        (local(2026, 12, 24, 16), 1, date(2026, 12, 28)),  # Christmas on Friday and Saturday
        (local(2026, 12, 24, 16), 3, date(2026, 12, 30)),
        (local(2025, 12, 24, 16), 2, date(2025, 12, 30)),  # Christmas on Thursday and Friday
        (local(2026, 12, 30), 2, date(2027, 1, 4)),  # over New Year's Day into another year
        (local(2025, 4, 25), 1, date(2025, 4, 28)),  # King's Day 2025 on the Saturday, so Monday works
        (local(2026, 4, 24), 1, date(2026, 4, 28)),  # King's Day 2026 on the Monday
        (local(2026, 4, 2), 2, date(2026, 4, 7)),  # Thursday before Easter; Good Friday works
        (local(2025, 5, 2), 1, date(2025, 5, 6)),  # Liberation Day in a fifth year
        (local(2026, 5, 4), 1, date(2026, 5, 5)),  # and in another
    ],
)
def test_working_days(received: datetime, days: int, by: date) -> None:
    """Only full working days after the day of receipt count."""
    assert expected(received, days) == by


@pytest.mark.parametrize(
    ("received", "days", "by"),
    [
        (local(2026, 5, 13, 16), 3, date(2026, 5, 16)),
        (local(2026, 12, 24), 2, date(2026, 12, 26)),
        (local(2026, 2, 27), 3, date(2026, 3, 2)),
        (local(2028, 2, 27), 3, date(2028, 3, 1)),
    ],
)
def test_calendar_days(received: datetime, days: int, by: date) -> None:
    """Calendar days run on over weekends, holidays and a leap day."""
    assert expected(received, days, "calendar") == by


@pytest.mark.parametrize(
    ("received", "by"),
    [
        (datetime(2026, 6, 1, 21, 59, tzinfo=UTC), date(2026, 6, 2)),  # 23:59 on Monday, summer time
        (datetime(2026, 6, 1, 22, 1, tzinfo=UTC), date(2026, 6, 3)),  # 00:01 on Tuesday
        (datetime(2026, 1, 12, 22, 59, tzinfo=UTC), date(2026, 1, 13)),  # 23:59 on Monday, winter time
        (datetime(2026, 1, 12, 23, 1, tzinfo=UTC), date(2026, 1, 14)),  # 00:01 on Tuesday
        (datetime(2026, 3, 27, 23, 30, tzinfo=UTC), date(2026, 3, 30)),  # Saturday 00:30, clocks go on that weekend
        (datetime(2026, 10, 25, 22, 30, tzinfo=UTC), date(2026, 10, 26)),  # Sunday 23:30, the clocks just went back
        (datetime(2026, 10, 25, 23, 30, tzinfo=UTC), date(2026, 10, 27)),  # Monday 00:30
    ],
)
def test_the_day_is_the_hospitals(received: datetime, by: date) -> None:
    """Which day a message came on is read off the hospital's clock, not off UTC, summer and winter."""
    assert expected(received, 1) == by


def test_the_zone_of_the_timestamp_does_not_matter() -> None:
    """One moment gives one date, in whatever zone it is written."""
    moment = datetime(2026, 6, 1, 22, 30, tzinfo=UTC)
    assert expected(moment.astimezone(ZoneInfo("America/New_York"))) == expected(moment) == date(2026, 6, 5)


def test_a_time_without_zone_is_refused() -> None:
    """A naive time could mean two days, so it is no input."""
    with pytest.raises(NaiveTimestamp):
        expected(datetime(2026, 5, 13, 16))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)), st.integers(1, 30))
def test_between_are_as_many_working_days_as_promised(received: datetime, days: int) -> None:
    """The last day is a working day, and exactly `days` working days lie after the day of receipt up to it."""
    first = received.astimezone(AMSTERDAM).date()
    last = expected(received, days)
    after = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    assert WORKING(last)
    assert sum(map(WORKING, after)) == days
