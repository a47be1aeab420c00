"""What was answered AA long ago is forgotten: no EPD sends it again after so long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from messaging_service.application.collections import RECEIVED
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.tenants import Tenant

_PAGE = 200
_DAY_MS = 86_400_000


class ForgetReceived:
    """Deletes the stored answers. What comes again all the same is carried out again, which changes nothing."""

    def __init__(self, *, tenants: Mapping[str, Tenant], store: DocumentStore, clock: Clock) -> None:
        self._tenants = tenants
        self._store = store
        self._clock = clock

    async def __call__(self) -> int:
        """How many were forgotten, page by page."""
        return sum([await self._forget(tenant) for tenant in self._tenants.values() if tenant.epd.listener])

    async def _forget(self, tenant: Tenant) -> int:
        assert tenant.epd.listener is not None
        before, forgotten = self._clock() - tenant.epd.listener.remember_days * _DAY_MS, 0
        while old := await self._store.find(RECEIVED, "by_time", {"tenant": tenant.id}, below=before, limit=_PAGE):
            forgotten += sum(await asyncio.gather(*(self._store.delete(RECEIVED, document["id"]) for document in old)))
        return forgotten
