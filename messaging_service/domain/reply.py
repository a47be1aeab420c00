"""Until when an answer is aimed at (terms article 3.5: "2 á 3 dagen"; no rights follow)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from messaging_service.domain.errors import MessagingError


class NaiveTimestamp(MessagingError):
    """A time without a time zone was given; times inside the service are UTC."""


def reply_expected_by(
    received: datetime,
    days: int,
    count: Literal["working", "calendar"],
    zone: ZoneInfo,
    is_working_day: Callable[[date], bool],
) -> date:
    """Last day on which an answer is on time, in the hospital's own time zone.

    The day of receipt does not count. "calendar": `days` days later, whatever day that is. "working": `days`
    full working days later.

    Raises:
        NaiveTimestamp: `received` has no time zone.
    """
    if received.tzinfo is None:
        raise NaiveTimestamp
    day = received.astimezone(zone).date()
    if count == "calendar":
        return day + timedelta(days=days)
    left = days
    while left:
        day += timedelta(days=1)
        if is_working_day(day):
            left -= 1
    return day
