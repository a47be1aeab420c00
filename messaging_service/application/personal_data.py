"""What is kept of who a patient is, corrected or removed by the appointments office (terms Spijkenisse, article 8)."""

from __future__ import annotations

from messaging_service.application.accounts import Accounts
from messaging_service.application.email_notices import EmailNotices
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, Actor, Clock
from messaging_service.domain.refusals import NotFound
from messaging_service.tenants import Tenant

_PURPOSE = "own data"


class PersonalData:
    """The name, and where the patient is told by e-mail, are all there is.

    Numbers come from the login, the date of birth and representatives from the desk.

    Messages are part of the medical record, and go only by a decision of medical records (`destroyed`).
    """

    def __init__(
        self,
        *,
        patients: Patients,
        accounts: Accounts,
        email_notices: EmailNotices,
        access_log: AccessLog,
        clock: Clock,
    ) -> None:
        self._patients = patients
        self._accounts = accounts
        self._email_notices = email_notices
        self._access_log = access_log
        self._clock = clock

    async def show(self, tenant: Tenant, id: str, by: Actor) -> tuple[str, str]:
        """The name, and the patient's address for e-mail ("" none). Raises NotFound."""
        await self._write_down(tenant, id, by, "read")
        _, name = await self._patients.identity(id)
        return name, await self._email_notices.address_of_patient(id)

    async def correct(self, tenant: Tenant, id: str, name: str, by: Actor) -> tuple[str, str]:
        """The name as it is from now on, and the address. Raises NotFound, Conflict."""
        await self._write_down(tenant, id, by, "update")
        await self._patients.correct_name(id, name, self._clock())
        return name, await self._email_notices.address_of_patient(id)

    async def remove(self, tenant: Tenant, id: str, by: Actor) -> tuple[str, str]:
        """No name, until the EPD tells it anew, and no e-mail to the patient any more. Raises NotFound, Conflict."""
        await self._write_down(tenant, id, by, "delete")
        await self._email_notices.forget_patient(id)
        await self._patients.correct_name(id, "", self._clock())
        return "", ""

    async def _write_down(self, tenant: Tenant, id: str, by: Actor, action: str) -> None:
        if await self._accounts.get(tenant, id) is None:
            raise NotFound
        await self._access_log.record(Access(tenant.id, id, by, action, "personal_data", id, _PURPOSE))
