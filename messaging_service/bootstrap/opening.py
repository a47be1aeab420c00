"""Settings → the running parts: connect, wait for servers, close."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import aiohttp
import structlog

from messaging_service.adapters.counted_broker import CountedBroker
from messaging_service.adapters.metrics import Metrics
from messaging_service.adapters.operations import OperationsChannel
from messaging_service.adapters.traced_broker import TracedBroker
from messaging_service.adapters.working_days import TenantWorkingDays
from messaging_service.application.access_anchors import Anchors
from messaging_service.application.access_log import ChainedAccessLog
from messaging_service.application.accounts import Accounts
from messaging_service.application.alerts import Alerts
from messaging_service.application.changes import Changes
from messaging_service.application.collections import ALL
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Broker, DocumentStore, Topology
from messaging_service.application.relations import Relations
from messaging_service.application.threads import Threads
from messaging_service.application.topology import topology
from messaging_service.bootstrap.parts import Parts
from messaging_service.bootstrap.servers import broker_of, store_of
from messaging_service.bootstrap.traces import traces_of
from messaging_service.config import Settings, load_tenants
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import ServerFault, SettingInvalid
from messaging_service.tenants import Tenant

log = structlog.get_logger()

_PAUSE_BETWEEN_TRIES = 2.0


def system_clock() -> int:
    """Milliseconds since 1970 in UTC."""
    return time.time_ns() // 1_000_000


@asynccontextmanager
async def open_parts(
    settings: Settings, name: str, *, declare: bool = True, wait: bool = False
) -> AsyncIterator[Parts]:
    """Connect everything and, at the end, close it.

    `name` shows in the broker's list of connections. With `wait`, a server that is down is connected once it is up,
    while the rest runs: without the store urgent messages get in and alarms go out, and without the broker every
    answer still carries its notice. Without `wait`, ServerFault is raised.

    Raises:
        SettingInvalid: a setting, tenant file or keyring is wrong.
        TopologyMismatch: a queue exists with other arguments; in an ExceptionGroup when it is found later.
    """
    tenants = load_tenants(settings.tenants)
    keyring = _keyring(settings.keyring)
    queues = topology(tenants, settings.ladder_ms)
    async with AsyncExitStack() as closing:
        broker, store = broker_of(settings, name), store_of(settings)
        closing.push_async_callback(broker.close)
        closing.push_async_callback(store.close)
        await closing.enter_async_context(_reached("MESSAGING_STORE", partial(store.open, ALL), wait))
        prepare = partial(_prepare, broker, queues if declare else None)
        await closing.enter_async_context(_reached("MESSAGING_BROKER", prepare, wait))
        http = await closing.enter_async_context(aiohttp.ClientSession())
        parts = _assemble(settings, name, tenants, queues, keyring, broker, store, http, closing)
        closing.push_async_callback(parts.access_log.close)
        yield parts


def _assemble(
    settings: Settings,
    name: str,
    tenants: Mapping[str, Tenant],
    queues: Topology,
    keyring: Keyring,
    broker: Broker,
    store: DocumentStore,
    http: aiohttp.ClientSession,
    closing: AsyncExitStack,
) -> Parts:
    metrics, patients = Metrics(), Patients(store, keyring)
    traces = traces_of(settings, name, metrics.spans_lost, closing)
    anchors = Anchors(store, keyring, system_clock)
    operations = OperationsChannel(
        settings.ops_webhook, http, system_clock, count=partial(metrics.channel, "operations")
    )
    return Parts(
        settings=settings,
        name=name,
        tenants=tenants,
        topology=queues,
        clock=system_clock,
        keyring=keyring,
        broker=(
            CountedBroker(broker, metrics.published)
            if traces is None
            else TracedBroker(broker, metrics.published, traces)
        ),
        store=store,
        http=http,
        metrics=metrics,
        patients=patients,
        accounts=Accounts(store, patients, keyring, system_clock),
        relations=Relations(store, patients),
        threads=Threads(store),
        changes=Changes(store),
        anchors=anchors,
        access_log=ChainedAccessLog(store, patients, anchors, system_clock, f"{name}@{socket.gethostname()}"),
        alerts=Alerts(store, operations, system_clock),
        calendars={tenant.id: TenantWorkingDays(tenant.reply) for tenant in tenants.values()},
        pools={},
        closing=closing,
        traces=traces,
    )


async def _prepare(broker: Broker, queues: Topology | None) -> None:
    await broker.open()
    if queues is not None:
        await broker.declare(queues)


@asynccontextmanager
async def _reached(setting: str, attempt: Callable[[], Awaitable[None]], wait: bool) -> AsyncIterator[None]:
    """A server connected by `attempt`; with `wait` one that is down is tried again and again, meanwhile."""
    try:
        await attempt()
    except ServerFault as fault:
        if not wait:
            raise
        log.warning("waiting_for_server", setting=setting, server=fault.server)
        async with asyncio.TaskGroup() as meanwhile:
            reaching = meanwhile.create_task(_reach(setting, attempt))
            yield
            reaching.cancel()
    else:
        yield


def _keyring(path: Path) -> Keyring:
    try:
        return Keyring.load(path)
    except SettingInvalid as problem:
        said = f"MESSAGING_KEYRING={path}: {problem.detail}; `messaging-service keys init` makes a new one"
        raise SettingInvalid(said) from problem


async def _reach(setting: str, attempt: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(_PAUSE_BETWEEN_TRIES)
        with suppress(ServerFault):
            await attempt()
            log.warning("server_reached", setting=setting)
            return
