"""What patients read about the reply date: a day in their own language, worded without promise (terms article 3.5)."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from babel.dates import format_date

from messaging_service.adapters.wording import sentences
from messaging_service.domain.awaited import Stage

_LONG = "EEEE d MMMM y"
_DAYS_IN_USE = 1_000
_LINES = {Stage.OVERDUE: "passed", Stage.HANDLED: "handled"}


def reply_text(stage: Stage, reply_by: str, language: str, telephone: str) -> str:
    """The sentence beside a message whose answer is awaited, passed or no longer due; "" for one that is answered.

    `reply_by` is an ISO date. A language that we do not have is English, none at all is Dutch.
    """
    if stage is Stage.ANSWERED:
        return ""
    spoken, lines = sentences("reply_wording", language)
    return lines[_LINES.get(stage, "awaited")].format(
        date=day_in_words(date.fromisoformat(reply_by), spoken), telephone=telephone
    )


@lru_cache(_DAYS_IN_USE)
def day_in_words(day: date, language: str) -> str:
    """A day with its weekday, as in "dinsdag 19 mei 2026"; `language` is one of those of the notices."""
    return format_date(day, _LONG, locale=language)
