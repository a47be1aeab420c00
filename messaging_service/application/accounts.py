"""Accounts in the store, and the question every request asks first: may this person use this patient's account now?"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from messaging_service.application import actors
from messaging_service.application.callers import PATIENT, Caller, Writer
from messaging_service.application.codec import from_document, to_document, unpack
from messaging_service.application.collections import ACCOUNTS, CARE, EMAIL_NOTICES
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Actor, Clock, DocumentStore
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain import account as accounts
from messaging_service.domain.account import Account
from messaging_service.domain.errors import Conflict
from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import AccountNotOpened, NotFound, NotRepresentative, Refusal, TermsNotAccepted
from messaging_service.domain.representative import require_own_age
from messaging_service.domain.terms import current
from messaging_service.tenants import Tenant

_TRIES = 64
_REMEMBERED = 50_000
_SEALED_AS = "account"
CARE_OVER = ("deceased_at", "care_ended_at", "quiet_over_at")
"""What starts the closing clock, in the collection `care`. A discharge alone does not."""


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """A representative by name, and the subject that the token names."""

    name: str
    subject: str


@dataclass(frozen=True, slots=True, repr=False)
class Private:
    """What an account holds sealed: the patient's date of birth (ISO, "" not known), representatives by id."""

    birth: str = ""
    people: Mapping[str, Person] = field(default_factory=dict)

    @property
    def born_on(self) -> date | None:
        """The date of birth, where it is known."""
        return date.fromisoformat(self.birth) if self.birth else None


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody was let in: to this patient's record, as this author."""

    patient: str
    author: Author


Change = Callable[[Account, Private], tuple[Account, Private]]
"""A change of an account and of what it holds sealed; may raise a refusal, and is tried again after a race."""


