"""The EPD says that a message of ours is done with: its clock stops, as if staff had said so."""

from __future__ import annotations

from messaging_service.application.actors import step
from messaging_service.application.awaited import Awaited
from messaging_service.application.mark_handled import MarkHandled
from messaging_service.application.patients import Patients
from messaging_service.application.ports import AccessPoint
from messaging_service.domain.awaited import How
from messaging_service.domain.filing import changed_message
from messaging_service.epd.inbound_errors import Error, NotUnderstood, Where
from messaging_service.epd.inbound_events import DocumentHandled
from messaging_service.tenants import Tenant


class HandledInEpd:
    """What becomes of a DocumentHandled. A repeat changes nothing."""

    def __init__(self, *, awaited: Awaited, patients: Patients, mark: MarkHandled) -> None:
        self._awaited = awaited
        self._patients = patients
        self._mark = mark

    async def __call__(self, tenant: Tenant, said: DocumentHandled) -> None:
        """Stop the clock of the message; a document that is none of our messages' is passed over.

        Raises:
            NotUnderstood: the message is another patient's.
        """
        id = changed_message(said.document.partition("^")[0])
        one = await self._awaited.get(id)
        if one is None or one.tenant != tenant.id:
            return
        found = await self._patients.known(tenant.id, said.person.identifiers)
        records = [record for known in found for record in await self._patients.members(known)]
        if one.patient not in records:
            raise NotUnderstood(Error.UNKNOWN_KEY, Where("PID", 3))
        await self._mark(tenant, id, How.EPD, step("receive", "EPD", AccessPoint.EPD))
