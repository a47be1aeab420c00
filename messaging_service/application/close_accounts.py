"""Accounts at the end of care: the closing clock runs, stops when care goes on, and closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from messaging_service.application.accounts import Accounts, Private
from messaging_service.application.change_accounts import THE_CLOCK, ChangeAccounts
from messaging_service.application.collections import ACCOUNTS
from messaging_service.application.due_pages import due_pages
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.domain import account as accounts
from messaging_service.domain.account import Account, AccountState
from messaging_service.tenants import Tenant


class CloseAccounts:
    """Told by what the EPD says of care and by the clock. A repeat changes nothing."""

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        store: DocumentStore,
        accounts: Accounts,
        change: ChangeAccounts,
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._accounts = accounts
        self._change = change
        self._clock = clock

    async def __call__(self) -> int:
        """Write down, page by page, what the clock has closed; how many that were.

        The clock itself closes: until it is written down here, a look at the account says the same.
        """
        return sum([await self._close_due(tenant) for tenant in self._tenants.values()])

    async def _close_due(self, tenant: Tenant) -> int:
        before, number = accounts.due_before(tenant.account_rules, self._clock()), 0
        async for page in due_pages(self._store, ACCOUNTS, "by_end", {"tenant": tenant.id}, above=0, below=before):
            views = [await self._change(tenant, document["id"], _unchanged, THE_CLOCK) for document in page]
            number += sum(view.state is AccountState.CLOSED for view in views)
        return number

    async def care_changed(self, tenant: Tenant, patient: str) -> None:
        """The EPD told of care, death or both: the account's clock runs or stops."""
        account, over_at = await self._accounts.get(tenant, patient), await self._accounts.care_over_at(patient)
        if account is not None and (account.care_over_at != over_at or account.closed_at):
            await self._accounts.change(tenant, patient, partial(self._care_told, tenant, over_at))

    def _care_told(self, tenant: Tenant, over_at: int, account: Account, private: Private) -> tuple[Account, Private]:
        return accounts.care_told(account, over_at, tenant.account_rules, self._clock()), private

    async def joined(self, tenant: Tenant, loser: str, survivor: str) -> None:
        """Two records are one person's: a block goes on, and the loser's representatives are to be confirmed anew.

        The loser's account stays as it was and is reached again when the records are parted.
        """
        lost = await self._accounts.get(tenant, loser)
        if lost is None or loser == survivor:
            return
        was = await self._accounts.private(lost)
        await self._accounts.make(tenant, survivor)

        def take_over(account: Account, private: Private) -> tuple[Account, Private]:
            if loser in account.joined:
                return account, private
            now = self._clock()
            doubted = [replace(each, suspended_at=each.suspended_at or now) for each in lost.representatives]
            after = replace(
                account,
                opened_at=account.opened_at or (0 if account.closed_at else lost.opened_at),
                blocked_at=account.blocked_at or lost.blocked_at,
                accepted=account.accepted if account.closed_at else {**lost.accepted, **account.accepted},
                representatives=(*account.representatives, *doubted),
                joined=(*account.joined, loser),
            )
            return after, Private(private.birth or was.birth, {**was.people, **private.people})

        await self._accounts.change(tenant, survivor, take_over)


def _unchanged(account: Account, private: Private) -> tuple[Account, Private]:
    """Nothing but what the clock did to it."""
    return account, private
