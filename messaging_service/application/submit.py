"""A portal posts a patient's message: check, judge, seal, queue; 202 only after every confirm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from messaging_service.application.accounts import Accounts, Entry
from messaging_service.application.callers import PATIENT, Writer
from messaging_service.application.codec import Outgoing, outgoing, pack
from messaging_service.application.journal import Journal, Outcome
from messaging_service.application.limit_messages import Counted
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Broker, Clock, WorkingDays
from messaging_service.application.relations import Relations
from messaging_service.application.threads import Threads
from messaging_service.application.topology import escalate_queue, persist_queue
from messaging_service.application.triage import Judged, judge
from messaging_service.application.visibility import sees
from messaging_service.crypto.keyring import Keyring, fields_digest
from messaging_service.crypto.sealing import Place
from messaging_service.domain.errors import BrokerDown, MessagingError, PublishUnknown, StoreDown
from messaging_service.domain.events import MessageAccepted
from messaging_service.domain.message import (
    BodyFormat,
    Lane,
    Submission,
    Triage,
    thread_of,
)
from messaging_service.domain.quota import Allowance
from messaging_service.domain.refusals import (
    DepartmentUnknown,
    Forbidden,
    NotFound,
    NoTreatmentRelation,
    Refusal,
    ThreadClosed,
)
from messaging_service.domain.reply import reply_expected_by
from messaging_service.screening.screener import Screener
from messaging_service.tenants import Tenant


@dataclass(frozen=True, slots=True)
class SubmitMessage:
    """What a portal posts. `thread` and `department` are optional, so is the idempotency key.

    `private`: the thread that it opens is the patient's alone.
    """

    writer: Writer
    subject: str
    body: str
    format: BodyFormat
    language: str
    thread: str | None = None
    department: str | None = None
    idempotency_key: str | None = None
    private: bool = False
    traceparent: str = ""

    @property
    def size(self) -> int:
        """Bytes of what is written, in UTF-8."""
        return len(self.subject.encode()) + len(self.body.encode())


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a message that is durably queued; `reply_by` is an ISO date, `allowances` what may follow it."""

    message: str
    thread: str
    reply_by: str
    triage: Triage
    allowances: tuple[Allowance, ...] = ()


class AfterReading(MessagingError):
    """The message was refused after its text was read, so the answer shows the notice that fits it."""

    def __init__(self, cause: MessagingError, triage: Triage) -> None:
        super().__init__()
        self.cause = cause
        self.triage = triage


