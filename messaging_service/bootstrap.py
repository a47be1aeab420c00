"""Settings → the running parts. The one place that knows every adapter."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import structlog

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.metrics import Metrics
from messaging_service.adapters.mllp import MllpClient, MllpPool
from messaging_service.adapters.mongodb import MongoDocuments
from messaging_service.adapters.on_call import OnCallChannels
from messaging_service.adapters.operations import OperationsChannel
from messaging_service.adapters.portal_webhook import StandardWebhook
from messaging_service.adapters.rabbitmq import RabbitBroker
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.access_log import ChainedAccessLog
from messaging_service.application.accounts import Accounts
from messaging_service.application.acknowledge import ApplicationAcknowledgement
from messaging_service.application.alerts import Alerts
from messaging_service.application.care import CareFeed
from messaging_service.application.changes import Changes
from messaging_service.application.collections import ALL
from messaging_service.application.correct import Correct
from messaging_service.application.escalate import Duty
from messaging_service.application.file import EpdLine
from messaging_service.application.ledger import Ledger
from messaging_service.application.park import Mend
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Broker, Clock, DocumentStore, PortalWebhook, Topology
from messaging_service.application.queue_ages import QueueAges
from messaging_service.application.receive import Receive
from messaging_service.application.receive_replies import Replies
from messaging_service.application.reconcile import Reconcile
from messaging_service.application.relations import Relations
from messaging_service.application.threads import Threads
from messaging_service.application.topology import topology
from messaging_service.application.unmatched import UnmatchedDocuments
from messaging_service.config import Settings, load_tenants
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import ServerFault, SettingInvalid
from messaging_service.epd.render import DocumentTemplate
from messaging_service.tenants import Epd, Tenant
from messaging_service.transport import require_encrypted

log = structlog.get_logger()

_MONGO_DATABASE = "messaging"
_PAUSE_BETWEEN_TRIES = 2.0


def system_clock() -> int:
    """Milliseconds since 1970 in UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs in one process, connected."""

    settings: Settings
    tenants: Mapping[str, Tenant]
    topology: Topology
    clock: Clock
    keyring: Keyring
    broker: Broker
    store: DocumentStore
    http: aiohttp.ClientSession
    metrics: Metrics
    patients: Patients
    accounts: Accounts
    relations: Relations
    threads: Threads
    changes: Changes
    access_log: ChainedAccessLog
    alerts: Alerts
    closing: AsyncExitStack

    @property
    def queues(self) -> tuple[str, ...]:
        """The names of all queues."""
        return tuple(queue.name for queue in self.topology.queues)

    def ages(self) -> QueueAges:
        """What tells how old the oldest message of a queue is."""
        return QueueAges(tuple(self.tenants), self.store, self.clock)

    def ledger(self) -> Ledger:
        """The check by id that nothing is lost."""
        return Ledger(
            tenants=self.tenants,
            store=self.store,
            broker=self.broker,
            queues=self.queues,
            ladder_ms=self.settings.ladder_ms,
            clock=self.clock,
        )

    def mend(self) -> Mend:
        """What operations do with parked messages."""
        return Mend(store=self.store, threads=self.threads, broker=self.broker)

    def correct(self) -> Correct:
        """What corrects and withdraws filed messages."""
        return Correct(
            tenants=self.tenants,
            store=self.store,
            broker=self.broker,
            patients=self.patients,
            threads=self.threads,
            changes=self.changes,
            access_log=self.access_log,
            clock=self.clock,
        )

    def reconcile(self) -> Reconcile:
        """What proves filings by the EPD's own list."""
        return Reconcile(
            store=self.store,
            broker=self.broker,
            threads=self.threads,
            changes=self.changes,
            alerts=self.alerts,
            clock=self.clock,
        )

    def application_acknowledgement(self) -> ApplicationAcknowledgement:
        """What takes the EPD's second answers from the listener."""
        return ApplicationAcknowledgement(
            store=self.store,
            broker=self.broker,
            threads=self.threads,
            alerts=self.alerts,
            meter=self.metrics,
            clock=self.clock,
            ladder_ms=self.settings.ladder_ms,
        )

    def unmatched(self) -> UnmatchedDocuments:
        """The clinicians' documents that belong to no thread for certain."""
        return UnmatchedDocuments(store=self.store, keyring=self.keyring, alerts=self.alerts)

    def replies(self) -> Replies:
        """What puts clinicians' documents into threads."""
        return Replies(
            store=self.store,
            broker=self.broker,
            keyring=self.keyring,
            patients=self.patients,
            threads=self.threads,
            unmatched=self.unmatched(),
            access_log=self.access_log,
            clock=self.clock,
        )

    def care(self) -> CareFeed:
        """What keeps treatment relations and identity true."""
        return CareFeed(store=self.store, patients=self.patients, access_log=self.access_log)

    def receive(self) -> Receive:
        """What answers the messages of an EPD."""
        return Receive(
            store=self.store,
            keyring=self.keyring,
            replies=self.replies(),
            care=self.care(),
            acknowledged=self.application_acknowledgement(),
            alerts=self.alerts,
            meter=self.metrics,
            clock=self.clock,
        )

    def epd_lines(self) -> dict[str, EpdLine]:
        """A connection pool and a compiled template for each tenant's EPD."""
        lines = {}
        for tenant in self.tenants.values():
            pool = epd_pool(tenant.epd)
            self.closing.push_async_callback(pool.close)
            lines[tenant.id] = EpdLine(tenant, pool, DocumentTemplate.compile(tenant.epd.profile))
        return lines

    def duties(self) -> dict[str, Duty]:
        """The on-call channels of each tenant."""
        settings, count = self.settings, self.metrics.channel
        duties = {}
        for tenant in self.tenants.values():
            channels = OnCallChannels(
                tenant, self.http, self.clock, smtp=settings.smtp, mail_from=settings.mail_from, count=count
            )
            self.closing.push_async_callback(channels.close)
            duties[tenant.id] = Duty(tenant, channels)
        return duties

    def webhooks(self) -> dict[str, PortalWebhook]:
        """The portals' webhooks, for the tenants that have one."""
        return {
            tenant.id: StandardWebhook(tenant.portal, self.http, self.clock)
            for tenant in self.tenants.values()
            if tenant.portal is not None
        }


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
        broker, store = _broker(settings, name), _store(settings)
        closing.push_async_callback(broker.close)
        closing.push_async_callback(store.close)
        await closing.enter_async_context(_reached("MESSAGING_STORE", partial(store.open, ALL), wait))
        prepare = partial(_prepare, broker, queues if declare else None)
        await closing.enter_async_context(_reached("MESSAGING_BROKER", prepare, wait))
        http = await closing.enter_async_context(aiohttp.ClientSession())
        yield _assemble(settings, tenants, queues, keyring, broker, store, http, closing)


