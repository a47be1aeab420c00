"""A sample a minute of every queue, kept for a day, so that whoever looks at them costs the store next to nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import SAMPLES
from messaging_service.application.ports import Broker, Clock, DocumentStore
from messaging_service.application.queue_ages import QueueAges
from messaging_service.application.topology import SHARED_QUEUES, queues_of
from messaging_service.domain.errors import Conflict

MINUTE_MS = 60_000
KEPT_HOURS = 25
SHARED = "-"
"""In a tenant's place for the queues that every tenant's messages pass; no tenant's id."""

_HOUR = 60
_TRIES = 32


@dataclass(frozen=True, slots=True)
class Flow:
    """How many messages went into a queue, were done, or failed by their own fault (retried or parked)."""

    put: int = 0
    done: int = 0
    failed: int = 0


@dataclass(slots=True)
class Row:
    """One queue's hour, a place a minute. `depth` and `oldest` (seconds) are None where nobody looked."""

    queue: str
    depth: list[int | None] = field(default_factory=lambda: [None] * _HOUR)
    oldest: list[int | None] = field(default_factory=lambda: [None] * _HOUR)
    put: list[int] = field(default_factory=lambda: [0] * _HOUR)
    done: list[int] = field(default_factory=lambda: [0] * _HOUR)
    failed: list[int] = field(default_factory=lambda: [0] * _HOUR)


@dataclass(slots=True)
class Hour:
    """A tenant's samples of one hour; `hour` counts from 1970 in UTC."""

    id: str
    tenant: str
    hour: int
    rows: list[Row]
    version: int = 1

    @classmethod
    def fresh(cls, tenant: str, hour: int, queues: Sequence[str]) -> Hour:
        """An hour of which nothing is known."""
        return cls(hour_id(tenant, hour), tenant, hour, [Row(queue) for queue in queues])


def hour_id(tenant: str, hour: int) -> str:
    """The id of an hour's document."""
    return f"{tenant}.{hour}"


