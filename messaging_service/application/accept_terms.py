"""The terms of use: which version holds, and who accepted which, kept as evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace

from messaging_service.application.accounts import Accounts, Private
from messaging_service.application.callers import Writer
from messaging_service.application.collections import ACCEPTANCES
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.domain import account as accounts
from messaging_service.domain.account import Account
from messaging_service.domain.terms import current, require_current
from messaging_service.tenants import TermsVersion


@dataclass(frozen=True, slots=True)
class TermsView:
    """The version in force (None: the hospital has no terms) and the one this person accepted ("" none)."""

    current: TermsVersion | None
    accepted: str

    @property
    def to_accept(self) -> bool:
        """Whether this person has yet to accept it."""
        return self.current is not None and self.current.version != self.accepted


class AcceptTerms:
    """The use cases behind /v1/terms. Evidence is written first and never changed; then the account lets in."""

    def __init__(self, *, store: DocumentStore, accounts: Accounts, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock

    async def show(self, who: Writer) -> TermsView:
        """What there is to accept.

        Raises:
            AccountNotOpened, AccountClosed, NotRepresentative, TooYoung.
        """
        account, _ = await self._accounts.known(who, make=False)
        accepted = account.accepted.get(self._accounts.actor(who.tenant.id, who.author.subject), "")
        return TermsView(current(who.tenant.terms, self._accounts.today(who.tenant)), accepted)

    async def accept(self, who: Writer, version: str, language: str) -> TermsView:
        """Accept the version in force; a repeat changes nothing, and the first acceptance stays the evidence.

        Raises:
            TermsUnknown: it is not in force, or has no text in that language.
            AccountNotOpened, AccountClosed, AccountBlocked, NotRepresentative, TooYoung.
        """
        account, entry = await self._accounts.known(who, make=True)
        now = self._clock()
        account.require_usable(who.tenant.account_rules, now)
        held = require_current(who.tenant.terms, self._accounts.today(who.tenant), version, language)
        actor = self._accounts.actor(who.tenant.id, who.author.subject)
        evidence = {
            "id": f"{account.id}.{actor}.{version}",
            "tenant": who.tenant.id,
            "patient": account.id,
            "actor": actor,
            "role": entry.author.role,
            "accepted": version,
            "language": language,
            "text": held.texts[language],
            "at": now,
        }
        await self._store.insert(ACCEPTANCES, [evidence])

        def change(account: Account, private: Private) -> tuple[Account, Private]:
            account.require_usable(who.tenant.account_rules, now)
            accepted = {**account.accepted, actor: version}
            return replace(accounts.opened(account, now), accepted=accepted), private

        await self._accounts.change(who.tenant, account.id, change)
        return TermsView(held, version)
