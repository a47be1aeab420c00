"""Who acts for a patient: registered, doubted, confirmed and ended; consented to by a child of 12 to 15."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

from messaging_service.application.account_view import AccountView
from messaging_service.application.accounts import Accounts, Change, Person, Private
from messaging_service.application.callers import PATIENT, Writer
from messaging_service.application.change_accounts import ChangeAccounts
from messaging_service.application.ports import Actor, Clock
from messaging_service.domain import account as accounts
from messaging_service.domain.account import Account
from messaging_service.domain.refusals import Forbidden
from messaging_service.domain.representative import Kind, Representative
from messaging_service.tenants import Tenant


@dataclass(frozen=True, slots=True, repr=False)
class NewRepresentative:
    """Who is registered; `subject` is the token's acting subject. `birth` is the patient's, needed for a parent."""

    subject: str
    name: str
    relation: Kind
    signs_care_plan: bool
    first_contact: bool
    birth: date | None = None


class Represent:
    """One account document decides, by its version: of two registrations at once the second sees the first."""

    def __init__(self, *, accounts: Accounts, change: ChangeAccounts, clock: Clock) -> None:
        self._accounts = accounts
        self._change_account = change
        self._clock = clock

    async def register(self, tenant: Tenant, id: str, new: NewRepresentative, by: Actor) -> AccountView:
        """Register a representative on a patient's account; a repeat changes nothing.

        Raises:
            NotFound, AccountClosed, RepresentativesFull, RepresentativeUnfit.
        """
        representative = Representative(
            id=secrets.token_hex(8),
            actor=self._accounts.actor(tenant.id, new.subject),
            kind=new.relation,
            signs_care_plan=new.signs_care_plan,
            first_contact=new.first_contact,
            registered_at=self._clock(),
        )

        def change(account: Account, private: Private) -> tuple[Account, Private]:
            birth = new.birth or private.born_on
            after = accounts.registered(account, representative, tenant.account_rules, birth, self._clock())
            born = birth.isoformat() if birth else ""
            if after is account:
                return account, replace(private, birth=born)
            people = {**private.people, representative.id: Person(new.name, new.subject)}
            return after, Private(born, people)

        return await self._change(tenant, id, change, by, representative.id)

    async def confirm(
        self, tenant: Tenant, id: str, which: str, *, signs_care_plan: bool, first_contact: bool, by: Actor
    ) -> AccountView:
        """What is so now, as the coordinator knows: active again when that suffices, suspended when it does not.

        Raises:
            NotFound, RepresentativesFull, RepresentativeUnfit.
        """

        def change(account: Account, private: Private) -> tuple[Account, Private]:
            after = accounts.confirmed(
                account,
                which,
                tenant.account_rules,
                signs_care_plan=signs_care_plan,
                first_contact=first_contact,
                birth=private.born_on,
                at=self._clock(),
            )
            return after, private

        return await self._change(tenant, id, change, by, which)

    async def suspend(self, tenant: Tenant, id: str, which: str, by: Actor) -> AccountView:
        """No access until the coordinator confirms (terms SEIN, article 4.4). Raises NotFound."""
        return await self._plain(tenant, id, lambda now: accounts.suspended(now, which, self._clock()), by, which)

    async def end(self, tenant: Tenant, id: str, which: str, by: Actor) -> AccountView:
        """No access any more. Raises NotFound."""
        return await self._plain(tenant, id, lambda now: accounts.ended(now, which, self._clock()), by, which)

    async def end_by(self, who: Writer, which: str) -> AccountView:
        """The patient ends a representative's access, a representative only their own (terms article 4.2).

        Raises:
            Forbidden: it is another representative's.
            NotFound, and those of `Accounts.enter`.
        """
        entry = await self._accounts.enter(who, writing=False)
        account = await self._accounts.get(who.tenant, entry.patient)
        by = self._change_account.by(who)
        if entry.author.role != PATIENT and (account is None or account.acting(by.pseudonym).id != which):
            raise Forbidden("a representative ends their own access alone")
        return await self.end(who.tenant, entry.patient, which, by)

    async def consent(self, who: Writer, which: str, given: bool) -> AccountView:
        """A child of 12 to 15 allows its parent, or no longer. Raises Forbidden, NotFound, RepresentativeUnfit."""
        entry = await self._accounts.enter(who, writing=False)
        if entry.author.role != PATIENT:
            raise Forbidden("the child itself consents")

        def change(account: Account, private: Private) -> tuple[Account, Private]:
            found = account.representative(which)
            now = found.consent(given, self._clock(), private.born_on, who.tenant.zone)
            return accounts.changed(account, now), private

        return await self._change(who.tenant, entry.patient, change, self._change_account.by(who), which)

    async def report_change(self, who: Writer) -> AccountView:
        """A mentor or curator says that something changed (terms SEIN, article 4.4): no access until it is confirmed.

        Raises:
            Forbidden: the patient asks.
            Those of `Accounts.enter`.
        """
        entry = await self._accounts.enter(who, writing=False)
        account = await self._accounts.get(who.tenant, entry.patient)
        by = self._change_account.by(who)
        if entry.author.role == PATIENT or account is None:
            raise Forbidden("a representative reports changes in the representation")
        return await self.suspend(who.tenant, entry.patient, account.acting(by.pseudonym).id, by)

    async def _plain(
        self, tenant: Tenant, id: str, change: Callable[[Account], Account], by: Actor, which: str
    ) -> AccountView:
        return await self._change(tenant, id, lambda account, private: (change(account), private), by, which)

    async def _change(self, tenant: Tenant, id: str, change: Change, by: Actor, which: str) -> AccountView:
        return await self._change_account(tenant, id, change, by, kind="representative", object=which)
