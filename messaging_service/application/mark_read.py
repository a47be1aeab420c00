"""The care team read a message, as the API or the EPD says; the patient is told where the hospital shows it."""

from __future__ import annotations

from messaging_service.application.codec import outgoing
from messaging_service.application.ports import Access, AccessLog, Actor, Broker, Clock
from messaging_service.application.reads import Reads
from messaging_service.application.threads import CARE_TEAM, StoredMessage, StoredThread
from messaging_service.application.topology import notify_queue
from messaging_service.domain.events import MessageRead
from messaging_service.domain.refusals import Forbidden
from messaging_service.tenants import Tenant


class MarkRead:
    """How far the team read is kept as one place that only grows; a repeat changes nothing."""

    def __init__(self, *, reads: Reads, broker: Broker, access_log: AccessLog, clock: Clock) -> None:
        self._reads = reads
        self._broker = broker
        self._access_log = access_log
        self._clock = clock

    async def __call__(self, tenant: Tenant, thread: StoredThread, message: StoredMessage, by: Actor) -> None:
        """The thread was read up to this message of it.

        Raises:
            Forbidden: this hospital does not show patients what its teams have read.
            Conflict: others moved it again and again.
        """
        if not tenant.receipts.of_care_team:
            raise Forbidden("this hospital does not show patients what was read")
        now = self._clock()
        if await self._reads.move(thread, CARE_TEAM, CARE_TEAM, message.place, now):
            access = Access(tenant.id, thread.patient, by, "update", "thread", thread.id, "treatment")
            await self._access_log.record(access)
        told = outgoing(notify_queue(tenant.id), MessageRead(message.id, tenant.id, thread.id, now))
        await self._broker.publish(told.queue, told.envelope)