class Sampler:
    """Adds what this process did since it was asked last, and how deep the queues are unless another has looked.

    Every process has one, so that what each did is counted; they meet over one document an hour and tenant.
    """

    def __init__(
        self,
        *,
        tenants: Sequence[str],
        store: DocumentStore,
        broker: Broker,
        ages: QueueAges,
        flows: Callable[[], Mapping[str, Flow]],
        clock: Clock,
    ) -> None:
        """`flows` tells, by queue, what this process did since it began."""
        self._scopes = {**{tenant: queues_of(tenant) for tenant in tenants}, SHARED: SHARED_QUEUES}
        self._store = store
        self._broker = broker
        self._ages = ages
        self._flows = flows
        self._clock = clock
        self._written: dict[str, Flow] = {}

    async def __call__(self) -> None:
        """Write this minute. Raises StoreDown or BrokerDown; what was not written is in the next one."""
        hour, minute = divmod(self._clock() // MINUTE_MS, _HOUR)
        now = dict(self._flows())
        for tenant, queues in self._scopes.items():
            await self._add(tenant, hour, minute, queues, now)
            self._written.update({queue: now[queue] for queue in queues if queue in now})

    async def _add(self, tenant: str, hour: int, minute: int, queues: Sequence[str], now: Mapping[str, Flow]) -> None:
        for _ in range(_TRIES):
            document = await self._store.get(SAMPLES, hour_id(tenant, hour))
            known = from_document(document, Hour) if document else Hour.fresh(tenant, hour, queues)
            rows = {row.queue: row for row in known.rows}
            known.rows = [rows.get(queue) or Row(queue) for queue in queues]
            self._count(known, minute, now)
            await self._look(known, minute)
            if document is not None:
                if await self._store.replace(SAMPLES, to_document(known)):
                    return
            elif (await self._store.insert(SAMPLES, [to_document(known)]))[0]:
                await self._forget(tenant, hour - KEPT_HOURS)
                return
        raise Conflict(f"samples of {tenant}")

    def _count(self, hour: Hour, minute: int, now: Mapping[str, Flow]) -> None:
        for row in hour.rows:
            flow, before = now.get(row.queue, Flow()), self._written.get(row.queue, Flow())
            row.put[minute] += flow.put - before.put
            row.done[minute] += flow.done - before.done
            row.failed[minute] += flow.failed - before.failed

    async def _look(self, hour: Hour, minute: int) -> None:
        if all(row.depth[minute] is not None for row in hour.rows):
            return
        depths = await self._broker.depths([row.queue for row in hour.rows])
        ages = await self._ages.oldest_ms(depths)
        for row in hour.rows:
            row.depth[minute] = depths[row.queue].ready
            row.oldest[minute] = ages.get(row.queue, 0) // 1000

    async def _forget(self, tenant: str, before: int) -> None:
        for document in await self._store.find(SAMPLES, "by_hour", {"tenant": tenant}, below=before):
            await self._store.delete(SAMPLES, document["id"])


@dataclass(slots=True)
class Series:
    """One queue over a day in equal steps: the most of depth and age (seconds) in each, the sum of what moved."""

    queue: str
    depth: list[int | None]
    oldest: list[int | None]
    put: list[int]
    done: list[int]
    failed: list[int]


@dataclass(slots=True)
class Day:
    """A tenant's last 24 hours: `begins_at` in milliseconds, and how many minutes each value stands for."""

    begins_at: int
    minutes: int
    series: list[Series]


class Samples:
    """Reads what the samplers wrote: by id, so that it costs the same whatever else is stored."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def last(self, tenant: str, minutes: int) -> dict[str, list[tuple[int | None, int | None, Flow]]]:
        """By queue, the last so many whole minutes and the present one: depth, oldest (seconds), what moved."""
        now = self._clock() // MINUTE_MS
        hours = await self._hours(tenant, (now - minutes) // _HOUR, now // _HOUR)
        return {
            queue: [_at(hours, queue, minute) for minute in range(now - minutes, now + 1)] for queue in _queues(tenant)
        }

    async def day(self, tenant: str, step: int = 5) -> Day:
        """The last 24 hours in steps of so many minutes, the last one not over yet."""
        ends = self._clock() // MINUTE_MS // step * step + step
        begins = ends - 24 * _HOUR
        hours = await self._hours(tenant, begins // _HOUR, ends // _HOUR)
        series = [_series(hours, queue, begins, ends, step) for queue in _queues(tenant)]
        return Day(begins * MINUTE_MS, step, series)

    async def _hours(self, tenant: str, first: int, last: int) -> dict[tuple[str, int], Row]:
        """Rows by queue and hour."""
        ids = [hour_id(scope, hour) for scope in (tenant, SHARED) for hour in range(first, last + 1)]
        found = await self._store.get_many(SAMPLES, ids)
        hours = [from_document(document, Hour) for document in found.values()]
        return {(row.queue, hour.hour): row for hour in hours for row in hour.rows}


def _queues(tenant: str) -> tuple[str, ...]:
    return (*SHARED_QUEUES, *queues_of(tenant))


def _at(hours: Mapping[tuple[str, int], Row], queue: str, minute: int) -> tuple[int | None, int | None, Flow]:
    row, place = hours.get((queue, minute // _HOUR)), minute % _HOUR
    if row is None:
        return None, None, Flow()
    return row.depth[place], row.oldest[place], Flow(row.put[place], row.done[place], row.failed[place])


def _series(hours: Mapping[tuple[str, int], Row], queue: str, begins: int, ends: int, step: int) -> Series:
    series = Series(queue, [], [], [], [], [])
    for start in range(begins, ends, step):
        found = [_at(hours, queue, minute) for minute in range(start, start + step)]
        series.depth.append(max((depth for depth, _, _ in found if depth is not None), default=None))
        series.oldest.append(max((oldest for _, oldest, _ in found if oldest is not None), default=None))
        series.put.append(sum(flow.put for _, _, flow in found))
        series.done.append(sum(flow.done for _, _, flow in found))
        series.failed.append(sum(flow.failed for _, _, flow in found))
    return series
