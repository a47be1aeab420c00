"""Until when an answer is aimed at (terms article 3.5: "2 á 3 dagen"; no rights follow)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
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


MORNING = time(8)
"""When people are told something about a reply date, on the hospital's own clock: nobody is woken for it."""


@dataclass(frozen=True, slots=True)
class ReplyMoments:
    """What the clock does about a reply date, in milliseconds.

    `remind_at`: the care team is reminded. `passed_at`: from here on an answer is late. `tell_at`: the team's lead and
    the patient are told that it has passed.
    """

    remind_at: int
    passed_at: int
    tell_at: int


def reply_moments(received: datetime, by: date, zone: ZoneInfo, is_working_day: Callable[[date], bool]) -> ReplyMoments:
    """The moments of a reply date in the hospital's own time zone.

    The reminder comes on the morning of the last working day before `by`; on that of `by` itself when nobody works
    between the day of receipt and then.

    Raises:
        NaiveTimestamp: `received` has no time zone.
    """
    if received.tzinfo is None:
        raise NaiveTimestamp
    first = received.astimezone(zone).date()
    day = by - timedelta(days=1)
    while day > first and not is_working_day(day):
        day -= timedelta(days=1)
    after = by + timedelta(days=1)
    return ReplyMoments(
        remind_at=_at(day if day > first else by, MORNING, zone),
        passed_at=_at(after, time(0), zone),
        tell_at=_at(after, MORNING, zone),
    )


def _at(day: date, clock: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, clock, zone).timestamp() * 1000)
