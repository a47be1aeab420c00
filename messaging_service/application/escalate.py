"""Tell on-call of an urgent message; needs no store to raise the alarm."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from messaging_service.application.codec import Outgoing, from_document, outgoing, read_event, to_document
from messaging_service.application.collections import ALARMS, HELD
from messaging_service.application.ports import Alarm, Clock, DocumentStore, Envelope, OnCall
from messaging_service.application.rehearsals import Rehearsals
from messaging_service.application.topology import notify_queue
from messaging_service.domain.errors import Conflict, MessageFault, StoreDown
from messaging_service.domain.events import AlarmRehearsed, MessageAccepted, MessageEscalated
from messaging_service.tenants import Tenant

OPEN = "open"
_COUNTED_FOR_MS = 3_600_000
"""How long an open alarm answers for its thread; what comes after rings again, for nobody may have heard it."""


@dataclass(frozen=True, slots=True)
class StoredAlarm:
    """The alarm of one thread (its `id`): open until somebody acknowledges, counting what came meanwhile.

    `climbed` is how many rungs of the chain were told; until `leased_until` one process is telling them.
    """

    id: str
    tenant: str
    state: str
    raised_at: int
    messages: tuple[str, ...]
    version: int = 1
    acknowledged_at: int = 0
    climbed: int = 0
    leased_until: int = 0
    dropped: int = 0

    @property
    def counted(self) -> int:
        """How many messages it answers for; the ids of a hundred are kept, the first among them."""
        return len(self.messages) + self.dropped

    def answers_for(self, now: int) -> bool:
        """Whether a message that comes now is counted under this alarm instead of ringing."""
        return self.state == OPEN and now - self.raised_at < _COUNTED_FOR_MS


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """An urgent message that was refused and told on-call of all the same; `sealed` for transit, `at` accepted.

    `identifier`: the keyed digest by which its patient is looked up.
    """

    id: str
    tenant: str
    thread: str
    at: int
    sealed: bytes = field(repr=False)
    identifier: str = ""


@dataclass(slots=True)
class Duty:
    """One tenant and the ways to wake whoever is on call there: first, and on each rung of its chain."""

    tenant: Tenant
    on_call: OnCall
    rungs: tuple[OnCall, ...] = ()


class Escalate:
    """The use case of the escalate step: one alarm a thread at a time, and never none for want of a store."""

    def __init__(self, *, duties: dict[str, Duty], store: DocumentStore, clock: Clock) -> None:
        self._duties = duties
        self._store = store
        self._clock = clock

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        """Raise the alarm of a MessageAccepted, or count it under its thread's open alarm; pass on an AlarmRehearsed.

        Raises:
            OnCallUnreachable: no channel took it; it is tried again until one does. Never for a rehearsal.
        """
        if envelope.kind == AlarmRehearsed.__name__:
            await self._rehearse(read_event(envelope, AlarmRehearsed))
            return []
        event = read_event(envelope, MessageAccepted)
        duty = self._duty(event.tenant)
        if event.alarm:
            await self._raise(duty, event)
        escalated = MessageEscalated(event.message, event.tenant, event.thread, self._clock())
        return [outgoing(notify_queue(event.tenant), escalated)]

    def _duty(self, tenant: str) -> Duty:
        duty = self._duties.get(tenant)
        if duty is None:
            raise MessageFault("tenant_unknown")
        return duty

    async def _rehearse(self, event: AlarmRehearsed) -> None:
        """Through every channel of everybody in the chain. One that stays away is noticed by its absence."""
        duty = self._duty(event.tenant)
        names = ("first", *(rung.name for rung in duty.tenant.on_call.chain))
        failed = []
        for number, (name, on_call) in enumerate(zip(names, (duty.on_call, *duty.rungs), strict=True)):
            rehearsal = Alarm(event.tenant, event.thread, event.message, event.accepted_at, 1, number, rehearsal=True)
            failed += [f"{name} {channel}" for channel in await on_call.rehearse(rehearsal)]
        with suppress(StoreDown):
            await Rehearsals(self._store, self._clock).taken(event.tenant, failed)

    async def _raise(self, duty: Duty, event: MessageAccepted) -> None:
        known = await self._open_alarm(event.thread)
        if known is None:  # told first, recorded after: a crash between means told twice, never not at all
            alarm = Alarm(event.tenant, event.thread, event.message, event.accepted_at, 1)
            await duty.on_call.page(alarm)
        if known is None or event.message not in known.messages:
            await self._record(event)
        if event.sealed:
            await self._hold(event)

    async def _open_alarm(self, thread: str) -> StoredAlarm | None:
        try:
            document = await self._store.get(ALARMS, thread)
        except StoreDown:
            return None
        alarm = from_document(document, StoredAlarm) if document else None
        return alarm if alarm and alarm.answers_for(self._clock()) else None

    async def _record(self, event: MessageAccepted) -> None:
        try:
            await self._add(event)
        except StoreDown:
            return  # on-call is told; a record that is missing only lets a next message of the thread ring again

    async def _hold(self, event: MessageAccepted) -> None:
        """Keep a message that was refused, so that on-call can open it; nobody else ever does."""
        at, sealed = event.accepted_at, event.sealed
        held = HeldMessage(event.message, event.tenant, event.thread, at, sealed, event.identifier)
        try:
            await self._store.insert(HELD, [to_document(held)])
        except StoreDown:
            return  # its writer was told that it was refused, and to call

    async def _add(self, event: MessageAccepted) -> None:
        fresh = StoredAlarm(event.thread, event.tenant, OPEN, self._clock(), (event.message,))
        if (await self._store.insert(ALARMS, [to_document(fresh)]))[0]:
            return
        document = await self._store.get(ALARMS, event.thread)
        if document is None:
            raise Conflict(f"alarm of {event.thread}")
        known = from_document(document, StoredAlarm)
        changed = replace(fresh, version=known.version)
        if known.answers_for(self._clock()):
            messages = tuple(dict.fromkeys((*known.messages, event.message)))
            kept = (messages[0], *messages[1:][-99:])
            changed = replace(known, messages=kept, dropped=known.dropped + len(messages) - len(kept))
        await self._store.replace(ALARMS, to_document(changed))
