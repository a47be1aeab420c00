"""Every change of an account: written down in the access log, then made, then shown."""

from __future__ import annotations

from messaging_service.application.account_view import AccountView, view
from messaging_service.application.accounts import Accounts, Change
from messaging_service.application.actors import step
from messaging_service.application.callers import Caller
from messaging_service.application.ports import Access, AccessLog, Actor, Clock
from messaging_service.domain.account import Account
from messaging_service.domain.refusals import NotFound
from messaging_service.tenants import Tenant

THE_CLOCK = step("close_accounts", "end of care")


class ChangeAccounts:
    """What is not logged is not done."""

    def __init__(self, accounts: Accounts, access_log: AccessLog, clock: Clock) -> None:
        self._accounts = accounts
        self._access_log = access_log
        self._clock = clock

    async def __call__(
        self, tenant: Tenant, id: str, change: Change, by: Actor, *, kind: str = "account", object: str = ""
    ) -> AccountView:
        """Make a change. Raises NotFound, and what `change` raises."""
        if await self._accounts.get(tenant, id) is None:
            raise NotFound
        await self._log(tenant, id, by, "update", kind, object or id)
        return await self._view(tenant, await self._accounts.change(tenant, id, change))

    async def show(self, tenant: Tenant, id: str, by: Actor) -> AccountView:
        """The account as it is. Raises NotFound."""
        account = await self._accounts.get(tenant, id)
        if account is None:
            raise NotFound
        await self._log(tenant, id, by, "read", "account", id)
        return await self._view(tenant, account)

    def by(self, who: Caller) -> Actor:
        """Whoever is logged in: for themselves, as a representative, or as staff."""
        return self._accounts.by(who)

    async def _view(self, tenant: Tenant, account: Account) -> AccountView:
        return view(tenant, account, await self._accounts.private(account), self._clock())

    async def _log(self, tenant: Tenant, patient: str, by: Actor, action: str, kind: str, object: str) -> None:
        purpose = "access to the service"
        await self._access_log.record(Access(tenant.id, patient, by, action, kind, object, purpose))
