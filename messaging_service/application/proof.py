"""Proof that comes after the first answer: the EPD's own acknowledgement of what was delivered."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from messaging_service.application.alerts import Alerts
from messaging_service.application.changes import Changes
from messaging_service.application.codec import Outgoing, from_document, outgoing
from messaging_service.application.collections import FILINGS
from messaging_service.application.file import filed_events
from messaging_service.application.park import Park
from messaging_service.application.ports import Broker, Clock, DocumentStore, Envelope, Meter
from messaging_service.application.threads import StoredMessage, Threads, required
from messaging_service.application.topology import PARK, file_queue
from messaging_service.domain.errors import Conflict
from messaging_service.domain.events import ChangeOrdered, MessagePersisted
from messaging_service.domain.filing import (
    TAKEN_STATES,
    Attempt,
    Filing,
    FilingState,
    changed_message,
    is_change,
)
from messaging_service.domain.message import Lane
from messaging_service.epd.acknowledgement import Acknowledgement, parse_ack
from messaging_service.epd.policy import Action
from messaging_service.tenants import Tenant


class Taken(StrEnum):
    """What became of an application acknowledgement. UNKNOWN: it is of nothing that was sent from here."""

    DONE = "done"
    UNKNOWN = "unknown"


class ApplicationAcknowledgement:
    """Takes the second answer of enhanced mode when it comes as a message of its own."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        broker: Broker,
        threads: Threads,
        sending_back: SendingBack,
        alerts: Alerts,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._store = store
        self._broker = broker
        self._threads = threads
        self._sending_back = sending_back
        self._alerts = alerts
        self._meter = meter
        self._clock = clock

    async def __call__(self, tenant: Tenant, raw: bytes) -> Taken:
        """An ACK message of the EPD, without frame; durable when it returns, and a repeat changes nothing.

        Raises:
            AckUnreadable: it is no acknowledgement.
            Conflict: the file step has this message in hand just now; the EPD is to send it again.
        """
        ack = parse_ack(raw)
        asked = {"tenant": tenant.id, "last_control_id": ack.control_id}
        found = await self._store.find(FILINGS, "by_control_id", asked, limit=1)
        if not found:
            return Taken.UNKNOWN
        filing = from_document(found[0], Filing)
        if filing.state is FilingState.SENDING:
            raise Conflict(f"filing of {filing.id}")
        if filing.state not in (FilingState.DELIVERED, FilingState.UNKNOWN):
            return Taken.DONE
        message = required(await self._threads.message(changed_message(filing.id)))
        for follows in await self._settle(tenant, filing, message, ack):
            await self._broker.publish(follows.queue, follows.envelope)
        return Taken.DONE

    async def _settle(
        self, tenant: Tenant, filing: Filing, message: StoredMessage, ack: Acknowledgement
    ) -> list[Outgoing]:
        now, sent = self._clock(), filing.attempts[-1]
        self._meter.acknowledged(tenant.id, filing.lane, ack.code, now - filing.accepted_at)
        refusals = sum(attempt.code not in ("AA", "CA") for attempt in filing.attempts) + 1
        verdict = tenant.epd.policy.judge(ack, refusals)
        answered = Attempt(sent.control_id, sent.sent_at, ack.code, ack.error, ack.control_id, now, ack.digest)
        state = FilingState.FILED if verdict.action is Action.FILED else FilingState.WAITING
        add = filing.answered_later if filing.state is FilingState.DELIVERED else filing.answered
        if verdict.alert:
            text = f"{tenant.id}: the EPD answers {verdict.reason}; see `messaging-service parked list`"
            await self._alerts.begin(f"epd-refuses {tenant.id}", text)
        if state is FilingState.FILED:
            return filed_events(tenant, await self._threads.change(add(answered, state)), message.thread)
        if filing.state is FilingState.UNKNOWN:
            await self._threads.change(add(answered, state))
            return []  # it is still in the queues, and goes on by what is known now
        if verdict.action is Action.PARK:
            back = self._sending_back.parked(filing, message, verdict.reason)
        else:
            back = self._sending_back.again(filing, message, refusals)
        await self._threads.change(add(answered, state))
        return [back]