class Submit:
    """The use case of POST /v1/messages.

    `limit` takes the message from what its writer and its portal may send, and raises TooMany.
    """

    def __init__(
        self,
        *,
        broker: Broker,
        patients: Patients,
        accounts: Accounts,
        relations: Relations,
        threads: Threads,
        screener: Screener,
        keyring: Keyring,
        journal: Journal,
        calendars: Mapping[str, WorkingDays],
        limit: Callable[[Counted], Awaitable[tuple[Allowance, ...]]],
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._patients = patients
        self._accounts = accounts
        self._relations = relations
        self._threads = threads
        self._screener = screener
        self._keyring = keyring
        self._journal = journal
        self._calendars = calendars
        self._limit = limit
        self._clock = clock
        self._reply_days: dict[str, tuple[date, str]] = {}

    async def __call__(self, command: SubmitMessage) -> Accepted:
        """Accept the message, or say why not.

        Raises:
            AfterReading: wraps every refusal and fault that comes once the text was read.
        """
        judged = await judge(
            self._screener,
            subject=command.subject,
            body=command.body,
            format=command.format,
            language=command.language,
            detect_urgency=command.writer.tenant.detection.urgency,
        )
        try:
            return await self._accept(command, judged)
        except MessagingError as problem:
            raise AfterReading(problem, judged.triage) from problem

    async def _accept(self, command: SubmitMessage, judged: Judged) -> Accepted:
        if judged.refused is not None:
            raise judged.refused
        tenant, triage = command.writer.tenant, judged.triage
        if command.department and tenant.routing.department(command.department) is None and not triage.urgent:
            raise DepartmentUnknown
        patient = self._patients.key(tenant.id, command.writer.identifiers)
        message = self._message_id(patient, command)
        left = await self._limit(Counted(command.writer, patient, message, command.size, triage.urgent))
        accepted = Accepted(message, thread_of(message, command.thread), self._reply_by(tenant), triage, left)
        try:
            command, checked = await self._check(command, patient, triage)
        except Refusal:
            if triage.urgent:  # the writer may not post, yet somebody must know
                apart = replace(accepted, thread=self._refused_of(patient, command))
                event = self._event(command, judged, apart, number=0, checked=False)
                await self._confirm([self._escalate(event, {"traceparent": command.traceparent}, held=triage.alarm)])
            raise
        await self._publish(command, judged, accepted, checked)
        return accepted

    def _message_id(self, patient: str, command: SubmitMessage) -> str:
        digest = fields_digest(
            command.subject,
            command.body,
            command.format,
            command.language,
            command.thread,
            command.department,
            *(("private",) if command.private else ()),
        )
        return self._keyring.message_id(command.writer.tenant.id, patient, command.idempotency_key, digest)

    def _refused_of(self, patient: str, command: SubmitMessage) -> str:
        """In a thread's place, what the alarms of this writer's refused messages are counted under.

        The thread that the message names may be another's: its alarm must neither answer for this one, nor this one for
        what is written there next.
        """
        writer = command.writer
        return self._keyring.message_id(writer.tenant.id, patient, "refused", fields_digest(writer.author.subject))

    def _reply_by(self, tenant: Tenant) -> str:
        """The same for every message of a day, so it is worked out once a day."""
        received = datetime.fromtimestamp(self._clock() / 1000, UTC)
        today = received.astimezone(tenant.zone).date()
        known = self._reply_days.get(tenant.id)
        if known is None or known[0] != today:
            working = self._calendars[tenant.id].is_working_day
            day = reply_expected_by(received, tenant.reply.days, tenant.reply.count, tenant.zone, working)
            known = self._reply_days[tenant.id] = (today, day.isoformat())
        return known[1]

    async def _check(self, command: SubmitMessage, patient: str, triage: Triage) -> tuple[SubmitMessage, bool]:
        """Login, account, terms and thread or treatment relation allow it; the author as registered.

        False: the store is down and the message urgent, so persist checks.
        """
        writer = command.writer
        writer.require_assured()
        try:
            entry = await self._accounts.enter(writer, writing=True)
            if command.private and entry.author.role != PATIENT:
                raise Forbidden("a thread is private to the patient")
            if command.thread is not None:
                await self._require_own_thread(command, patient, entry)
            elif not writer.tenant.routing.first_contact:
                await self._require_relation(entry)
        except StoreDown:
            if not triage.urgent:
                raise
            return command, False
        return replace(command, writer=replace(writer, author=entry.author)), True

    async def _require_own_thread(self, command: SubmitMessage, patient: str, entry: Entry) -> None:
        tenant, id = command.writer.tenant.id, command.thread or ""
        thread = await self._threads.thread(id)
        if thread is None:
            issued, stored = self._keyring.is_message_id_of(tenant, patient, id), await self._threads.message(id)
            # a message in another thread opens none of its own; the opener may have been stored this moment
            if not issued or (stored is not None and stored.thread != id):
                raise NotFound
            return
        own = thread.patient == entry.patient  # the usual case needs no look at merged records
        records = (entry.patient,) if own else await self._patients.members(entry.patient)
        if thread.tenant != tenant or not sees(entry.author, records, thread):
            raise NotFound
        if thread.state != "open":
            raise ThreadClosed

    async def _require_relation(self, entry: Entry) -> None:
        """Somebody treats or treated the patient (KNMG guideline online contact): one who left may still ask."""
        for record in await self._patients.members(entry.patient):
            if await self._relations.of(record):
                return
        raise NoTreatmentRelation

    async def _publish(self, command: SubmitMessage, judged: Judged, accepted: Accepted, checked: bool) -> None:
        number, outcome = self._journal.next_number(), Outcome.UNKNOWN
        lane, trace = judged.triage.lane, {"traceparent": command.traceparent}
        try:
            event = self._event(command, judged, accepted, number, checked)
            targets = [outgoing(persist_queue(lane), event, trace)]
            if lane is Lane.URGENT:
                targets.append(self._escalate(event, trace))
            await self._confirm(targets)
            outcome = Outcome.CONFIRMED
        except PublishUnknown:
            raise
        except BrokerDown:
            outcome = Outcome.FAILED if lane is Lane.NORMAL else Outcome.UNKNOWN
            raise
        finally:
            self._journal.settle(number, accepted.message, lane, outcome, command.writer.tenant.id)

    async def _confirm(self, targets: list[Outgoing]) -> None:
        if len(targets) == 1:
            await self._broker.publish(targets[0].queue, targets[0].envelope)
            return
        done = await asyncio.gather(
            *(self._broker.publish(target.queue, target.envelope) for target in targets),
            return_exceptions=True,
        )
        for problem in done:
            if problem is not None:
                raise problem

    def _event(
        self, command: SubmitMessage, judged: Judged, accepted: Accepted, number: int, checked: bool
    ) -> MessageAccepted:
        writer, tenant = command.writer, command.writer.tenant.id
        submission = Submission(
            identifiers=writer.identifiers,
            patient_name=writer.patient_name,
            author=writer.author,
            content=judged.content,
            triage=judged.triage,
            department=command.department,
            reply_by=accepted.reply_by,
            checked=checked,
            private=command.private,
        )
        sealed = self._keyring.seal_transit(pack(submission), Place(tenant, "", accepted.message, "submission"))
        return MessageAccepted(
            message=accepted.message,
            tenant=tenant,
            thread=accepted.thread,
            lane=judged.triage.lane,
            alarm=judged.triage.alarm,
            accepted_at=self._clock(),
            run=self._journal.run,
            number=number,
            sealed=sealed,
            identifier=self._patients.key(tenant, writer.identifiers),
        )

    def _escalate(self, event: MessageAccepted, trace: Mapping[str, str], *, held: bool = False) -> Outgoing:
        """The escalate step needs to know that and where, not what: it gets the event without its content.

        With `held` the message is refused, so that step alone has it: it keeps the content, sealed, for on-call.
        """
        return outgoing(escalate_queue(event.tenant), event if held else replace(event, sealed=b""), trace)
