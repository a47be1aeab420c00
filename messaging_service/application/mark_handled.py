"""Staff say that a message was handled without a written answer: its clock stops, and the patient is told."""

from __future__ import annotations

from messaging_service.application import actors
from messaging_service.application.awaited import Awaited
from messaging_service.application.callers import Staff
from messaging_service.application.codec import outgoing
from messaging_service.application.ports import Access, AccessLog, Actor, Broker
from messaging_service.application.topology import notify_queue
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.awaited import AwaitedReply, How, Stage
from messaging_service.domain.events import MessageHandled
from messaging_service.domain.refusals import NotFound
from messaging_service.tenants import Tenant


class MarkHandled:
    """Behind POST /v1/messages/{id}/handling, and of an EPD that says the same. A repeat changes nothing."""

    def __init__(self, *, awaited: Awaited, broker: Broker, keyring: Keyring, access_log: AccessLog) -> None:
        self._awaited = awaited
        self._broker = broker
        self._keyring = keyring
        self._access_log = access_log

    async def by_staff(self, staff: Staff, id: str, how: How) -> AwaitedReply:
        """As staff say. Raises as the call itself does."""
        return await self(staff.tenant, id, how, actors.caller(self._keyring, staff))

    async def __call__(self, tenant: Tenant, id: str, how: How, by: Actor) -> AwaitedReply:
        """The clock as it is now; one that an answer stopped stays answered.

        Raises:
            NotFound: no message of a patient's of this tenant.
            Conflict: others changed it again and again.
        """
        known = await self._awaited.get(id)
        if known is None or known.tenant != tenant.id:
            raise NotFound
        await self._access_log.record(Access(tenant.id, known.patient, by, "update", "message", id, "treatment"))
        stopped = await self._awaited.handle(id, how, by.pseudonym) or known
        if stopped.stage is Stage.HANDLED:
            event = MessageHandled(id, tenant.id, stopped.thread, stopped.stopped_at)
            told = outgoing(notify_queue(tenant.id), event)
            await self._broker.publish(told.queue, told.envelope)
        return stopped
