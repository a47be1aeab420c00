"""The application's parts on the embedded adapters, in this process, with a clock that tests move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from messaging_service.adapters.working_days import TenantWorkingDays
from messaging_service.application import codec
from messaging_service.application.accept_terms import AcceptTerms
from messaging_service.application.access_anchors import Anchors
from messaging_service.application.access_log import ChainedAccessLog
from messaging_service.application.accounts import Accounts
from messaging_service.application.administer import Administer
from messaging_service.application.alerts import Alerts
from messaging_service.application.awaited import Awaited
from messaging_service.application.change_accounts import ChangeAccounts
from messaging_service.application.close_accounts import CloseAccounts
from messaging_service.application.codec import outgoing, pack, to_document
from messaging_service.application.converse import Converse
from messaging_service.application.end_quiet_care import EndQuietCare
from messaging_service.application.mark_read import MarkRead
from messaging_service.application.mend import Mend
from messaging_service.application.patients import Patients
from messaging_service.application.persist import Persist
from messaging_service.application.ports import Actor, Alarm, Document, Envelope
from messaging_service.application.read import Reader
from messaging_service.application.reads import Reads
from messaging_service.application.recipients import Recipients
from messaging_service.application.relations import Relations
from messaging_service.application.represent import Represent
from messaging_service.application.threads import StoredMessage, Threads
from messaging_service.application.topology import persist_queue
from messaging_service.crypto.keyring import Keyring
from messaging_service.crypto.sealing import Place
from messaging_service.domain.errors import OnCallUnreachable
from messaging_service.domain.events import MessageAccepted, MessagePersisted
from messaging_service.domain.message import (
    Author,
    BodyFormat,
    Content,
    Identifier,
    Lane,
    Submission,
    Triage,
    thread_of,
)
from messaging_service.tenants import Tenant
from tests.parts.faulty import FaultyBroker, FaultyStore
from workers.runner import Runner, Station

STAFF = Actor("staff", "appointments", "role")
START = 1_780_000_000_000
SECRET_TEXT = "Ik durf het niemand te zeggen"
PATIENCE = 10.0
LADDER_MS = (20, 30, 40)
DEFERRAL_MS = 25
OPENER_DEFERRALS = 20


@dataclass(slots=True)
class MovedClock:
    """Milliseconds that pass only when a test says so."""

    now: int = START

    def __call__(self) -> int:
        return self.now

    def minutes(self, minutes: float) -> None:
        """Let so many minutes pass."""
        self.now += int(60_000 * minutes)


@dataclass(slots=True)
class Told:
    """The operations channel: every key and text that it took; `down` takes none and counts them."""

    told: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    refused: int = 0

    async def tell(self, key: str, text: str) -> bool:
        if self.down:
            self.refused += 1
        else:
            self.told.append((key, text))
        return not self.down

    @property
    def keys(self) -> list[str]:
        return [key for key, _ in self.told]


@dataclass(slots=True)
class Counted:
    """The meter: what was counted, in order."""

    outcomes: list[tuple[str, str]] = field(default_factory=list)
    circuits: list[tuple[str, bool]] = field(default_factory=list)
    acks: list[tuple[str, str, str]] = field(default_factory=list)

    def accepted(self, tenant: str, lane: str) -> None: ...
    def refused(self, problem: str) -> None: ...
    def channel(self, channel: str, outcome: str) -> None: ...
    def token(self, reason: str) -> None: ...

    def handled(self, queue: str, outcome: str) -> None:
        self.outcomes.append((queue, outcome))

    def acknowledged(self, tenant: str, lane: str, code: str, waited_ms: int) -> None:
        self.acks.append((tenant, lane, code))

    def circuit(self, queue: str, open: bool) -> None:
        self.circuits.append((queue, open))

    def of(self, queue: str) -> list[str]:
        """The outcomes of one queue."""
        return [outcome for name, outcome in self.outcomes if name == queue]


@dataclass(slots=True)
class Pager:
    """On-call: the alarms it took; `down` takes none."""

    alarms: list[Alarm] = field(default_factory=list)
    down: bool = False

    async def page(self, alarm: Alarm) -> None:
        if self.down:
            raise OnCallUnreachable(alarm.tenant)
        self.alarms.append(alarm)

    async def rehearse(self, alarm: Alarm) -> tuple[str, ...]:
        if self.down:
            return ("webhook",)
        self.alarms.append(alarm)
        return ()


class Service:
    """One process's parts. `another` is a second process over the same store, queues and keys."""

    def __init__(
        self,
        store: FaultyStore,
        broker: FaultyBroker,
        tenants: Mapping[str, Tenant],
        keyring: Keyring,
        clock: MovedClock,
    ) -> None:
        self.store = store
        self.broker = broker
        self.tenants = dict(tenants)
        self.keyring = keyring
        self.clock = clock
        self.operations = Told()
        self.meter = Counted()
        self.patients = Patients(store, keyring)
        self.accounts = Accounts(store, self.patients, keyring, clock)
        self.relations = Relations(store, self.patients)
        self.threads = Threads(store)
        calendars = {tenant.id: TenantWorkingDays(tenant.reply) for tenant in tenants.values()}
        self.awaited = Awaited(store=store, threads=self.threads, calendars=calendars, clock=clock)
        self.anchors = Anchors(store, keyring, clock)
        self.access_log = ChainedAccessLog(store, self.patients, self.anchors, clock)
        self.alerts = Alerts(store, self.operations, clock)
        self.change_accounts = ChangeAccounts(self.accounts, self.access_log, clock)
        self.administer = Administer(
            patients=self.patients,
            accounts=self.accounts,
            change=self.change_accounts,
            alerts=self.alerts,
            clock=clock,
        )
        self.represent = Represent(accounts=self.accounts, change=self.change_accounts, clock=clock)
        self.accept_terms = AcceptTerms(store=store, accounts=self.accounts, clock=clock)
        self.reader = Reader(
            store=store,
            patients=self.patients,
            accounts=self.accounts,
            threads=self.threads,
            reads=Reads(store, self.threads),
            awaited=self.awaited,
            keyring=keyring,
            access_log=self.access_log,
        )
        self.mark_read = MarkRead(
            reads=Reads(store, self.threads), broker=broker, access_log=self.access_log, clock=clock
        )
        self.converse = Converse(
            reader=self.reader,
            accounts=self.accounts,
            threads=self.threads,
            reads=Reads(store, self.threads),
            mark_read=self.mark_read,
            broker=broker,
            keyring=keyring,
            access_log=self.access_log,
            clock=clock,
        )
        self.recipients = Recipients(
            accounts=self.accounts, patients=self.patients, relations=self.relations, clock=clock
        )
        self.close_accounts = CloseAccounts(
            tenants=self.tenants, store=store, accounts=self.accounts, change=self.change_accounts, clock=clock
        )
        self.end_quiet_care = EndQuietCare(
            tenants=self.tenants,
            store=store,
            relations=self.relations,
            closing=self.close_accounts,
            clock=clock,
        )
        self.persist = Persist(
            tenants=tenants,
            keyring=keyring,
            patients=self.patients,
            accounts=self.accounts,
            relations=self.relations,
            threads=self.threads,
            awaited=self.awaited,
            access_log=self.access_log,
            clock=clock,
            opener_deferrals=OPENER_DEFERRALS,
        )
        self._numbers = 0

    def another(self) -> Service:
        """The same store, queues and keys, seen by another process; operations and meter are shared."""
        other = Service(self.store, self.broker, self.tenants, self.keyring, self.clock)
        other.operations, other.meter = self.operations, self.meter
        other.alerts = Alerts(self.store, self.operations, self.clock)
        return other

    async def account(self, patient: str = "1234", tenant: str = "spijkenisse") -> str:
        """The id of the patient's account, made when there is none."""
        made = await self.administer.open(self.tenants[tenant], numbers(patient), "A. Jansen", STAFF)
        return made.id

    def mend(self) -> Mend:
        """What operations do with parked messages."""
        return Mend(
            store=self.store, threads=self.threads, broker=self.broker, access_log=self.access_log, clock=self.clock
        )

    def message_id(self, patient: str = "1234", tenant: str = "spijkenisse", key: str | None = None) -> str:
        """An id as the gateway issues them."""
        owner = self.patients.key(tenant, numbers(patient))
        return self.keyring.message_id(tenant, owner, key, b"")

    def accepted(
        self,
        patient: str = "1234",
        *,
        tenant: str = "spijkenisse",
        thread: str | None = None,
        lane: Lane = Lane.NORMAL,
        alarm: bool | None = None,
        message: str | None = None,
        run: str = "run",
        **submission: Any,
    ) -> MessageAccepted:
        """A message as the gateway queues it."""
        id = message or self.message_id(patient, tenant)
        urgent = lane is Lane.URGENT
        self._numbers += 1
        packed = pack(submitted(patient, urgent, **submission))
        return MessageAccepted(
            message=id,
            tenant=tenant,
            thread=thread_of(id, thread),
            lane=lane,
            alarm=urgent if alarm is None else alarm,
            accepted_at=self.clock(),
            run=run,
            number=self._numbers,
            sealed=self.keyring.seal_transit(packed, Place(tenant, "", id, "submission")),
            identifier=self.patients.key(tenant, numbers(patient)),
        )

    async def persisted(self, event: MessageAccepted | None = None, **accepted: Any) -> StoredMessage:
        """A message in the store, its filing waiting."""
        event = event or self.accepted(**accepted)
        await self.persist(enveloped(event))
        stored = await self.threads.message(event.message)
        assert stored is not None
        return stored

    async def document(self, value: object, collection: Any) -> bool:
        """Insert a dataclass."""
        return (await self.store.insert(collection, [to_document(value)]))[0]

    async def all(self, collection: Any, index: str, **equal: Any) -> list[Document]:
        """Every document with these values."""
        return await self.store.find(collection, index, equal, limit=10_000)

    async def queued(self, queue: str) -> list[Envelope]:
        """What waits in a queue now; it stays there."""
        ready = (await self.broker.depths([queue]))[queue].ready
        found = []
        async with self.broker.inner.consume(queue, max(ready, 1)) as deliveries:
            for _ in range(ready):
                found.append((await asyncio.wait_for(anext(deliveries), PATIENCE)).envelope)
        return found

    async def arrives(self, queue: str, number: int = 1) -> None:
        """Wait until a queue holds so many."""

        async def enough() -> bool:
            return (await self.broker.depths([queue]))[queue].ready >= number

        await eventually(enough)

    async def holds(self, queue: str, number: int) -> list[Envelope]:
        """What a queue holds once it holds so many."""
        await self.arrives(queue, number)
        return await self.queued(queue)

    @asynccontextmanager
    async def running(self, *stations: Station) -> AsyncIterator[asyncio.Event]:
        """These stations at work; yields the stop signal, and at the end waits until all have stopped."""
        stop = asyncio.Event()
        async with asyncio.timeout(4 * PATIENCE), asyncio.TaskGroup() as group:
            for station in stations:
                runner = Runner(
                    station,
                    broker=self.broker,
                    alerts=self.alerts,
                    meter=self.meter,
                    ladder_ms=LADDER_MS,
                    stop=stop,
                )
                group.create_task(runner.run())
            try:
                yield stop
            finally:
                stop.set()


