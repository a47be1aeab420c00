"""The port of the broker: durable queues, envelopes, deliveries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Envelope:
    """A body for a queue with what must be readable without opening it: identifiers only, no content.

    `headers` hold str or int. `attempt` (int, counted tries of the present step) and `reason` are ours.
    """

    message_id: str
    kind: str
    body: bytes
    headers: Mapping[str, str | int] = field(default_factory=dict)

    def count(self, header: str) -> int:
        """How often, as that header says; one that is no number is none of ours and counts as none."""
        value = self.headers.get(header, 0)
        return value if isinstance(value, int) else 0


class Delivery(Protocol):
    """One envelope handed to a consumer until it is acknowledged or given back."""

    queue: str
    envelope: Envelope
    delivery_count: int

    async def ack(self) -> None:
        """Done: the broker forgets it. A lost connection is not an error here: it will come again."""

    async def give_back(self) -> None:
        """Not now: the broker delivers it again, soon and to anybody. A lost connection is not an error."""


@dataclass(frozen=True, slots=True)
class QueueDeclaration:
    """A durable queue. Past `delivery_limit` deliveries the broker moves a message to `dead_letter` (a queue).

    `max_length` None means unbounded; a full queue refuses publishes, it never drops.
    """

    name: str
    dead_letter: str | None
    delivery_limit: int = 100
    max_length: int | None = None


@dataclass(frozen=True, slots=True)
class Topology:
    """Every queue, and the rungs of the delay ladder in milliseconds.

    A rung is one delay queue that serves all queues: what is published with that delay comes to its own queue
    when the time is over.
    """

    queues: tuple[QueueDeclaration, ...]
    delays: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits in a queue, ready to be taken; `oldest_ms` is its oldest one's age where the broker knows."""

    ready: int
    consumers: int
    oldest_ms: int | None = None


class Broker(Protocol):
    """Durable queues. Raises BrokerDown (or one of its kinds) when the server does not answer."""

    async def open(self) -> None:
        """Connect, waiting at most the connect time-out."""

    async def declare(self, topology: Topology) -> None:
        """Make sure every queue exists as declared. Raises TopologyMismatch naming the queue otherwise."""

    async def publish(self, queue: str, envelope: Envelope, *, delay_ms: int = 0) -> None:
        """Returns once the broker has it on disk in `queue` (or the delay rung that leads to it).

        Raises:
            QueueMissing: no such queue; nothing was queued.
            QueueRefused: the queue is full or the broker refuses; nothing was queued.
            PublishUnknown: no confirm in time; it may have been queued.
            BrokerDown: no connection; nothing was queued.
        """

    def consume(self, queue: str, prefetch: int) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """Deliveries of `queue`, at most `prefetch` unacknowledged; leaving gives the rest back.

        The iterator survives a lost connection: it reconnects with back-off and goes on. Any number of tasks may
        share it. Leaving the context ends it, and so does cancelling.
        """

    async def depths(self, queues: Sequence[str]) -> dict[str, Depth]:
        """Live depths, by queue."""

    async def ping(self) -> None:
        """Raise BrokerDown unless the server answers now."""

    async def close(self) -> None:
        """Let go of the connections."""
