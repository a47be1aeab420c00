"""What the clock does about a reply date: when the team is reminded, when it is late, when that is told."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from messaging_service.adapters.reply_wording import reply_text
from messaging_service.adapters.working_days import TenantWorkingDays
from messaging_service.domain.awaited import Stage, iso_week
from messaging_service.domain.reply import NaiveTimestamp, reply_expected_by, reply_moments
from messaging_service.tenants import ReplyTarget

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
LANGUAGES = ("nl", "en", "de", "fr", "tr", "pl", "ar")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=AMSTERDAM)


@pytest.mark.parametrize(
    ("received", "days", "count", "by", "reminder", "told"),
    [
        ("2026-05-13T16:00", 3, "working", "2026-05-19", "2026-05-18T08:00+02:00", "2026-05-20T08:00+02:00"),
        ("2026-05-13T16:00", 3, "calendar", "2026-05-16", "2026-05-15T08:00+02:00", "2026-05-17T08:00+02:00"),
        ("2026-12-23T09:00", 3, "working", "2026-12-29", "2026-12-28T08:00+01:00", "2026-12-30T08:00+01:00"),
        ("2026-12-23T09:00", 3, "calendar", "2026-12-26", "2026-12-24T08:00+01:00", "2026-12-27T08:00+01:00"),
        ("2025-04-25T12:00", 2, "working", "2025-04-29", "2025-04-28T08:00+02:00", "2025-04-30T08:00+02:00"),
        ("2031-04-25T12:00", 1, "working", "2031-04-28", "2031-04-28T08:00+02:00", "2031-04-29T08:00+02:00"),
        ("2026-03-27T12:00", 1, "working", "2026-03-30", "2026-03-30T08:00+02:00", "2026-03-31T08:00+02:00"),
        ("2026-03-26T12:00", 3, "calendar", "2026-03-29", "2026-03-27T08:00+01:00", "2026-03-30T08:00+02:00"),
        ("2026-10-22T12:00", 3, "calendar", "2026-10-25", "2026-10-23T08:00+02:00", "2026-10-26T08:00+01:00"),
        ("2026-06-01T23:59", 1, "working", "2026-06-02", "2026-06-02T08:00+02:00", "2026-06-03T08:00+02:00"),
    ],
    ids=[
        "Ascension Day and a weekend", "the same in calendar days", "Christmas", "Christmas in calendar days",
        "King's Day 2025, a Sunday kept on Saturday", "King's Day 2031, a Sunday kept on Saturday",
        "summer time begins that weekend", "ends on the day it begins", "ends on the day it ends", "one day",
    ],
)  # fmt: skip
def test_moments(
    received: str, days: int, count: Literal["working", "calendar"], by: str, reminder: str, told: str
) -> None:
    """Reminded on the last working day before, late from midnight, told on the morning after: the hospital's clock."""
    working = TenantWorkingDays(ReplyTarget(days=days, count=count)).is_working_day
    aimed = reply_expected_by(local(received), days, count, AMSTERDAM, working)
    assert aimed == date.fromisoformat(by)
    moments = reply_moments(local(received), aimed, AMSTERDAM, working)
    assert datetime.fromtimestamp(moments.remind_at / 1000, AMSTERDAM).isoformat(timespec="minutes") == reminder
    assert datetime.fromtimestamp(moments.tell_at / 1000, AMSTERDAM).isoformat(timespec="minutes") == told
    midnight = datetime.fromtimestamp(moments.passed_at / 1000, AMSTERDAM)
    assert midnight.isoformat(timespec="minutes") == f"{told[:10]}T00:00{midnight.isoformat()[-6:]}"


def test_closing_days_put_it_off() -> None:
    """A hospital's own closing day counts neither for the date nor as a day on which to remind."""
    closed = ReplyTarget(days=3, count="working", closed_on=("2026-05-15", "05-18"))
    working = TenantWorkingDays(closed).is_working_day
    aimed = reply_expected_by(local("2026-05-13T16:00"), 3, "working", AMSTERDAM, working)
    moments = reply_moments(local("2026-05-13T16:00"), aimed, AMSTERDAM, working)
    assert aimed == date(2026, 5, 21)
    assert datetime.fromtimestamp(moments.remind_at / 1000, AMSTERDAM) == local("2026-05-20T08:00")


def test_a_time_without_zone_is_refused() -> None:
    """As for the date itself."""
    with pytest.raises(NaiveTimestamp):
        reply_moments(datetime(2026, 5, 13), date(2026, 5, 19), AMSTERDAM, lambda day: True)


def test_weeks_are_those_of_iso_8601() -> None:
    """The last days of December may be of week 1, and the first of January of week 53."""
    assert iso_week(local("2026-05-13T16:00")) == "2026-W20"
    assert iso_week(local("2024-12-30T00:00")) == "2025-W01"
    assert iso_week(local("2027-01-01T00:00")) == "2026-W53"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_it_without_promise(language: str) -> None:
    """Each stage has a sentence with what belongs in it, and the awaited one says that no right follows."""
    awaited = reply_text(Stage.WAITING, "2026-05-19", language, "0181 658 658")
    passed = reply_text(Stage.OVERDUE, "2026-05-19", language, "0181 658 658")
    handled = reply_text(Stage.HANDLED, "2026-05-19", language, "0181 658 658")
    assert awaited.count(".") >= 2
    assert "2026" in awaited
    assert "0181 658 658" in passed
    assert len({awaited, passed, handled}) == 3
    assert not any("{" in text for text in (awaited, passed, handled))
    assert reply_text(Stage.ANSWERED, "2026-05-19", language, "") == ""


def test_the_day_in_words() -> None:
    """With its weekday; an unknown language is English, none is Dutch, a region counts for nothing."""
    assert "dinsdag 19 mei 2026" in reply_text(Stage.WAITING, "2026-05-19", "nl-BE", "")
    assert "dinsdag 19 mei 2026" in reply_text(Stage.REMINDED, "2026-05-19", "", "")
    assert "Tuesday 19 May 2026" in reply_text(Stage.WAITING, "2026-05-19", "xx", "")
    assert "wtorek 19 maja 2026" in reply_text(Stage.WAITING, "2026-05-19", "pl", "")
