"""A message's way into the EPD: attempts, their acknowledgements, and what follows from them."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from dataclasses import dataclass, replace
from enum import StrEnum


class FilingState(StrEnum):
    """WAITING: not sent, or refused and to be sent again. SENDING: on its way, or its worker died.

    UNKNOWN: sent, and no acknowledgement of it came.
    """

    WAITING = "waiting"
    SENDING = "sending"
    UNKNOWN = "unknown"
    FILED = "filed"
    PARKED = "parked"
    CLOSED = "closed"


UNKNOWN = "unknown"
OPEN_STATES = (FilingState.WAITING, FilingState.SENDING, FilingState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending. `code` is MSA-1, "unknown" when no acknowledgement of it came; times in milliseconds.

    `acknowledged` is MSA-2 as the EPD sent it; `ack_digest` the SHA-256 of the raw acknowledgement, in hex.
    """

    control_id: str
    sent_at: int
    code: str = UNKNOWN
    error: str = ""
    acknowledged: str = ""
    acknowledged_at: int = 0
    ack_digest: str = ""


@dataclass(frozen=True, slots=True)
class Filing:
    """The filing of one message; `id` is the message's id and its TXA-12 for ever."""

    id: str
    tenant: str
    lane: str
    accepted_at: int
    state: FilingState
    attempts: tuple[Attempt, ...] = ()
    version: int = 1

    @classmethod
    def waiting(cls, message: str, tenant: str, lane: str, accepted_at: int) -> Filing:
        """A filing of which nothing was sent yet."""
        return cls(message, tenant, lane, accepted_at, FilingState.WAITING)

    @property
    def control_id(self) -> str:
        """MSH-10 for the next sending, 20 characters.

        The same as before while the outcome of that is unknown, so that a receiver replays its stored answer;
        a new one after every answer. Derived, so that a crash between sending and recording changes nothing.
        """
        answered = sum(attempt.code != UNKNOWN for attempt in self.attempts)
        return b32encode(hashlib.sha256(f"{self.id}.{answered}".encode()).digest()).decode()[:20]

    def sending(self, now: int) -> Filing:
        """Written down before the first byte leaves, so that a crash is seen as *acknowledgement unknown*.

        A sending after an unknown one takes its place: an EPD that is silent for days leaves one attempt.
        """
        known = self.attempts[:-1] if self.is_unknown else self.attempts
        return replace(self, state=FilingState.SENDING, attempts=(*known, Attempt(self.control_id, now)))

    @property
    def is_unknown(self) -> bool:
        """Whether the last sending is without an acknowledgement."""
        return bool(self.attempts) and self.attempts[-1].code == UNKNOWN

    def unsent(self, before: Filing) -> Filing:
        """Nothing left after all: as `before` the sending, with an earlier unknown one that it had replaced."""
        return replace(before, version=self.version)

    def unanswered(self) -> Filing:
        """Sent, and nobody knows what became of it."""
        return replace(self, state=FilingState.UNKNOWN)

    def answered(self, attempt: Attempt, state: FilingState) -> Filing:
        """The last attempt with its acknowledgement."""
        return replace(self, state=state, attempts=(*self.attempts[:-1], attempt))
