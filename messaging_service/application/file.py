"""File a persisted message, or a later change of it, into the EPD and keep the acknowledgement as proof."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from messaging_service.application.actors import step
from messaging_service.application.alerts import Alerts
from messaging_service.application.changes import Changes, StoredChange
from messaging_service.application.codec import Outgoing, outgoing, read_event
from messaging_service.application.compose import Compose
from messaging_service.application.ports import Access, AccessLog, AccessPoint, AtTurn, Clock, Envelope, Epd, Meter
from messaging_service.application.threads import StoredMessage, Threads, required
from messaging_service.application.topology import notify_queue
from messaging_service.domain.errors import Conflict, Deferred, EpdDown, MessageFault
from messaging_service.domain.events import ChangeOrdered, MessageFiled, MessagePersisted
from messaging_service.domain.filing import OPEN_STATES, Filing, FilingState, changed_message, is_change
from messaging_service.domain.message import Lane
from messaging_service.epd.acknowledgement import (
    AckCode,
    Acknowledgement,
    AckUnknown,
    AckUnreadable,
    Unanswered,
    parse_ack,
)
from messaging_service.epd.policy import Action, Verdict
from messaging_service.epd.render import DocumentTemplate
from messaging_service.tenants import Tenant

_FILE = step("file", "treatment", AccessPoint.EPD)
_SILENCES_UNTIL_DOWN = 3
"""So many sendings in a row without an acknowledgement, and it is the EPD that is down, not a message."""

_WRITTEN_AHEAD_SECONDS = 1.0
"""So old an intent may be when its turn comes (decision 031)."""


@dataclass(slots=True)
class EpdLine:
    """One tenant's EPD: its connections, its compiled template, how often in a row it was silent."""

    tenant: Tenant
    epd: Epd
    template: DocumentTemplate
    silences: int = 0

    def require_heard(self) -> None:
        """Raise EpdDown when it was silent so often in a row that the messages are not to blame."""
        if self.silences >= _SILENCES_UNTIL_DOWN:
            raise EpdDown(f"{self.tenant.id}: no acknowledgement, {self.silences} times in a row")


