"""Store an accepted message under its patient's own key, routed, in its place in the thread."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

from messaging_service.application.accounts import Accounts
from messaging_service.application.actors import author
from messaging_service.application.awaited import Awaited
from messaging_service.application.codec import Outgoing, outgoing, read_event, unpack
from messaging_service.application.patients import Patient, Patients
from messaging_service.application.ports import Access, AccessLog, Clock, Envelope
from messaging_service.application.relations import Relations
from messaging_service.application.threads import StoredMessage, StoredThread, Threads
from messaging_service.application.topology import file_queue
from messaging_service.application.visibility import sees
from messaging_service.crypto.keyring import Keyring
from messaging_service.crypto.sealing import Place
from messaging_service.domain.errors import Conflict, Deferred, MessageFault, UnsealFailed
from messaging_service.domain.events import MessageAccepted, MessagePersisted
from messaging_service.domain.message import Lane, Submission
from messaging_service.domain.refusals import Forbidden
from messaging_service.domain.routing import route
from messaging_service.tenants import Tenant


class Persist:
    """The use case of the persist step. A repeat changes nothing and publishes the same event again."""

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        keyring: Keyring,
        patients: Patients,
        accounts: Accounts,
        relations: Relations,
        threads: Threads,
        awaited: Awaited,
        access_log: AccessLog,
        clock: Clock,
        opener_deferrals: int,
    ) -> None:
        """After `opener_deferrals` a message does not wait any longer for the one that opens its thread."""
        self._tenants = tenants
        self._keyring = keyring
        self._patients = patients
        self._accounts = accounts
        self._relations = relations
        self._threads = threads
        self._awaited = awaited
        self._access_log = access_log
        self._clock = clock
        self._opener_deferrals = opener_deferrals
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        """Persist the message of a MessageAccepted.

        Raises:
            Deferred: the message that opens its thread is not stored yet.
            MessageFault: it cannot be opened or belongs to no tenant here.
            StoreDown: the store does not answer.
        """
        event = read_event(envelope, MessageAccepted)
        tenant = self._tenants.get(event.tenant)
        if tenant is None:
            raise MessageFault("tenant_unknown")
        submission = self._open(event)
        turn = self._turns.setdefault(event.thread, asyncio.Lock())
        async with turn:  # messages of one thread take their places in the order of the queue
            waits = envelope.count("deferred") < self._opener_deferrals
            stored = await self._store(tenant, event, submission, waits)
        persisted = MessagePersisted(stored.id, stored.tenant, stored.thread, event.lane, stored.accepted_at)
        return [outgoing(file_queue(tenant.id, event.lane), persisted)]

    def _open(self, event: MessageAccepted) -> Submission:
        try:
            packed = self._keyring.open_transit(event.sealed, Place(event.tenant, "", event.message, "submission"))
        except UnsealFailed as problem:
            raise MessageFault("transit_seal") from problem
        return unpack(packed, Submission)

    async def _store(
        self, tenant: Tenant, event: MessageAccepted, submission: Submission, waits: bool
    ) -> StoredMessage:
        try:
            patient = await self._patients.ensure(tenant.id, submission.identifiers, submission.patient_name)
            submission = await self._allowed(tenant, event, submission, patient, waits)
            message = await self._compose(tenant, event, submission, patient)
            private = submission.private if event.thread == event.message else None
            thread = StoredThread.opened(event.thread, tenant.id, patient.id, event.accepted_at, private=private)
            stored = await self._threads.add(thread, message)
        except Conflict as problem:
            raise MessageFault("conflict") from problem
        basis = "treatment relation" if stored.routed_by == "relation" else stored.routed_by
        by = author(self._keyring, tenant, submission.author, basis)
        kept, *_ = await asyncio.gather(  # what follows from the stored message, in one commit
            self._patients.is_kept(stored.patient),
            self._threads.await_filing(stored),
            self._awaited.expect(tenant, stored),
            self._access_log.record(Access(tenant.id, patient.id, by, "create", "message", stored.id, "treatment")),
        )
        if not kept:
            await self._awaited.forget(stored.id)
            await self._threads.take_back(stored)
            raise MessageFault("record_destroyed")
        return stored

    async def _allowed(
        self, tenant: Tenant, event: MessageAccepted, submission: Submission, patient: Patient, waits: bool
    ) -> Submission:
        """What the gateway could not check while the store was down is checked here, as of its acceptance."""
        if not submission.checked:
            try:
                entry = await self._accounts.let_in_at(tenant, patient.id, submission.author, event.accepted_at)
            except Forbidden as problem:
                raise MessageFault(_reason(problem), final=True) from problem
            submission = replace(submission, author=entry.author)
        if event.thread != event.message:
            await self._require_own_thread(event, submission, patient, waits)
        return submission

    async def _require_own_thread(
        self, event: MessageAccepted, submission: Submission, patient: Patient, waits: bool
    ) -> None:
        thread = await self._threads.thread(event.thread)
        if thread is None:
            key = self._patients.key(event.tenant, submission.identifiers)
            own = self._keyring.is_message_id_of(event.tenant, key, event.thread)
        else:
            records = await self._patients.members(patient.id)
            own = thread.tenant == event.tenant and sees(submission.author, records, thread)
        if not own:
            raise MessageFault("thread_of_another", final=True)
        may_wait = thread is None and waits and event.lane is Lane.NORMAL
        if may_wait and not await self._threads.opener_is_parked(event.thread):
            raise Deferred  # the message that opens it is still to come: another worker has it, or died with it

    async def _compose(
        self, tenant: Tenant, event: MessageAccepted, submission: Submission, patient: Patient
    ) -> StoredMessage:
        relations = await self._relations.of(patient.id)
        decision = route(tenant.routing, relations, submission.department, event.accepted_at)
        return StoredMessage(
            id=event.message,
            tenant=tenant.id,
            patient=patient.id,
            thread=event.thread,
            place=0,
            lane=event.lane,
            care_team=decision.care_team,
            department=decision.department,
            routed_by=decision.reason,
            reply_by=submission.reply_by,
            accepted_at=event.accepted_at,
            persisted_at=self._clock(),
            run=event.run,
            number=event.number,
            sealed=patient.seal(event.message, "submission", submission),
        )


def _reason(refusal: Forbidden) -> str:
    """`AccountBlocked` → `account_blocked`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(refusal).__name__).lower()
