"""The hospital opens, blocks, unblocks and closes accounts; their people close them and report misuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from messaging_service.application.account_view import AccountView, view
from messaging_service.application.accounts import Accounts, Private
from messaging_service.application.alerts import Alerts
from messaging_service.application.callers import PATIENT, Staff, Writer
from messaging_service.application.change_accounts import ChangeAccounts
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Actor, Clock
from messaging_service.domain import account as accounts
from messaging_service.domain.account import Account, AccountState, Because
from messaging_service.domain.message import Identifier
from messaging_service.domain.refusals import AccountClosed, NotFound
from messaging_service.tenants import Tenant


class Administer:
    """What staff do takes the account's id, what its people do who they are."""

    def __init__(
        self, *, patients: Patients, accounts: Accounts, change: ChangeAccounts, alerts: Alerts, clock: Clock
    ) -> None:
        self._patients = patients
        self._accounts = accounts
        self._change_account = change
        self._alerts = alerts
        self._clock = clock

    async def open(self, tenant: Tenant, identifiers: Sequence[Identifier], name: str, by: Actor) -> AccountView:
        """The patient's account, made or opened anew where it was closed: invited until the first login.

        Raises:
            AccountClosed: care is over and the closing clock has run out.
        """
        patient = await self._patients.ensure(tenant.id, identifiers, name)
        await self._accounts.make(tenant, patient.id)
        over_at = await self._accounts.care_over_at(patient.id)

        def anew(account: Account) -> Account:
            if not account.closed_at:
                return account
            again = replace(accounts.invited_again(account), care_over_at=over_at)
            if again.state(tenant.account_rules, self._clock()) is AccountState.CLOSED:
                raise AccountClosed
            return again

        return await self._change(tenant, patient.id, anew, by)

    async def find(self, tenant: Tenant, identifiers: Sequence[Identifier], by: Actor) -> AccountView:
        """The account of the patient with these identifiers. Raises NotFound."""
        patient = await self._patients.find(tenant.id, identifiers)
        if patient is None:
            raise NotFound
        return await self.show(tenant, patient, by)

    async def show(self, tenant: Tenant, id: str, by: Actor) -> AccountView:
        """The account of that id. Raises NotFound."""
        return await self._change_account.show(tenant, id, by)

    async def block(self, tenant: Tenant, id: str, by: Actor) -> AccountView:
        """At once and without reasons (terms article 4.3): every request looks. Raises NotFound."""
        return await self._change(tenant, id, lambda account: accounts.blocked(account, self._clock()), by)

    async def unblock(self, tenant: Tenant, id: str, by: Actor) -> AccountView:
        """Undo a block. Raises NotFound."""
        found = await self._change(tenant, id, accounts.unblocked, by)
        await self._alerts.end(_misuse(tenant, id), f"{tenant.id}: account {id} is unblocked")
        return found

    async def close(self, tenant: Tenant, id: str, by: Actor, because: Because = Because.HOSPITAL) -> AccountView:
        """For good, until the hospital opens it anew; what was accepted still goes to the EPD. Raises NotFound."""
        return await self._change(tenant, id, lambda account: accounts.closed(account, because, self._clock()), by)

    async def show_own(self, who: Writer) -> AccountView:
        """One's own account, also while it is blocked. Raises AccountClosed, AccountNotOpened, NotRepresentative."""
        account, _ = await self._accounts.known(who, make=False)
        if not account.id:
            return view(who.tenant, account, Private(), self._clock())
        return await self._change_account.show(who.tenant, account.id, self._change_account.by(who))

    def by(self, staff: Staff) -> Actor:
        """Somebody of the hospital's staff."""
        return self._change_account.by(staff)

    async def close_own(self, who: Writer) -> AccountView:
        """The patient asks for it (terms article 4.2): the account closes. A representative asks for their own access.

        Raises:
            AccountClosed, AccountNotOpened, NotRepresentative, TooYoung.
        """
        account, entry = await self._accounts.known(who, make=True)
        by = self._change_account.by(who)
        if entry.author.role == PATIENT:
            return await self.close(who.tenant, account.id, by, Because.REQUEST)
        own = account.acting(by.pseudonym).id
        return await self._change(who.tenant, account.id, lambda now: accounts.ended(now, own, self._clock()), by)

    async def report_misuse(self, who: Writer) -> None:
        """Somebody else uses the login (terms article 2.6): the account is blocked at once and the hospital told.

        A representative's report suspends that representative alone. Works for a blocked account too.

        Raises:
            AccountClosed, AccountNotOpened, NotRepresentative, TooYoung.
        """
        account, entry = await self._accounts.known(who, make=True)
        by, tenant = self._change_account.by(who), who.tenant
        if entry.author.role == PATIENT:
            await self.block(tenant, account.id, by)
        else:
            own = account.acting(by.pseudonym).id
            await self._change(tenant, account.id, lambda now: accounts.suspended(now, own, self._clock()), by)
        said = f"{tenant.id}: misuse of account {account.id} is reported by its {entry.author.role}; access is stopped"
        await self._alerts.begin(_misuse(tenant, account.id), said)

    async def _change(self, tenant: Tenant, id: str, change: Callable[[Account], Account], by: Actor) -> AccountView:
        return await self._change_account(tenant, id, lambda account, private: (change(account), private), by)


def _misuse(tenant: Tenant, id: str) -> str:
    return f"misuse.{tenant.id}.{id}"