class File:
    """The use case of the file step, for one message at a time and any number of them at once."""

    def __init__(
        self,
        *,
        lines: Mapping[str, EpdLine],
        compose: Compose,
        threads: Threads,
        changes: Changes,
        access_log: AccessLog,
        alerts: Alerts,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._alerts = alerts
        self._meter = meter
        self._lines = lines
        self._compose = compose
        self._threads = threads
        self._changes = changes
        self._access_log = access_log
        self._clock = clock

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        """File what a MessagePersisted or a ChangeOrdered names, unless the EPD has it or it was given up already.

        Raises:
            Deferred: its predecessor in the thread is not filed yet, or another worker is sending it now.
            MessageFault: the EPD refused it, or did not acknowledge it.
            EpdDown: the EPD cannot be reached or is silent to everything.
        """
        event = _event_in(envelope)
        line = self._lines.get(event.tenant)
        if line is None:
            raise MessageFault("tenant_unknown")
        filing, stored, change = await asyncio.gather(  # asked together they are one round trip
            self._threads.filing(event.message),
            self._threads.message(changed_message(event.message)),
            self._change_of(event.message),
        )
        if filing is None or filing.tenant != event.tenant:
            raise MessageFault("not_in_store", final=True)
        if filing.state not in OPEN_STATES:
            return filed_events(filing, event.thread)
        message = required(stored)
        if event.lane is Lane.NORMAL and change is None:
            await self._wait_for_predecessor(message)
        filing = await self._send(line, filing, message, change, envelope.count("attempt") + 1)
        return filed_events(filing, event.thread)

    async def _change_of(self, id: str) -> StoredChange | None:
        return await self._changes.get(id) if is_change(id) else None

    async def _wait_for_predecessor(self, message: StoredMessage) -> None:
        """An urgent predecessor has itself waited for nobody, so those before it are looked at as well."""
        before = await self._threads.predecessor(message)
        while before is not None:
            filing = await self._threads.filing(before.id)
            if filing is None or filing.state in OPEN_STATES:
                raise Deferred
            if before.lane == Lane.NORMAL:
                return
            before = await self._threads.predecessor(before)

    async def _send(
        self, line: EpdLine, filing: Filing, message: StoredMessage, change: StoredChange | None, attempt: int
    ) -> Filing:
        now = self._clock()
        self._require_sendable(line, filing, now)
        frame = line.template.render(await self._compose(line.tenant, message, change, filing.control_id, now))
        sending, silences = filing, line.silences

        async def write_down() -> None:
            """At its connection's turn or just before: while a message waits longer nothing of it is under way."""
            nonlocal sending
            if line.silences > silences:
                line.require_heard()
            if sending is filing:
                sending = await self._begin_sending(filing, message)
            else:
                sending = await self._change(sending.sending(self._clock()))

        try:
            acknowledgement = await self._exchange(line, filing.control_id, frame, message, write_down)
        except EpdDown:
            if sending is not filing:
                await self._change(sending.unsent(filing))
            raise
        except AckUnknown as problem:
            raise await self._unanswered(line, sending, attempt, problem.why) from problem
        except AckUnreadable as problem:
            raise await self._unanswered(line, sending, attempt, Unanswered.GARBLED) from problem
        line.silences = 0
        return await self._record(line, sending, acknowledgement, attempt)

    async def _begin_sending(self, filing: Filing, message: StoredMessage) -> Filing:
        """That it is read and that it is sent are written together; both are durable before the first byte."""
        sending, recorded = await asyncio.gather(
            self._change(filing.sending(self._clock())),
            self._access_log.record(_access(message)),
            return_exceptions=True,
        )
        if isinstance(sending, BaseException):
            raise sending
        if isinstance(recorded, BaseException):
            await self._change(sending.unsent(filing))
            raise recorded
        return sending

    def _require_sendable(self, line: EpdLine, filing: Filing, now: int) -> None:
        """A message that another worker is sending waits; one whose worker died on it is of unknown outcome."""
        if filing.state is FilingState.WAITING:
            return
        answers = 2 if line.tenant.epd.answers_twice_here else 1
        epd = line.tenant.epd
        under_way_ms = 1000 * (_WRITTEN_AHEAD_SECONDS + epd.connect_timeout + answers * epd.ack_timeout)
        if filing.state is FilingState.SENDING and now - filing.attempts[-1].sent_at < under_way_ms:
            raise Deferred
        if line.tenant.epd.policy.on_unknown == "park":
            raise MessageFault("ack-unknown", final=True)

    async def _exchange(
        self, line: EpdLine, control_id: str, frame: bytes, message: StoredMessage, at_turn: AtTurn
    ) -> Acknowledgement:
        partition, urgent = message.patient, message.lane == Lane.URGENT
        return parse_ack(await line.epd.exchange(frame, control_id, partition, urgent, at_turn))

    async def _unanswered(self, line: EpdLine, filing: Filing, attempt: int, why: Unanswered) -> MessageFault:
        """What to raise: silence to one message is counted against it. Silence to all is the EPD's fault: EpdDown."""
        line.silences += 1  # before the next one on this connection has its turn
        await self._change(filing.unanswered())
        self._meter.acknowledged(line.tenant.id, filing.lane, "unknown", 0)
        line.require_heard()
        verdict = line.tenant.epd.policy.judge_unknown(why, attempt)
        await self._tell_of_refusals(line, verdict)
        return MessageFault(verdict.reason, final=verdict.action is Action.PARK)

    async def _record(self, line: EpdLine, filing: Filing, ack: Acknowledgement, attempts: int) -> Filing:
        sent = filing.attempts[-1]
        now = self._clock()
        answered = sent.answered(ack.code, ack.error, ack.control_id, now, ack.digest)
        verdict = line.tenant.epd.policy.judge(ack, attempts)
        filed = verdict.action is Action.FILED
        state = state_after(line.tenant, ack.code) if filed else FilingState.WAITING
        filing = await self._change(filing.answered(answered, state))
        self._meter.acknowledged(line.tenant.id, filing.lane, ack.code, now - filing.accepted_at)
        if not only_committed(line.tenant, ack.code):  # which says nothing of the filing
            await self._tell_of_refusals(line, verdict)
        if not filed:
            raise MessageFault(verdict.reason, final=verdict.action is Action.PARK)
        return filing

    async def _tell_of_refusals(self, line: EpdLine, verdict: Verdict) -> None:
        """One alert when the EPD begins to refuse what the policy calls alarming, one when it files again."""
        key = f"epd-refuses {line.tenant.id}"
        if verdict.action is Action.FILED:
            await self._alerts.over(key, f"{line.tenant.id}: the EPD files again")
        elif verdict.alert:
            text = f"{line.tenant.id}: the EPD answers {verdict.reason}; see `messaging-service parked list`"
            await self._alerts.begin(key, text)

    async def _change(self, filing: Filing) -> Filing:
        try:
            return await self._threads.change(filing)
        except Conflict as problem:
            raise Deferred from problem


def _event_in(envelope: Envelope) -> MessagePersisted | ChangeOrdered:
    if envelope.kind == ChangeOrdered.__name__:
        return read_event(envelope, ChangeOrdered)
    return read_event(envelope, MessagePersisted)


def only_committed(tenant: Tenant, code: AckCode) -> bool:
    """Whether it is a commit that is to be followed by more."""
    return code is AckCode.CA and tenant.epd.profile.answers_twice


def state_after(tenant: Tenant, code: AckCode) -> FilingState:
    """What a positive answer proves: an engine's, or a commit that is to be followed by more, only the delivery."""
    if only_committed(tenant, code) or tenant.epd.acknowledged_by == "engine":
        return FilingState.DELIVERED
    return FilingState.FILED


def filed_events(filing: Filing, thread: str) -> list[Outgoing]:
    """What the portal is told: that a message is filed. Of changes, and of what is only delivered, nothing."""
    if filing.state is not FilingState.FILED or is_change(filing.id):
        return []
    event = MessageFiled(filing.id, filing.tenant, thread, filing.filed_at)
    return [outgoing(notify_queue(filing.tenant), event)]


def _access(message: StoredMessage) -> Access:
    return Access(message.tenant, message.patient, _FILE, "read", "message", message.id, "filing in the EPD")
