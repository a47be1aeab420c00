"""An account as it is shown, to its people and to the hospital's desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from messaging_service.application.accounts import Private
from messaging_service.domain.account import Account, AccountState, lapsed
from messaging_service.domain.representative import Kind, Representative, Standing
from messaging_service.tenants import Tenant


@dataclass(frozen=True, slots=True)
class RepresentativeView:
    """A representative by name, and whether they may act now."""

    id: str
    name: str
    relation: Kind
    standing: Standing
    signs_care_plan: bool
    first_contact: bool
    consented: bool


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account at one moment. `closing_on` is a day at the hospital, while the closing clock runs."""

    id: str
    state: AccountState
    opened_at: int
    closing_on: date | None
    closed_at: int
    closed_because: str
    representatives: tuple[RepresentativeView, ...]


def view(tenant: Tenant, account: Account, private: Private, at: int) -> AccountView:
    """The account at `at`; representatives that ended are left out."""
    rules = tenant.account_rules
    account = lapsed(account, rules, at)  # what the clock closed looks closed before anybody has written that down

    def shown(each: Representative) -> RepresentativeView:
        standing = each.standing(at, private.born_on, tenant.zone)
        name = private.people[each.id].name
        return RepresentativeView(
            each.id, name, each.kind, standing, each.signs_care_plan, each.first_contact, each.consented_at > 0
        )

    every = map(shown, account.representatives)
    return AccountView(
        id=account.id,
        state=account.state(rules, at),
        opened_at=account.opened_at,
        closing_on=account.closing_on(rules),
        closed_at=account.closed_at,
        closed_because=account.closed_because,
        representatives=tuple(each for each in every if each.standing is not Standing.ENDED),
    )
