"""Care that nobody goes on with: no open relation and no appointment for as long as the hospital says."""

from __future__ import annotations

from collections.abc import Mapping

from messaging_service.application.close_accounts import CloseAccounts
from messaging_service.application.collections import CARE
from messaging_service.application.due_pages import due_pages
from messaging_service.application.ports import Clock, Document, DocumentStore
from messaging_service.application.relations import Relations
from messaging_service.tenants import Tenant

_DAY_MS = 86_400_000


class EndQuietCare:
    """Starts the closing clock; what the EPD tells later of the patient's care stops it again."""

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        store: DocumentStore,
        relations: Relations,
        closing: CloseAccounts,
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._relations = relations
        self._closing = closing
        self._clock = clock

    async def __call__(self) -> int:
        """Look once at everybody whose time has come; for how many care is over since now."""
        return sum([await self._look(tenant) for tenant in self._tenants.values() if tenant.accounts.quiet_days])

    async def _look(self, tenant: Tenant) -> int:
        before, ended = self._clock() - tenant.accounts.quiet_days * _DAY_MS, 0
        asked = {"tenant": tenant.id}
        async for page in due_pages(self._store, CARE, "by_quiet", asked, above=0, below=before + 1):
            for care in page:
                ended += await self._end(tenant, care)
        return ended

    async def _end(self, tenant: Tenant, care: Document) -> bool:
        """Whether care is over; a relation that the hospital loaded, and the EPD never named, goes on.

        The account is told before the watch ends: a crash in between is made good at the next look. What the EPD tells
        at this moment wins, and is looked at by itself.
        """
        now = self._clock()
        over = not any(relation.is_open(now) for relation in await self._relations.of(care["id"]))
        if over:
            if not await self._store.replace(CARE, {**care, "quiet_over_at": care["quiet_over_at"] or now}):
                return False
            await self._closing.care_changed(tenant, care["id"])
        told = await self._store.get(CARE, care["id"])
        if told is not None and told["quiet_since"] == care["quiet_since"]:
            await self._store.replace(CARE, {**told, "watched_since": 0})
        return over
