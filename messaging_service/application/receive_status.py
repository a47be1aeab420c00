"""The EPD says that a message of ours was read, or is done with: as if staff had said so."""

from __future__ import annotations

from messaging_service.application.actors import step
from messaging_service.application.awaited import Awaited
from messaging_service.application.mark_handled import MarkHandled
from messaging_service.application.mark_read import MarkRead
from messaging_service.application.patients import Patients
from messaging_service.application.ports import AccessPoint
from messaging_service.application.threads import Threads
from messaging_service.domain.awaited import AwaitedReply, How
from messaging_service.domain.filing import changed_message
from messaging_service.epd.inbound_errors import Error, NotUnderstood, Where
from messaging_service.epd.inbound_events import DocumentHandled, DocumentRead
from messaging_service.tenants import Tenant

_BY = step("receive", "EPD", AccessPoint.EPD)


class StatusInEpd:
    """What becomes of an MDM^T04 about a message of ours. A repeat changes nothing.

    A document that is none of our messages' is passed over.
    """

    def __init__(
        self,
        *,
        awaited: Awaited,
        patients: Patients,
        threads: Threads,
        mark_handled: MarkHandled,
        mark_read: MarkRead,
    ) -> None:
        self._awaited = awaited
        self._patients = patients
        self._threads = threads
        self._mark_handled = mark_handled
        self._mark_read = mark_read

    async def handled(self, tenant: Tenant, said: DocumentHandled) -> None:
        """Stop the clock of the message. Raises NotUnderstood when the message is another patient's."""
        if one := await self._message(tenant, said):
            await self._mark_handled(tenant, one.id, How.EPD, _BY)

    async def read(self, tenant: Tenant, said: DocumentRead) -> None:
        """Show the patient that it was read, where the hospital does. Raises as `handled`."""
        one = await self._message(tenant, said)
        if one is None or not tenant.receipts.of_care_team:
            return
        message, thread = await self._threads.message(one.id), await self._threads.thread(one.thread)
        if message is not None and thread is not None:
            await self._mark_read(tenant, thread, message, _BY)

    async def _message(self, tenant: Tenant, said: DocumentHandled | DocumentRead) -> AwaitedReply | None:
        one = await self._awaited.get(changed_message(said.document.partition("^")[0]))
        if one is None or one.tenant != tenant.id:
            return None
        found = await self._patients.known(tenant.id, said.person.identifiers)
        records = [record for known in found for record in await self._patients.members(known)]
        if one.patient not in records:
            raise NotUnderstood(Error.UNKNOWN_KEY, Where("PID", 3))
        return one
