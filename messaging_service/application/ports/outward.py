"""The ports to people and systems outside: the EPD, on-call, the portal, operations, meters, the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

Clock = Callable[[], int]
"""Now, in milliseconds since 1970 in UTC; injected, so that tests can move it."""

AtTurn = Callable[[], Awaitable[None]]
"""Runs when a message's turn on its connection has come or is about to, before its first byte; perhaps again, at the
turn, when that came late."""


class Epd(Protocol):
    """The connections to one tenant's EPD."""

    async def exchange(
        self, frame: bytes, control_id: str, partition: str, urgent: bool, at_turn: AtTurn | None = None
    ) -> bytes:
        """Send one HL7 message and return the raw acknowledgement.

        Messages of one `partition` keep their order. What `at_turn` raises goes to the caller; nothing is sent then.
        Raises EpdDown when nothing was sent, AckUnknown (in `messaging_service.epd.acknowledgement`) when it was sent
        and no acknowledgement of it came in time.
        """

    async def probe(self) -> None:
        """Raise EpdDown unless a connection can be made now."""

    async def close(self) -> None:
        """Let go of the connections."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What on-call is told: that there is an urgent message, and where. Never what it says.

    `rung` counts the chain's rungs from 1; 0 is who is told first. A `rehearsal` is marked as one and wakes nobody.
    """

    tenant: str
    thread: str
    message: str
    accepted_at: int
    count: int
    rung: int = 0
    rehearsal: bool = False


class OnCall(Protocol):
    """The ways to wake whoever is on call at one tenant."""

    async def page(self, alarm: Alarm) -> None:
        """Returns once at least one channel took it. Raises OnCallUnreachable."""

    async def rehearse(self, alarm: Alarm) -> tuple[str, ...]:
        """Send a rehearsal through every channel; the names of those that did not take it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages of a care team's that wait for an answer: their ids, and by when (ISO date). Never what they say."""

    tenant: str
    care_team: str
    messages: tuple[tuple[str, str], ...]


class CareTeams(Protocol):
    """The way to the people of a tenant's care teams, outside the EPD."""

    async def remind(self, waiting: Waiting) -> None:
        """Tell the team whose dates come near. Raises MailDown."""

    async def escalate(self, waiting: Waiting) -> None:
        """Tell the team's lead whose dates have passed. Raises MailDown."""


class PatientMail(Protocol):
    """A tenant's letters to patients; of the same `id` a mailbox may drop the second."""

    async def tell(self, address: str, language: str, id: str) -> None:
        """That there is a message. Raises AddressRefused, MailDown, and MailUnknown where it may have gone out."""

    async def send_code(self, address: str, language: str, id: str, code: str) -> None:
        """The code that proves the address. Raises as `tell`."""


class PortalWebhook(Protocol):
    """A tenant's portal, told of progress without content."""

    async def post(self, event_id: str, body: bytes) -> None:
        """Returns once the portal answered 2xx. Raises WebhookDown."""


class Operations(Protocol):
    """The channel to whoever keeps the service running."""

    async def tell(self, key: str, text: str) -> bool:
        """Whether it was taken; a channel that fails is logged and counted, since the log line is the last resort."""


class WorkingDays(Protocol):
    """Which days a tenant works."""

    def is_working_day(self, day: date) -> bool:
        """Neither weekend, nor holiday, nor a closing day of the tenant."""


class Meter(Protocol):
    """Counts and times, without content and without patients."""

    def accepted(self, tenant: str, lane: str) -> None:
        """A message was answered 202."""

    def refused(self, problem: str) -> None:
        """A request was answered with this problem."""

    def handled(self, queue: str, outcome: str) -> None:
        """A step is done with a delivery: done, retried, deferred, parked or given_back."""

    def acknowledged(self, tenant: str, lane: str, code: str, waited_ms: int) -> None:
        """The EPD answered `waited_ms` after the message was accepted; code is MSA-1 or "unknown"."""

    def circuit(self, queue: str, open: bool) -> None:
        """The circuit of a queue opened or closed."""

    def channel(self, channel: str, outcome: str) -> None:
        """An outward channel (on-call webhook, mail, portal webhook …) took a message, or failed."""

    def token(self, reason: str) -> None:
        """A token was refused, for this reason."""
