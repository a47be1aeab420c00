"""Every few minutes an urgent message of nobody's goes the whole way of an alarm: screened, queued, told to on-call.

It is marked as a rehearsal all along, is never persisted and never filed, and wakes nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

from messaging_service.application.codec import outgoing
from messaging_service.application.ports import Broker, Clock
from messaging_service.application.rehearsals import Rehearsals
from messaging_service.application.topology import escalate_queue
from messaging_service.application.triage import judge
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.events import AlarmRehearsed
from messaging_service.domain.message import BodyFormat
from messaging_service.screening.screener import Screener
from messaging_service.tenants import Tenant

_SUBJECT = "Proefalarm"
_BODY = "Ik heb sinds een uur drukkende pijn op de borst die uitstraalt naar mijn arm en ik krijg geen lucht."


class Rehearse:
    """Run by the gateways, which have the screening and the broker's confirms that real messages pass as well."""

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        rehearsals: Rehearsals,
        screener: Screener,
        broker: Broker,
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._rehearsals = rehearsals
        self._screener = screener
        self._broker = broker
        self._keyring = keyring
        self._clock = clock

    async def __call__(self) -> None:
        """Send one for each tenant whose time it is. Raises StoreDown or BrokerDown."""
        for tenant in self._tenants.values():
            minutes = tenant.on_call.rehearse_minutes
            if minutes and await self._rehearsals.claim(tenant.id, minutes):
                await self.send(tenant)

    async def send(self, tenant: Tenant) -> None:
        """Send one now. One that the screening takes for harmless goes nowhere; whoever watches tells operations."""
        if not await self._alarms(tenant):
            await self._rehearsals.harmless(tenant.id)
            return
        id = self._keyring.message_id(tenant.id, "rehearsal", None, b"")
        event = AlarmRehearsed(id, tenant.id, id, self._clock())
        follows = outgoing(escalate_queue(tenant.id), event)
        await self._broker.publish(follows.queue, follows.envelope)

    async def _alarms(self, tenant: Tenant) -> bool:
        """Where a hospital decided against detection, the rest of the way is tried all the same."""
        judged = await judge(
            self._screener, subject=_SUBJECT, body=_BODY, format=BodyFormat.TEXT, language="nl", detect_urgency=True
        )
        return judged.triage.alarm or not tenant.detection.urgency
