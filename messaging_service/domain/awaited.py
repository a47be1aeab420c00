"""An answer that is awaited: from a patient's message until the answer, or until it is handled otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """How far it is. `overdue`: the date has passed and everybody was told."""

    WAITING = "waiting"
    REMINDED = "reminded"
    OVERDUE = "overdue"
    ANSWERED = "answered"
    HANDLED = "handled"


class Outcome(StrEnum):
    """What the report counts it as. `overdue` is open past its date."""

    OPEN = "open"
    OVERDUE = "overdue"
    ON_TIME = "on_time"
    LATE = "late"


class How(StrEnum):
    """How a message was handled without a written answer.

    `epd`: the EPD says that it is done with. `thread_closed`: its conversation was closed. `closed`: operations closed
    it, after it could not be filed.
    """

    TELEPHONE = "telephone"
    VISIT = "visit"
    OTHER = "other"
    EPD = "epd"
    THREAD_CLOSED = "thread_closed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class AwaitedReply:
    """The clock of one patient's message, under its id. Times in milliseconds; `reply_by` is an ISO date.

    `next_at` is when the clock does something, 0: never. `week` is the ISO week of receipt ("2026-W20").
    `stopped_by` is the message that answers it, or a pseudonym of who handled it otherwise.
    """

    id: str
    tenant: str
    patient: str
    thread: str
    place: int
    care_team: str
    accepted_at: int
    reply_by: str
    week: str
    remind_at: int
    passed_at: int
    tell_at: int
    next_at: int
    stage: Stage = Stage.WAITING
    outcome: Outcome = Outcome.OPEN
    stopped_at: int = 0
    stopped_by: str = ""
    how: How | None = None
    version: int = 1

    @property
    def is_open(self) -> bool:
        """Whether an answer is still awaited."""
        return not self.stopped_at

    def later(self, at: int) -> AwaitedReply:
        """Looked at again at that time, unless all is done by then."""
        return replace(self, next_at=at)

    def reminded(self) -> AwaitedReply:
        """The care team knows."""
        return replace(self, stage=Stage.REMINDED, next_at=self.tell_at)

    def overdue(self, *, told: bool) -> AwaitedReply:
        """The date has passed and the patient knows; with `told` the lead does too, and nothing is left to do."""
        return replace(self, stage=Stage.OVERDUE, outcome=Outcome.OVERDUE, next_at=0 if told else self.next_at)

    def answered(self, reply: str, at: int) -> AwaitedReply:
        """The message `reply` answers it."""
        return replace(self._stopped(at, reply), stage=Stage.ANSWERED, how=None)

    def handled(self, how: How, by: str, at: int) -> AwaitedReply:
        """It needs no written answer any more."""
        return replace(self._stopped(at, by), stage=Stage.HANDLED, how=how)

    def _stopped(self, at: int, by: str) -> AwaitedReply:
        outcome = Outcome.ON_TIME if at < self.passed_at else Outcome.LATE
        return replace(self, stopped_at=at, stopped_by=by, outcome=outcome, next_at=0)

    def reopened(self, now: int) -> AwaitedReply:
        """What answered it was taken away: the clock goes on where it would be by now."""
        reminded = now >= self.remind_at
        return replace(
            self,
            stage=Stage.REMINDED if reminded else Stage.WAITING,
            outcome=Outcome.OPEN,
            stopped_at=0,
            stopped_by="",
            next_at=self.tell_at if reminded else self.remind_at,
        )


def iso_week(day: datetime) -> str:
    """The ISO 8601 week of a local time, as in "2026-W20"."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"