def _assemble(
    settings: Settings,
    tenants: Mapping[str, Tenant],
    queues: Topology,
    keyring: Keyring,
    broker: Broker,
    store: DocumentStore,
    http: aiohttp.ClientSession,
    closing: AsyncExitStack,
) -> Parts:
    metrics, patients = Metrics(), Patients(store, keyring)
    operations = OperationsChannel(
        settings.ops_webhook, http, system_clock, count=partial(metrics.channel, "operations")
    )
    return Parts(
        settings=settings,
        tenants=tenants,
        topology=queues,
        clock=system_clock,
        keyring=keyring,
        broker=broker,
        store=store,
        http=http,
        metrics=metrics,
        patients=patients,
        accounts=Accounts(store),
        relations=Relations(store, patients),
        threads=Threads(store),
        changes=Changes(store),
        access_log=ChainedAccessLog(store, system_clock),
        alerts=Alerts(store, operations, system_clock),
        closing=closing,
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


def _broker(settings: Settings, name: str) -> Broker:
    url = settings.broker
    require_encrypted("MESSAGING_BROKER", url)
    if url.startswith("embedded:"):
        return EmbeddedBroker(Path(url.removeprefix("embedded:")))
    tls = ssl.create_default_context(cafile=settings.ca_file) if url.startswith("amqps:") else None
    return RabbitBroker(url, name=name, tls=tls)


def _store(settings: Settings) -> DocumentStore:
    url = settings.store
    require_encrypted("MESSAGING_STORE", url)
    if url.startswith("sqlite:"):
        return SqliteDocuments(Path(url.removeprefix("sqlite:")))
    database = urlsplit(url).path.strip("/") or _MONGO_DATABASE
    return MongoDocuments(url, database, settings.store_driver)


def epd_pool(epd: Epd) -> MllpPool:
    """The connections to one EPD, not yet made.

    Raises:
        SettingInvalid: the address is not mllp://host:port or mllps://host:port, or is unencrypted off this machine.
    """
    parts = urlsplit(epd.address)
    if parts.scheme not in ("mllp", "mllps") or not parts.hostname or not parts.port:
        raise SettingInvalid(f"[epd] address {epd.address!r} must be mllp://host:port or mllps://host:port")
    if not epd.unencrypted:
        require_encrypted("[epd] address", epd.address)
    host, port, tls = parts.hostname, parts.port, _tls(epd) if parts.scheme == "mllps" else None

    def client() -> MllpClient:
        return MllpClient(
            host,
            port,
            tls=tls,
            connect_timeout=epd.connect_timeout,
            ack_timeout=epd.ack_timeout,
            answers_twice=epd.answers_twice_here,
        )

    return MllpPool(tuple(client() for _ in range(epd.connections)), client())


def _tls(epd: Epd) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=epd.ca_file)
    if epd.client_certificate:
        context.load_cert_chain(epd.client_certificate, epd.client_key)
    return context
