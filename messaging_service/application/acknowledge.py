"""The EPD's application acknowledgement when it comes later, as a message of its own (HL7 v2.5.1 §2.9.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import Outgoing, from_document, outgoing
from messaging_service.application.collections import FILINGS
from messaging_service.application.file import filed_events
from messaging_service.application.ports import Broker, Clock, DocumentStore, Meter
from messaging_service.application.threads import StoredMessage, Threads, required
from messaging_service.application.topology import PARK, file_queue
from messaging_service.domain.errors import Conflict
from messaging_service.domain.events import ChangeOrdered, MessagePersisted
from messaging_service.domain.filing import Filing, FilingState, changed_message, is_change
from messaging_service.domain.message import Lane
from messaging_service.epd.acknowledgement import Acknowledgement, parse_ack
from messaging_service.epd.policy import Action, Verdict
from messaging_service.tenants import Tenant

_ACCEPTED = ("AA", "CA")


class ApplicationAcknowledgement:
    """Takes the second answer of enhanced mode from the listener."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        broker: Broker,
        threads: Threads,
        alerts: Alerts,
        meter: Meter,
        clock: Clock,
        ladder_ms: Sequence[int],
    ) -> None:
        self._store = store
        self._broker = broker
        self._threads = threads
        self._alerts = alerts
        self._meter = meter
        self._clock = clock
        self._ladder_ms = ladder_ms

    async def __call__(self, tenant: Tenant, raw: bytes) -> bool:
        """Take an ACK message of the EPD, without frame; False when it is of nothing that was sent from here.

        Durable when it returns, and a repeat changes nothing.

        Raises:
            AckUnreadable: it is no acknowledgement.
            Conflict: the file step has that document in hand just now; the EPD is to send this again.
        """
        ack = parse_ack(raw)
        asked = {"tenant": tenant.id, "last_control_id": ack.control_id}
        found = await self._store.find(FILINGS, "by_control_id", asked, limit=1)
        if not found:
            return False
        filing = from_document(found[0], Filing)
        if filing.state is FilingState.SENDING:
            raise Conflict(f"filing of {filing.id}")
        known = filing.attempts[-1].ack_digest == ack.digest
        repeat = known and filing.state in (FilingState.DELIVERED, FilingState.WAITING)
        if repeat or filing.state in (FilingState.DELIVERED, FilingState.UNKNOWN):
            await self._settle(tenant, filing, ack, repeat)
        return True

    async def _settle(self, tenant: Tenant, filing: Filing, ack: Acknowledgement, repeat: bool) -> None:
        """Write the answer down, then what follows from it; after a crash between, the repeat makes up for it."""
        refusals = sum(a.code not in (*_ACCEPTED, "unknown") for a in filing.attempts) + (not repeat)
        verdict = tenant.epd.policy.judge(ack, refusals)
        message = required(await self._threads.message(changed_message(filing.id)))
        if not repeat:
            self._meter.acknowledged(tenant.id, filing.lane, ack.code, self._clock() - filing.accepted_at)
            before, filing = filing, await self._threads.change(self._answered(filing, ack, verdict))
            if before.state is FilingState.UNKNOWN and filing.state is FilingState.WAITING:
                return  # it is still in the queues, and goes on by what is known now
        if verdict.alert:
            text = f"{tenant.id}: the EPD answers {verdict.reason}; see `messaging-service parked list`"
            await self._alerts.begin(f"epd-refuses {tenant.id}", text)
        elif verdict.action is Action.FILED:
            await self._alerts.over(f"epd-refuses {tenant.id}", f"{tenant.id}: the EPD files again")
        for follows in self._follows(tenant, filing, message, verdict, refusals):
            again = verdict.action is Action.RETRY
            delay = self._ladder_ms[min(refusals, len(self._ladder_ms)) - 1] if again else 0
            await self._broker.publish(follows.queue, follows.envelope, delay_ms=delay)

    def _answered(self, filing: Filing, ack: Acknowledgement, verdict: Verdict) -> Filing:
        sent = filing.attempts[-1]
        attempt = sent.answered(ack.code, ack.error, ack.control_id, self._clock(), ack.digest)
        if verdict.action is Action.FILED:
            state = FilingState.FILED
        else:
            keeps = verdict.action is Action.PARK and filing.state is FilingState.DELIVERED
            state = FilingState.DELIVERED if keeps else FilingState.WAITING
        return filing.answered(attempt, state) if filing.is_unknown else filing.answered_later(attempt, state)

    def _follows(
        self, tenant: Tenant, filing: Filing, message: StoredMessage, verdict: Verdict, refusals: int
    ) -> list[Outgoing]:
        if verdict.action is Action.FILED:
            return filed_events(filing, message.thread)
        if verdict.action is Action.RETRY:
            said: dict[str, str | int] = {"attempt": refusals, "reason": verdict.reason}
            return [outgoing(file_queue(tenant.id, Lane(filing.lane)), event_of(filing, message), said)]
        return [parking(filing, message, verdict.reason)]


def event_of(filing: Filing, message: StoredMessage) -> MessagePersisted | ChangeOrdered:
    """The event that has this document filed."""
    kind = ChangeOrdered if is_change(filing.id) else MessagePersisted
    return kind(filing.id, filing.tenant, message.thread, Lane(filing.lane), filing.accepted_at)


def parking(filing: Filing, message: StoredMessage, reason: str) -> Outgoing:
    """What has the park step take over a document that was delivered and is not in the EPD."""
    queue = file_queue(filing.tenant, Lane(filing.lane))
    said: dict[str, str | int] = {"attempt": len(filing.attempts), "reason": reason, "delivered": 1}
    follows = outgoing(queue, event_of(filing, message), said)
    return replace(follows, queue=PARK)
