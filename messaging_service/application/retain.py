"""Retention: what is older than its term is removed, in small steps and by index; and the report of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from messaging_service.application.actors import step
from messaging_service.application.codec import from_document
from messaging_service.application.collections import ACCESS_LOG, FILINGS, MESSAGES, PARKED
from messaging_service.application.due_pages import due_pages
from messaging_service.application.forget_accesses import ForgetAccesses
from messaging_service.application.ports import Clock, Document, DocumentStore
from messaging_service.application.remove_message import RemoveMessage
from messaging_service.application.retention_rules import RULES, SHARED_RULES, Rule
from messaging_service.application.threads import StoredMessage
from messaging_service.domain.filing import changed_message
from messaging_service.domain.message import Step
from messaging_service.tenants import Tenant
from messaging_service.tenants.retention import days_of

DAY_MS = 86_400_000
_PAGES_A_ROUND = 20
_MOST_COUNTED = 10_000
_BY = step("retain", "retention term")
FORGOTTEN = "forgotten"
"""The state of a parked message whose envelope is gone; that it was there still tells its thread what to expect."""


@dataclass(frozen=True, slots=True)
class Retained:
    """One rule at one tenant ("" for all): so many are past their term of `days`, so many went, so many stay.

    `due` counts no further than ten thousand. `spared`: not filed yet, evidence of a message that is still here,
    or changed at that moment.
    """

    tenant: str
    collection: str
    days: int
    before: int
    due: int = 0
    removed: int = 0
    spared: int = 0


class Retain:
    """The use case of the step `retain`, and of `messaging-service retention`."""

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        store: DocumentStore,
        remove_message: RemoveMessage,
        forget_accesses: ForgetAccesses,
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._remove_message = remove_message
        self._forget_accesses = forget_accesses
        self._clock = clock

    async def __call__(self) -> list[Retained]:
        """One round: of each rule a few pages; what is left is for the next round."""
        found = [await self._remove(rule, tenant, term) async for rule, tenant, term in self._terms()]
        return [*found, *[await self._remove_accesses(term) for term in self._access_terms()]]

    async def count(self) -> list[Retained]:
        """What a round would find; nothing is removed."""
        found = [await self._count(rule, tenant, term) async for rule, tenant, term in self._terms()]
        for term in self._access_terms():
            found.append(replace(term, due=await self._forget_accesses.count(term.tenant, term.before)))
        return found

    async def _terms(self) -> AsyncIterator[tuple[Rule, Tenant, Retained]]:
        for rule in RULES:
            for tenant in self._tenants.values():
                yield rule, tenant, self._term(rule.collection.name, rule.days(tenant), tenant.id)
        for rule in SHARED_RULES:
            longest = max(self._tenants.values(), key=rule.days)
            yield rule, longest, self._term(rule.collection.name, rule.days(longest), "")

    def _access_terms(self) -> list[Retained]:
        """The access log goes from the front of its chains alone, which are not an index of one field."""
        return [
            self._term(ACCESS_LOG.name, days_of(tenant.retention.access_log_years), tenant.id)
            for tenant in self._tenants.values()
        ]

    def _term(self, collection: str, days: int, named: str) -> Retained:
        return Retained(named, collection, days, self._clock() - days * DAY_MS)

    async def _remove_accesses(self, term: Retained) -> Retained:
        removed = 0
        for _ in range(_PAGES_A_ROUND):
            gone = await self._forget_accesses.step(term.tenant, term.before)
            if not gone:
                break
            removed += gone
        return replace(term, due=removed, removed=removed)

    async def _pages(self, rule: Rule, tenant: Tenant, found: Retained, most: int) -> AsyncIterator[list[Document]]:
        for among in rule.among:
            equal = {**({"tenant": found.tenant} if found.tenant else {}), **among}
            below = rule.bound(found.before, tenant)
            async for page in due_pages(self._store, rule.collection, rule.index, equal, below=below, most=most):
                yield page

    async def _count(self, rule: Rule, tenant: Tenant, found: Retained) -> Retained:
        """In one find a value, since nothing moves that pages could go by."""
        due = spared = 0
        for among in rule.among:
            equal = {**({"tenant": found.tenant} if found.tenant else {}), **among}
            below = rule.bound(found.before, tenant)
            page = await self._store.find(rule.collection, rule.index, equal, below=below, limit=_MOST_COUNTED)
            due += len(page)
            if rule.collection is MESSAGES:
                for document in page:
                    spared += not await self._remove_message.is_filed(from_document(document, StoredMessage))
        return replace(found, due=due, spared=spared)

    async def _remove(self, rule: Rule, tenant: Tenant, found: Retained) -> Retained:
        let_go = self._letting_go(rule)
        due: set[str] = set()
        removed = 0
        async for page in self._pages(rule, tenant, found, _PAGES_A_ROUND):
            due |= {document["id"] for document in page}
            if rule.collection is MESSAGES:  # several of one thread would meet over its last place
                removed += sum([await let_go(document) for document in page])
            else:
                removed += sum(await asyncio.gather(*(let_go(document) for document in page)))
        return replace(found, due=len(due), removed=removed, spared=len(due) - removed)

    def _letting_go(self, rule: Rule) -> Callable[[Document], Awaitable[bool]]:
        if rule.collection is MESSAGES:
            return self._let_go_message
        if rule.collection is FILINGS:
            return self._let_go_filing
        if rule.collection is PARKED:
            return self._let_go_parked
        return lambda document: self._store.delete(rule.collection, document["id"])

    async def _let_go_message(self, document: Document) -> bool:
        return await self._remove_message(from_document(document, StoredMessage), _BY, "retention")

    async def _let_go_filing(self, document: Document) -> bool:
        """Never before the message that it tells of."""
        if await self._store.get(MESSAGES, changed_message(document["id"])) is not None:
            return False
        return await self._store.delete(FILINGS, document["id"])

    async def _let_go_parked(self, document: Document) -> bool:
        """Of one that was never stored the mark stays: what follows in its thread must not wait for it."""
        if document["step"] != Step.PERSIST:
            return await self._store.delete(PARKED, document["id"])
        return await self._store.replace(PARKED, {**document, "state": FORGOTTEN, "body": b""})
