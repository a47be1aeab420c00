"""A message's way into the EPD: attempts, their acknowledgements, and what follows from them."""

from __future__ import annotations

import hashlib
from base64 import b32encode
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache


class FilingState(StrEnum):
    """WAITING: not sent, or refused and to be sent again. SENDING: on its way, or its worker died.

    UNKNOWN: sent, and no acknowledgement of it came. DELIVERED: taken by an interface engine, or committed to by the
    EPD, which has not said yet that it filed it. FILED: the EPD said so, or lists it.
    """

    WAITING = "waiting"
    SENDING = "sending"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    FILED = "filed"
    PARKED = "parked"
    CLOSED = "closed"


class Change(StrEnum):
    """What a document is to the EPD: NEW, CORRECTED (its text replaced), or WITHDRAWN."""

    NEW = "new"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


UNKNOWN = "unknown"
OPEN_STATES = (FilingState.WAITING, FilingState.SENDING, FilingState.UNKNOWN)
TAKEN_STATES = (FilingState.DELIVERED, FilingState.FILED)
"""The EPD's side has it: nothing is sent again."""

RECONCILED = "reconciled"
"""`code` of an attempt that was proved by the EPD's list and not by an answer."""

_CHANGE_MARK = "."


def change_id(message: str, number: int) -> str:
    """The id of a message's how-manieth change (from 1); 30 characters, HL7's shortest TXA-12, hold 999 of them."""
    return f"{message}{_CHANGE_MARK}{number}"


def changed_message(id: str) -> str:
    """The message that a document is of: itself, or for a change the one that it changes."""
    return id.partition(_CHANGE_MARK)[0]


def is_change(id: str) -> bool:
    """Whether this is the id of a change."""
    return _CHANGE_MARK in id


@lru_cache(1024)
def _control_id(id: str, answered: int) -> str:
    return b32encode(hashlib.sha256(f"{id}.{answered}".encode()).digest()[:15]).decode()[:20]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sending, and those before it under the same control id that got no acknowledgement: `sendings` in all.

    `code` is MSA-1, "unknown" when no acknowledgement came; times in milliseconds. `sent_at` is of the last sending,
    `first_sent_at` of the first, or 0 when there was one. Releases before these were kept overwrote them.
    `acknowledged` is MSA-2 as the EPD sent it; `ack_digest` the SHA-256 of the raw acknowledgement, in hex.
    """

    control_id: str
    sent_at: int
    code: str = UNKNOWN
    error: str = ""
    acknowledged: str = ""
    acknowledged_at: int = 0
    ack_digest: str = ""
    first_sent_at: int = 0
    sendings: int = 1

    def again(self, now: int) -> Attempt:
        """Sent once more, as nobody knows what became of it."""
        return replace(self, sent_at=now, first_sent_at=self.first_sent_at or self.sent_at, sendings=self.sendings + 1)

    def answered(self, code: str, error: str, acknowledged: str, at: int, digest: str) -> Attempt:
        """This sending with what the EPD said to it, at `at`."""
        return replace(self, code=code, error=error, acknowledged=acknowledged, acknowledged_at=at, ack_digest=digest)


@dataclass(frozen=True, slots=True)
class Filing:
    """The filing of one document: a message, or a later change of it. `id` is the message's id or the change's.

    `last_control_id` is MSH-10 of the last sending, by which an answer that comes later finds it.
    """

    id: str
    tenant: str
    lane: str
    accepted_at: int
    state: FilingState
    attempts: tuple[Attempt, ...] = ()
    last_control_id: str = ""
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
        return _control_id(self.id, sum(attempt.code != UNKNOWN for attempt in self.attempts))

    @property
    def is_unknown(self) -> bool:
        """Whether the last sending is without an acknowledgement."""
        return bool(self.attempts) and self.attempts[-1].code == UNKNOWN

    @property
    def taken_at(self) -> int:
        """When the EPD's side took it, in milliseconds; 0 while it has not."""
        return self.attempts[-1].acknowledged_at if self.attempts and self.state in TAKEN_STATES else 0

    @property
    def filed_at(self) -> int:
        """When it was proved to be filed, in milliseconds; 0 while it is not."""
        return self.taken_at if self.state is FilingState.FILED else 0

    def sending(self, now: int) -> Filing:
        """Written down before the first byte leaves, so that a crash is seen as *acknowledgement unknown*.

        One after an unknown one is counted with it: an EPD that is silent for days leaves one attempt.
        """
        if self.is_unknown:
            attempts = (*self.attempts[:-1], self.attempts[-1].again(now))
        else:
            attempts = (*self.attempts, Attempt(self.control_id, now))
        return replace(self, state=FilingState.SENDING, attempts=attempts, last_control_id=self.control_id)

    def unsent(self, before: Filing) -> Filing:
        """Nothing left after all: as `before` the sending, with the count of an earlier unknown one."""
        return replace(before, version=self.version)

    def unanswered(self) -> Filing:
        """Sent, and nobody knows what became of it."""
        return replace(self, state=FilingState.UNKNOWN)

    def answered(self, attempt: Attempt, state: FilingState) -> Filing:
        """The last attempt with its acknowledgement."""
        return replace(self, state=state, attempts=(*self.attempts[:-1], attempt))

    def answered_later(self, attempt: Attempt, state: FilingState) -> Filing:
        """A second answer to the last sending, after the one that only said it was delivered."""
        return replace(self, state=state, attempts=(*self.attempts, attempt))
