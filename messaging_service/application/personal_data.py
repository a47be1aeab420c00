"""What is kept of who a patient is, corrected or removed by the appointments office (terms Spijkenisse, article 8)."""

from __future__ import annotations

from messaging_service.application.accounts import Accounts
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, Actor, Clock
from messaging_service.domain.refusals import NotFound
from messaging_service.tenants import Tenant

_PURPOSE = "own data"


class PersonalData:
    """The name is all there is: numbers come from the login, the date of birth and representatives from the desk.

    Messages are part of the medical record, and go only by a decision of medical records (`destroyed`).
    """

    def __init__(self, *, patients: Patients, accounts: Accounts, access_log: AccessLog, clock: Clock) -> None:
        self._patients = patients
        self._accounts = accounts
        self._access_log = access_log
        self._clock = clock

    async def show(self, tenant: Tenant, id: str, by: Actor) -> str:
        """The name. Raises NotFound."""
        await self._write_down(tenant, id, by, "read")
        _, name = await self._patients.identity(id)
        return name

    async def correct(self, tenant: Tenant, id: str, name: str, by: Actor) -> str:
        """The name as it is from now on; "" removes it, until the EPD tells it anew. Raises NotFound, Conflict."""
        await self._write_down(tenant, id, by, "update" if name else "delete")
        await self._patients.correct_name(id, name, self._clock())
        return name

    async def _write_down(self, tenant: Tenant, id: str, by: Actor, action: str) -> None:
        if await self._accounts.get(tenant, id) is None:
            raise NotFound
        await self._access_log.record(Access(tenant.id, id, by, action, "personal_data", id, _PURPOSE))
