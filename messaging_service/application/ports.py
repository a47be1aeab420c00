"""What the use cases need from outside, as small as it can be. Adapters implement these.

Every adapter of a port passes the same suite in tests/contract.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

Document = dict[str, Any]
"""Keys are strings; values str, int, bool, None, bytes, list or dict of these. `id` is a str; `version` an int."""


@dataclass(frozen=True, slots=True)
class Index:
    """A declared index: the only way to find documents other than by id.

    `fields` are top-level names, compared as str or int; a find gives the leading ones and ranges over the next.
    """

    name: str
    fields: tuple[str, ...]
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection, its indexes, and the field a cluster shards it by (part of every unique index)."""

    name: str
    indexes: tuple[Index, ...] = ()
    shard_key: str = "id"

    def index(self, name: str) -> Index:
        """The index of that name.

        Raises:
            KeyError: none is declared.
        """
        for index in self.indexes:
            if index.name == name:
                return index
        raise KeyError(name)


class DocumentStore(Protocol):
    """A store of documents. Every write that returned survives a crash. Raises StoreDown on any server fault.

    Concurrent calls are batched by the adapter: many small awaits cost about one round trip.
    """

    async def open(self, collections: Sequence[Collection]) -> None:
        """Connect and make sure that collections and indexes exist. Before that, every other call raises StoreDown."""

    async def insert(self, collection: Collection, documents: Sequence[Document]) -> list[bool]:
        """Insert each at version 1; False for each whose id or unique index is taken (nothing is changed)."""

    async def get(self, collection: Collection, id: str) -> Document | None:
        """The document with that id."""

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> dict[str, Document]:
        """Those of the documents that exist, by id."""

    async def find(
        self,
        collection: Collection,
        index: str,
        equal: Mapping[str, Any],
        *,
        above: Any = None,
        below: Any = None,
        descending: bool = False,
        limit: int = 100,
    ) -> list[Document]:
        """Documents with `equal` on the leading fields of `index`, sorted by its remaining fields.

        `above` and `below` are exclusive bounds on the first field that `equal` does not give.
        """

    async def count(self, collection: Collection, index: str, equal: Mapping[str, Any]) -> int:
        """How many documents have `equal` on the leading fields of `index`."""

    async def replace(self, collection: Collection, document: Document) -> bool:
        """Replace the document of that id if its stored version equals `document["version"]`.

        Stores it with the version raised by one; False when it is gone or was changed meanwhile, or when the new
        values collide on a unique index.
        """

    async def delete(self, collection: Collection, id: str) -> bool:
        """Delete; False when there was none."""

    async def ping(self) -> None:
        """Raise StoreDown unless a round trip to the server works now."""

    async def close(self) -> None:
        """Finish what was begun and let go of the connections."""


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


Clock = Callable[[], int]
"""Now, in milliseconds since 1970 in UTC; injected, so that tests can move it."""


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One read or change of a patient's data, after NEN 7513. Holds identifiers, never content.

    `action` is read, create, update or delete; `actor` is a pseudonym of the user, or the name of a step.
    """

    tenant: str
    patient: str
    actor: str
    role: str
    action: str
    object_kind: str
    object: str
    purpose: str
    basis: str
    outcome: str = "success"


class AccessLog(Protocol):
    """Where every read and change of patient data is written down."""

    async def record(self, entry: AccessEntry) -> None:
        """Durable when it returns. Raises StoreDown."""


class Epd(Protocol):
    """The connections to one tenant's EPD."""

    async def exchange(self, frame: bytes, control_id: str, partition: str, urgent: bool) -> bytes:
        """Send one HL7 message and return the raw acknowledgement.

        Messages of one `partition` keep their order. Raises EpdDown when nothing was sent, AckUnknown (in
        `messaging_service.epd.acknowledgement`) when it was sent and no acknowledgement of it came in time.
        """

    async def probe(self) -> None:
        """Raise EpdDown unless a connection can be made now."""

    async def close(self) -> None:
        """Let go of the connections."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """What on-call is told: that there is an urgent message, and where. Never what it says."""

    tenant: str
    thread: str
    message: str
    accepted_at: int
    count: int


class OnCall(Protocol):
    """The ways to wake whoever is on call at one tenant."""

    async def page(self, alarm: Alarm) -> None:
        """Returns once at least one channel took it. Raises OnCallUnreachable."""


class PortalWebhook(Protocol):
    """A tenant's portal, told of progress without content."""

    async def post(self, event_id: str, body: bytes) -> None:
        """Returns once the portal answered 2xx. Raises WebhookDown."""


class Operations(Protocol):
    """The channel to whoever keeps the service running."""

    async def tell(self, key: str, text: str) -> None:
        """Tell once; a channel that fails is logged and counted, since the log line itself is the last resort."""


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
