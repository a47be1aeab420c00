"""A tenant's access log, entry by entry, for whoever answers for it; names stay sealed."""

from __future__ import annotations

from collections.abc import AsyncIterator

from messaging_service.application.access_entry import THE_LOG, order_at
from messaging_service.application.actors import OPERATIONS
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.ports import Access, AccessLog, Document, DocumentStore

_PAGE = 500


async def export_access_log(
    store: DocumentStore, access_log: AccessLog, tenant: str, since: int | None, until: int | None
) -> AsyncIterator[list[Document]]:
    """Pages of entries as they are stored, oldest first, from `since` and before `until` (milliseconds; None: all).

    Each holds its digest and that of the one before, so that it can be verified by itself. That it was handed over is
    logged first.
    """
    await access_log.record(Access(tenant, "", OPERATIONS, "read", THE_LOG, "", "audit"))
    above = None if since is None else order_at(since)
    below = None if until is None else order_at(until)
    while page := await store.find(ACCESS_LOG, "by_time", {"tenant": tenant}, above=above, below=below, limit=_PAGE):
        above = page[-1]["order"]
        yield page
