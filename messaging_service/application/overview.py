"""How the service does now, as a tenant's operations see it; cheap enough to be asked every other second."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from messaging_service.application.codec import from_document
from messaging_service.application.collections import ALARMS, ALERTS, AWAITED, FILINGS
from messaging_service.application.escalate import StoredAlarm
from messaging_service.application.mend import Kind, Mend
from messaging_service.application.ports import Broker, Clock, Depth, DocumentStore
from messaging_service.application.processes import SeenProcess, running
from messaging_service.application.rehearsals import ALARM_PATH
from messaging_service.application.samples import MINUTE_MS, Flow, Samples
from messaging_service.application.topology import SHARED_QUEUES, queues_of
from messaging_service.application.watch_ledger import KeptReport, last_report
from messaging_service.domain.awaited import AwaitedReply, Outcome
from messaging_service.domain.errors import BrokerDown

_RATE_MINUTES = 5
_SHOWN_ALARMS = 50
_SHOWN_OVERDUE = 10
_SHOWN_IDS = 20
_RECENT_MS = 1_000
_SHARED_SERVERS, _OWN_SERVERS = ("broker", "store", "keyring"), ("epd", "on-call", "webhook")
_ALERT_IS_OLD_AFTER_MS = 600_000


@dataclass(frozen=True, slots=True)
class QueueNow:
    """One queue: what waits, the age of the oldest (milliseconds), and what moved a minute in the last five.

    `depth` is None while the broker does not answer. `shared`: every tenant's messages pass it.
    """

    queue: str
    shared: bool
    depth: int | None
    consumers: int
    oldest_ms: int | None
    put_a_minute: float
    done_a_minute: float
    failed: int


@dataclass(frozen=True, slots=True)
class View:
    """All of it. `down` names the servers that a step waits for; `at` is in milliseconds."""

    at: int
    tenant: str
    queues: tuple[QueueNow, ...]
    down: tuple[str, ...]
    processes: tuple[SeenProcess, ...]
    parked: tuple[Kind, ...]
    alarms: tuple[StoredAlarm, ...]
    open_alarms: int
    overdue: tuple[AwaitedReply, ...]
    open_overdue: int
    ledger: KeptReport | None


class Overview:
    """Reads live depths from the broker and a bounded number of documents from the store, whatever is in it."""

    def __init__(self, *, store: DocumentStore, broker: Broker, mend: Mend, samples: Samples, clock: Clock) -> None:
        self._store = store
        self._broker = broker
        self._mend = mend
        self._samples = samples
        self._clock = clock

    async def __call__(self, tenant: str) -> View:
        """As a tenant sees it. Raises StoreDown; a broker that is down is told in the view."""
        now = self._clock()
        queues, broker_down = await self._queues(tenant, now)
        down = await self._down(tenant, now)
        open_alarms = {"tenant": tenant, "state": "open"}
        alarms = await self._store.find(ALARMS, "of_tenant", open_alarms, limit=_SHOWN_ALARMS)
        overdue = {"tenant": tenant, "outcome": Outcome.OVERDUE}
        late = await self._store.find(AWAITED, "by_outcome", overdue, limit=_SHOWN_OVERDUE)
        return View(
            at=now,
            tenant=tenant,
            queues=queues,
            down=tuple(dict.fromkeys((*(("broker",) if broker_down else ()), *down))),
            processes=tuple(await running(self._store, now)),
            parked=tuple(await self._mend.kinds(tenant)),
            alarms=tuple(from_document(document, StoredAlarm) for document in alarms),
            open_alarms=await self._store.count(ALARMS, "of_tenant", open_alarms),
            overdue=tuple(from_document(document, AwaitedReply) for document in late),
            open_overdue=await self._store.count(AWAITED, "by_outcome", overdue),
            ledger=await self._ledger(tenant),
        )

    async def _ledger(self, tenant: str) -> KeptReport | None:
        """What the ledger said last, without the ids of other tenants' messages; what is lost belongs to nobody yet."""
        report = await last_report(self._store)
        if report is None or not any(report.findings.values()):
            return report
        shown = {name: ids[:_SHOWN_IDS] for name, ids in report.findings.items()}
        filings = await self._store.get_many(FILINGS, [id for ids in shown.values() for id in ids])
        others = {id for id, filing in filings.items() if filing["tenant"] != tenant}
        own = {name: [id for id in ids if id not in others] for name, ids in shown.items()}
        return replace(report, findings=own)

    async def _queues(self, tenant: str, now: int) -> tuple[tuple[QueueNow, ...], bool]:
        names = (*SHARED_QUEUES, *queues_of(tenant))
        sampled = await self._samples.last(tenant, _RATE_MINUTES)
        depths: dict[str, Depth] = {}
        with suppress(BrokerDown):  # the page says so, and shows what else is known
            depths = await self._broker.depths(names)
        return tuple(_queue_now(name, depths.get(name), sampled[name], now) for name in names), not depths

    async def _down(self, tenant: str, now: int) -> list[str]:
        """The servers whose alert stands: those of this tenant, and those that all share."""
        shared = {f"{server}-down": server for server in _SHARED_SERVERS}
        own = {f"{server}-down {tenant}": server for server in _OWN_SERVERS}
        keys = {**shared, **own, f"{ALARM_PATH} {tenant}": ALARM_PATH}
        standing = await self._store.get_many(ALERTS, list(keys))
        return [
            server
            for key, server in keys.items()
            if key in standing and not standing[key].get("ended") and now - standing[key]["at"] < _ALERT_IS_OLD_AFTER_MS
        ]


class Recent:
    """The overview, made at most once a second for each tenant, however many look."""

    def __init__(self, overview: Overview, clock: Clock) -> None:
        self._overview = overview
        self._clock = clock
        self._views: dict[str, View] = {}
        self._turns: Mapping[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __call__(self, tenant: str) -> View:
        """As `Overview`."""
        async with self._turns[tenant]:
            known = self._views.get(tenant)
            if known is None or not 0 <= self._clock() - known.at < _RECENT_MS:
                known = self._views[tenant] = await self._overview(tenant)
            return known


def _queue_now(
    name: str, depth: Depth | None, sampled: Sequence[tuple[int | None, int | None, Flow]], now: int
) -> QueueNow:
    flows, whole = [flow for _, _, flow in sampled], len(sampled) - 1
    return QueueNow(
        queue=name,
        shared=name in SHARED_QUEUES,
        depth=depth.ready if depth else None,
        consumers=depth.consumers if depth else 0,
        oldest_ms=_oldest(depth, [oldest for _, oldest, _ in sampled], now),
        put_a_minute=round(sum(flow.put for flow in flows[:-1]) / whole, 1),
        done_a_minute=round(sum(flow.done for flow in flows[:-1]) / whole, 1),
        failed=sum(flow.failed for flow in flows),
    )


def _oldest(depth: Depth | None, sampled: Sequence[int | None], now: int) -> int | None:
    """The broker's own word, else the last sample's with what has passed since; None where nothing waits."""
    if depth is None or not depth.ready or depth.oldest_ms is not None:
        return depth.oldest_ms if depth and depth.ready else None
    for ago, seconds in enumerate(reversed(sampled)):
        if seconds is not None:
            return seconds * 1000 + ago * MINUTE_MS + (now % MINUTE_MS if ago else 0)
    return None
