"""What operations look at and mend with."""

from __future__ import annotations

from functools import partial

from messaging_service.application.behind import BehindNumbers
from messaging_service.application.feed import Feed
from messaging_service.application.journey import Journeys
from messaging_service.application.ledger import Ledger
from messaging_service.application.mend import Mend
from messaging_service.application.overview import Overview
from messaging_service.application.processes import Condition, Presence
from messaging_service.application.queue_ages import QueueAges
from messaging_service.application.reconcile import Reconcile
from messaging_service.application.restored import Restored
from messaging_service.application.rewrap import Rewrap
from messaging_service.application.samples import Sampler, Samples
from messaging_service.application.untold import Untold
from messaging_service.application.watch_ledger import WatchLedger
from messaging_service.bootstrap.parts import Parts


def make_ages(parts: Parts) -> QueueAges:
    """What tells how old the oldest message of a queue is."""
    return QueueAges(tuple(parts.tenants), parts.store, parts.clock)


def make_ledger(parts: Parts) -> Ledger:
    """The check by id that nothing is lost."""
    return Ledger(
        tenants=parts.tenants,
        store=parts.store,
        broker=parts.broker,
        queues=parts.queues,
        ladder_ms=parts.settings.ladder_ms,
        clock=parts.clock,
    )


def make_watch_ledger(parts: Parts) -> WatchLedger:
    """What checks the ledger by the clock."""
    return WatchLedger(store=parts.store, ledger=make_ledger(parts), alerts=parts.alerts, clock=parts.clock)


def make_mend(parts: Parts) -> Mend:
    """What operations do with parked messages."""
    return Mend(
        store=parts.store, threads=parts.threads, broker=parts.broker, access_log=parts.access_log, clock=parts.clock
    )


def make_sampler(parts: Parts) -> Sampler:
    """What adds this process's share to the samples of the queues."""
    return Sampler(
        tenants=tuple(parts.tenants),
        store=parts.store,
        broker=parts.broker,
        ages=make_ages(parts),
        flows=parts.metrics.flows,
        clock=parts.clock,
    )


def _condition(parts: Parts) -> Condition:
    connections = {tenant: pool.connections() for tenant, pool in parts.pools.items()}
    return Condition(parts.metrics.open_circuits(), connections)


def make_presence(parts: Parts) -> Presence:
    """What writes down that this process runs."""
    return Presence(parts.store, parts.name, parts.clock, partial(_condition, parts))


def make_samples(parts: Parts) -> Samples:
    """The samples of the queues."""
    return Samples(parts.store, parts.clock)


def make_overview(parts: Parts) -> Overview:
    """What the operations page shows first."""
    return Overview(
        store=parts.store, broker=parts.broker, mend=make_mend(parts), samples=make_samples(parts), clock=parts.clock
    )


def make_journey(parts: Parts) -> Journeys:
    """What operations see of one message."""
    return Journeys(store=parts.store, threads=parts.threads, changes=parts.changes, access_log=parts.access_log)


def make_behind(parts: Parts) -> BehindNumbers:
    """What finds the messages behind a number."""
    untold = Untold(
        store=parts.store, threads=parts.threads, patients=parts.patients, feed=Feed(parts.store), clock=parts.clock
    )
    return BehindNumbers(store=parts.store, threads=parts.threads, untold=untold, clock=parts.clock)


def make_reconcile(parts: Parts) -> Reconcile:
    """What proves filings by the EPD's own list."""
    return Reconcile(
        store=parts.store,
        broker=parts.broker,
        threads=parts.threads,
        changes=parts.changes,
        alerts=parts.alerts,
        clock=parts.clock,
    )


def make_restored(parts: Parts) -> Restored:
    """What follows on a restore of the store."""
    return Restored(store=parts.store, broker=parts.broker, threads=parts.threads, clock=parts.clock)


async def missing_keys(parts: Parts) -> list[str]:
    """What is wrong with the KEKs in use, a sentence each: found here before a patient finds it."""
    rewrap = Rewrap(parts.store, parts.keyring)
    return [fault for tenant in parts.tenants for fault in await rewrap.missing(tenant)]
