"""File a persisted message into the EPD and keep the acknowledgement as proof."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import Outgoing, outgoing, read_event, unpack
from messaging_service.application.patients import Patients
from messaging_service.application.ports import AccessEntry, AccessLog, Clock, Envelope, Epd, Meter
from messaging_service.application.threads import StoredMessage, Threads, required
from messaging_service.application.topology import notify_queue
from messaging_service.domain.errors import Conflict, Deferred, EpdDown, MessageFault
from messaging_service.domain.events import MessageFiled, MessagePersisted
from messaging_service.domain.filing import OPEN_STATES, Attempt, Filing, FilingState
from messaging_service.domain.message import BodyFormat, Lane, Submission
from messaging_service.epd.acknowledgement import (
    Acknowledgement,
    AckUnknown,
    AckUnreadable,
    Unanswered,
    parse_ack,
)
from messaging_service.epd.document import FilingDocument
from messaging_service.epd.policy import Action, Verdict
from messaging_service.epd.render import DocumentTemplate
from messaging_service.screening.sanitise import html_to_text
from messaging_service.tenants import Tenant

_SILENCES_UNTIL_DOWN = 3
"""So many sendings in a row without an acknowledgement, and it is the EPD that is down, not a message."""


@dataclass(slots=True)
class EpdLine:
    """One tenant's EPD: its connections, its compiled template, how often in a row it was silent."""

    tenant: Tenant
    epd: Epd
    template: DocumentTemplate
    silences: int = 0
    refusal_alert: str = ""