class Accounts:
    """One document holds an account with its representatives and acceptances, so that one look decides."""

    def __init__(self, store: DocumentStore, patients: Patients, keyring: Keyring, clock: Clock) -> None:
        self._store = store
        self._patients = patients
        self._keyring = keyring
        self._clock = clock
        self._last: OrderedDict[str, str] = OrderedDict()

    def actor(self, tenant: str, subject: str) -> str:
        """The pseudonym of whoever has this subject in the token."""
        return self._keyring.pseudonym(tenant, subject)

    def by(self, who: Caller) -> Actor:
        """Whoever asks, as the access log knows them."""
        return actors.caller(self._keyring, who)

    async def enter(self, who: Writer, *, writing: bool) -> Entry:
        """Let somebody in who asks for a patient's account, now; the first writing opens it.

        The entry of somebody who was never here before, and has nothing to read, has the patient "".

        Whoever never accepted the terms does nothing here (article 1.3); a new version is asked for before writing,
        and what is there can be read meanwhile.

        Raises:
            AccountNotOpened, AccountClosed, AccountBlocked, NotRepresentative, TooYoung, TermsNotAccepted.
            StoreDown: the store does not answer.
        """
        found = await self._of(who, make=writing)
        entry = await self._let_in(who.tenant, found, who.author, self._clock())
        self.require_terms(who.tenant, found, who.author, writing=writing)
        if writing and not found.opened_at:
            await self.change(who.tenant, found.id, lambda account, private: (self._opened(account), private))
        return entry

    async def let_in_at(self, tenant: Tenant, patient: str, author: Author, at: int) -> Entry:
        """The same for what was accepted at `at` unchecked, when the store was down. Raises as `enter`."""
        found = await self.get(tenant, patient)
        if found is None:
            if tenant.accounts.opening == "hospital" or author.role != PATIENT:
                raise AccountNotOpened
            found = Account(patient, tenant.id)
        entry = await self._let_in(tenant, found, author, at)
        self.require_terms(tenant, found, author, writing=True)
        return entry

    async def admits(self, tenant: Tenant, patient: str, author: Author) -> bool:
        """Whether this author would be let in now, whatever the terms."""
        found = await self.get(tenant, patient)
        if found is None:
            return False
        try:
            await self._let_in(tenant, found, author, self._clock())
        except Refusal:
            return False
        return True

    def require_terms(self, tenant: Tenant, account: Account, author: Author, *, writing: bool) -> None:
        """Return when the author accepted the terms. Raises TermsNotAccepted."""
        asked = current(tenant.terms, self.today(tenant))
        accepted = account.accepted.get(self.actor(tenant.id, author.subject))
        if asked is not None and (accepted is None or (writing and accepted != asked.version)):
            raise TermsNotAccepted(asked.version)

    def today(self, tenant: Tenant) -> date:
        """The day it is at the hospital."""
        return datetime.fromtimestamp(self._clock() / 1000, UTC).astimezone(tenant.zone).date()

    async def known(self, who: Writer, *, make: bool) -> tuple[Account, Entry]:
        """The account and who asks, whatever the terms and also when it is blocked; `make` it at first login.

        Raises:
            AccountNotOpened, AccountClosed, NotRepresentative, TooYoung.
        """
        found = await self._of(who, make=make)
        return found, await self._let_in(who.tenant, accounts.unblocked(found), who.author, self._clock())

    async def get(self, tenant: Tenant, id: str) -> Account | None:
        """The account of that id, of this tenant."""
        document = await self._store.get(ACCOUNTS, id)
        return from_document(document, Account) if document and document["tenant"] == tenant.id else None

    async def private(self, account: Account) -> Private:
        """What it holds sealed."""
        if not account.sealed:
            return Private()
        patient = await self._patients.load(account.id)
        return unpack(patient.unseal("", _SEALED_AS, account.sealed), Private)

    async def make(self, tenant: Tenant, patient: str) -> Account:
        """The patient's account, made (as invited) where there is none."""
        over_at = await self.care_over_at(patient)
        await self._store.insert(ACCOUNTS, [to_document(Account(patient, tenant.id, care_over_at=over_at))])
        found = await self.get(tenant, patient)
        if found is None:
            raise Conflict(f"account {patient}")
        return found

    async def care_over_at(self, patient: str) -> int:
        """When the patient's closing clock began to run (milliseconds); 0: care goes on.

        The first of death, an end of care that the EPD told of, and the end of the hospital's quiet period.
        """
        care = await self._store.get(CARE, patient) or {}
        return min((at for name in CARE_OVER if (at := care.get(name, 0))), default=0)

    async def change(self, tenant: Tenant, id: str, change: Change) -> Account:
        """Change an account by its version: of two at the same moment the second sees what the first did.

        Raises:
            NotFound: there is none of that id.
            Conflict: too many others changed it.
        """
        for _ in range(_TRIES):
            before = await self.get(tenant, id)
            if before is None:
                raise NotFound
            was = await self.private(before)
            after, now = change(accounts.lapsed(before, tenant.account_rules, self._clock()), was)
            if now != was:
                after = replace(after, sealed=(await self._patients.load(id)).seal("", _SEALED_AS, now))
            if after == before:
                return before
            if await self._store.replace(ACCOUNTS, to_document(after)):
                await self._forget_addresses(before, after)
                return replace(after, version=after.version + 1)
        raise Conflict(f"account {id}")

    async def _forget_addresses(self, before: Account, after: Account) -> None:
        """Whose access ended is told nothing more, and the address is no longer kept."""
        known = {each.id for each in before.representatives if each.ended_at}
        ended = [each.actor for each in after.representatives if each.ended_at and each.id not in known]
        for id in (after.id, *after.joined):
            for each in ended:
                await self._store.delete(EMAIL_NOTICES, f"{id}.{each}")
            if after.closed_at and not before.closed_at:
                for document in await self._store.find(EMAIL_NOTICES, "of_patient", {"patient": id}):
                    await self._store.delete(EMAIL_NOTICES, document["id"])

    async def _let_in(self, tenant: Tenant, account: Account, author: Author, at: int) -> Entry:
        account.require_usable(tenant.account_rules, at)
        private = await self.private(account)
        if author.role == PATIENT:
            require_own_age(private.born_on, at, tenant.zone)
            return Entry(account.id, author)
        representative = account.acting(self.actor(tenant.id, author.subject))
        representative.require_active(at, private.born_on, tenant.zone)
        name = author.name or private.people[representative.id].name
        return Entry(account.id, replace(author, name=name, relation=representative.kind))

    async def _of(self, who: Writer, *, make: bool) -> Account:
        patient, account = await self._look(who.tenant, who.identifiers)
        return account or await self._at_first_login(who, patient, make=make)

    async def _look(self, tenant: Tenant, identifiers: Sequence[Identifier]) -> tuple[str | None, Account | None]:
        """The patient and the account. Both looks go together once this gateway has seen the patient."""
        key = self._patients.key(tenant.id, identifiers)
        look, guess = self._patients.find(tenant.id, identifiers), self._last.get(key)
        patient, account = await asyncio.gather(look, self.get(tenant, guess)) if guess else (await look, None)
        if patient is None:
            return None, None
        if account is None or account.id != patient:  # never seen here, or merged meanwhile
            account = await self.get(tenant, patient)
        self._last[key] = patient
        self._last.move_to_end(key)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        return patient, account

    async def _at_first_login(self, who: Writer, known: str | None, *, make: bool) -> Account:
        if who.author.role != PATIENT:
            raise NotRepresentative
        if who.tenant.accounts.opening == "hospital":
            raise AccountNotOpened
        if not make:
            return Account(known or "", who.tenant.id, care_over_at=await self.care_over_at(known) if known else 0)
        patient = await self._patients.ensure(who.tenant.id, who.identifiers, who.patient_name)
        return await self.make(who.tenant, patient.id)

    def _opened(self, account: Account) -> Account:
        return accounts.opened(account, self._clock())