def numbers(patient: str) -> tuple[Identifier, ...]:
    """A patient's identifiers: the local number alone."""
    return (Identifier("local", patient),)


def submitted(patient: str = "1234", urgent: bool = False, **changes: Any) -> Submission:
    """What the gateway seals; `text`, `department`, `identifiers`, `checked` … change it."""
    text = changes.pop("text", SECRET_TEXT)
    content = Content("Vraag", text, text, BodyFormat.TEXT, BodyFormat.TEXT, "nl")
    topics = ("cardiac",) if urgent else ()
    given: dict[str, Any] = {
        "identifiers": numbers(patient),
        "patient_name": "A. Jansen",
        "author": Author(f"sub-{patient}", "patient", "A. Jansen"),
        "content": content,
        "triage": Triage(urgent, urgent, False, topics, (), (), "test"),
        "department": None,
        "reply_by": "2026-06-02",
        "checked": True,
    }
    return Submission(**{**given, **changes})


def enveloped(event: Any, **headers: str | int) -> Envelope:
    """An event as a step gets it."""
    return outgoing(persist_queue(Lane.NORMAL), event, headers).envelope


def persisted_event(message: StoredMessage) -> MessagePersisted:
    """The event that follows the persist step."""
    return MessagePersisted(message.id, message.tenant, message.thread, Lane(message.lane), message.accepted_at)


def event_in(envelope: Envelope, kind: type[codec.T]) -> codec.T:
    """The event in an envelope."""
    return codec.read_event(envelope, kind)


async def eventually(holds: Callable[[], bool | Awaitable[bool]], patience: float = PATIENCE) -> None:
    """Wait until the condition holds; fails the test when it never does."""
    async with asyncio.timeout(patience):
        while True:
            told = holds()
            if told if isinstance(told, bool) else await told:
                return
            await asyncio.sleep(0.005)  # the condition lies beyond this loop: in a file, or in another task