class File:
    """The use case of the file step, for one message at a time and any number of them at once."""

    def __init__(
        self,
        *,
        lines: Mapping[str, EpdLine],
        patients: Patients,
        threads: Threads,
        access_log: AccessLog,
        alerts: Alerts,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._alerts = alerts
        self._meter = meter
        self._lines = lines
        self._patients = patients
        self._threads = threads
        self._access_log = access_log
        self._clock = clock

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        """File the message of a MessagePersisted, unless it is filed or given up already.

        Raises:
            Deferred: its predecessor in the thread is not filed yet, or another worker is sending it now.
            MessageFault: the EPD refused it, or did not acknowledge it.
            EpdDown: the EPD cannot be reached or is silent to everything.
        """
        event = read_event(envelope, MessagePersisted)
        line = self._lines.get(event.tenant)
        if line is None:
            raise MessageFault("tenant_unknown")
        filing = await self._threads.filing(event.message)
        if filing is None or filing.tenant != event.tenant:
            raise MessageFault("not_in_store", final=True)
        if filing.state is FilingState.FILED:
            return self._filed(line, filing, event)
        if filing.state not in OPEN_STATES:
            return []
        message = required(await self._threads.message(event.message))
        if event.lane is Lane.NORMAL:
            await self._wait_for_predecessor(message)
        attempt = envelope.count("attempt") + 1
        return self._filed(line, await self._send(line, filing, message, attempt), event)

    def _filed(self, line: EpdLine, filing: Filing, event: MessagePersisted) -> list[Outgoing]:
        if line.tenant.portal is None:
            return []
        filed_at = filing.attempts[-1].acknowledged_at
        return [outgoing(notify_queue(event.tenant), MessageFiled(event.message, event.tenant, event.thread, filed_at))]

    async def _wait_for_predecessor(self, message: StoredMessage) -> None:
        before = await self._threads.predecessor(message)
        if before is None:
            return
        filing = await self._threads.filing(before.id)
        if filing is None or filing.state in OPEN_STATES:
            raise Deferred

    async def _send(self, line: EpdLine, filing: Filing, message: StoredMessage, attempt: int) -> Filing:
        now = self._clock()
        self._require_sendable(line, filing, now)
        frame = line.template.render(await self._document(line, message, filing.control_id, now))
        await self._access_log.record(_entry(message))
        sending = await self._change(filing.sending(now))
        try:
            acknowledgement = await self._exchange(line, sending, frame, message)
        except EpdDown:
            await self._change(sending.unsent(filing))
            raise
        except AckUnknown as problem:
            raise await self._unanswered(line, sending, attempt, problem.why) from problem
        except AckUnreadable as problem:
            raise await self._unanswered(line, sending, attempt, Unanswered.GARBLED) from problem
        line.silences = 0
        return await self._record(line, sending, acknowledgement, attempt)

    def _require_sendable(self, line: EpdLine, filing: Filing, now: int) -> None:
        """A message that another worker is sending waits; one whose worker died on it is of unknown outcome."""
        if filing.state is FilingState.WAITING:
            return
        under_way_ms = 1000 * (line.tenant.epd.connect_timeout + line.tenant.epd.ack_timeout)
        if filing.state is FilingState.SENDING and now - filing.attempts[-1].sent_at < under_way_ms:
            raise Deferred
        if line.tenant.epd.policy.on_unknown == "park":
            raise MessageFault("ack-unknown", final=True)

    async def _document(self, line: EpdLine, message: StoredMessage, control_id: str, now: int) -> FilingDocument:
        patient = await self._patients.load(message.patient)
        submission = unpack(patient.unseal(message.id, "submission", message.sealed), Submission)
        content, zone, team = (
            submission.content,
            line.tenant.zone,
            line.tenant.routing.team(message.care_team),
        )
        html = content.clean_format is BodyFormat.HTML
        body = await asyncio.to_thread(html_to_text, content.clean) if html else content.clean
        return FilingDocument(
            message_id=message.id,
            control_id=control_id,
            thread=None if message.place == 1 or message.id == message.thread else message.thread,
            written_at=datetime.fromtimestamp(message.accepted_at / 1000, zone),
            sent_at=datetime.fromtimestamp(now / 1000, zone),
            identifiers=submission.identifiers,
            patient_name=submission.patient_name,
            author_name=submission.author.name,
            author_role=submission.author.role,
            care_team_code=message.care_team,
            care_team_name=team.name if team else message.care_team,
            department_code=message.department,
            subject=content.subject,
            body=body,
            urgent=submission.triage.urgent,
            topics=submission.triage.topics,
            caution=submission.triage.caution,
            original_note=content.typed_format is BodyFormat.HTML,
        )

    async def _exchange(self, line: EpdLine, filing: Filing, frame: bytes, message: StoredMessage) -> Acknowledgement:
        control_id, urgent = filing.attempts[-1].control_id, message.lane == Lane.URGENT
        return parse_ack(await line.epd.exchange(frame, control_id, partition=message.patient, urgent=urgent))

    async def _unanswered(self, line: EpdLine, filing: Filing, attempt: int, why: Unanswered) -> EpdDown | MessageFault:
        """What to raise: silence to one message is counted against it, silence to all is the EPD's fault."""
        await self._change(filing.unanswered())
        self._meter.acknowledged(line.tenant.id, filing.lane, "unknown", 0)
        line.silences += 1
        if line.silences >= _SILENCES_UNTIL_DOWN:
            return EpdDown(f"{line.tenant.id}: no acknowledgement, {line.silences} times in a row")
        verdict = line.tenant.epd.policy.judge_unknown(why, attempt)
        await self._tell_of_refusals(line, verdict)
        return MessageFault(verdict.reason, final=verdict.action is Action.PARK)

    async def _record(self, line: EpdLine, filing: Filing, ack: Acknowledgement, attempts: int) -> Filing:
        sent = filing.attempts[-1]
        now = self._clock()
        answered = Attempt(sent.control_id, sent.sent_at, ack.code, ack.error, ack.control_id, now, ack.digest)
        verdict = line.tenant.epd.policy.judge(ack, attempts)
        filed = verdict.action is Action.FILED
        filing = await self._change(filing.answered(answered, FilingState.FILED if filed else FilingState.WAITING))
        self._meter.acknowledged(line.tenant.id, filing.lane, ack.code, now - filing.accepted_at)
        await self._tell_of_refusals(line, verdict)
        if not filed:
            raise MessageFault(verdict.reason, final=verdict.action is Action.PARK)
        return filing

    async def _tell_of_refusals(self, line: EpdLine, verdict: Verdict) -> None:
        """One alert when the EPD begins to refuse what the policy calls alarming, one when it files again."""
        if verdict.action is Action.FILED and line.refusal_alert:
            await self._alerts.end(line.refusal_alert, f"{line.tenant.id}: the EPD files again")
            line.refusal_alert = ""
        elif verdict.alert and not line.refusal_alert:
            line.refusal_alert = f"epd-refuses {line.tenant.id}"
            text = f"{line.tenant.id}: the EPD answers {verdict.reason}; see `messaging-service parked list`"
            await self._alerts.begin(line.refusal_alert, text)

    async def _change(self, filing: Filing) -> Filing:
        try:
            return await self._threads.change(filing)
        except Conflict as problem:
            raise Deferred from problem


def _entry(message: StoredMessage) -> AccessEntry:
    return AccessEntry(
        tenant=message.tenant,
        patient=message.patient,
        actor="file",
        role="system",
        action="read",
        object_kind="message",
        object=message.id,
        purpose="filing in the EPD",
        basis="treatment",
    )
