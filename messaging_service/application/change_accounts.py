"""Every change of an account: written down in the access log, then made, then shown."""

from __future__ import annotations

from dataclasses import dataclass

from messaging_service.application.account_view import AccountView, view
from messaging_service.application.accounts import Accounts, Change
from messaging_service.application.callers import Writer
from messaging_service.application.ports import AccessEntry, AccessLog, Clock
from messaging_service.domain.account import Account
from messaging_service.domain.refusals import NotFound
from messaging_service.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: a pseudonym, the role it is done in, and on what ground."""

    pseudonym: str
    role: str
    basis: str


THE_CLOCK = Actor("close_accounts", "system", "end of care")


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

    def by(self, who: Writer) -> Actor:
        """Somebody who is logged in for themselves or as a representative."""
        return Actor(self._accounts.actor(who.tenant.id, who.author.subject), who.author.role, who.author.role)

    async def _view(self, tenant: Tenant, account: Account) -> AccountView:
        return view(tenant, account, await self._accounts.private(account), self._clock())

    async def _log(self, tenant: Tenant, patient: str, by: Actor, action: str, kind: str, object: str) -> None:
        entry = AccessEntry(
            tenant=tenant.id,
            patient=patient,
            actor=by.pseudonym,
            role=by.role,
            action=action,
            object_kind=kind,
            object=object,
            purpose="access to the service",
            basis=by.basis,
        )
        await self._access_log.record(entry)
