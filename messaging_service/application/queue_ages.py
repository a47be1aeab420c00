"""How old the oldest message of a queue is, found in the store where the broker cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from messaging_service.application.collections import FILINGS, JOURNAL, MESSAGES, PARKED
from messaging_service.application.journal import Outcome
from messaging_service.application.ports import Clock, Depth, DocumentStore
from messaging_service.application.topology import file_queue, persist_queue
from messaging_service.domain.filing import OPEN_STATES
from messaging_service.domain.message import Lane

_PAGE = 50
_PAGES = 20


class QueueAges:
    """Ages in milliseconds: persist queues from the gateways' journal, file queues from the filings."""

    def __init__(self, tenants: tuple[str, ...], store: DocumentStore, clock: Clock) -> None:
        self._tenants = tenants
        self._store = store
        self._clock = clock

    async def oldest_ms(self, depths: Mapping[str, Depth]) -> dict[str, int]:
        """By queue, for those that hold something and whose age is known."""
        now = self._clock()
        ages = {queue: depth.oldest_ms for queue, depth in depths.items() if depth.oldest_ms is not None}
        for lane in Lane:
            queue = persist_queue(lane)
            if queue not in ages and queue in depths and depths[queue].ready:
                ages[queue] = now - await self._oldest_unpersisted(lane, now)
            for tenant in self._tenants:
                queue = file_queue(tenant, lane)
                if queue not in ages and (at := await self._oldest_unfiled(tenant, lane)) is not None:
                    ages[queue] = now - at
        return ages

    async def _oldest_unfiled(self, tenant: str, lane: Lane) -> int | None:
        found = []
        for state in OPEN_STATES:
            asked = {"tenant": tenant, "lane": lane, "state": state}
            found += await self._store.find(FILINGS, "by_lane", asked, limit=1)
        return min((document["accepted_at"] for document in found), default=None)

    async def _oldest_unpersisted(self, lane: Lane, now: int) -> int:
        """Walks the journal back from now until a page is persisted throughout; bounded, so at least so old."""
        oldest, below = now, None
        for _ in range(_PAGES):
            batches = await self._store.find(
                JOURNAL, "by_state", {"state": "open"}, below=below, descending=True, limit=_PAGE
            )
            entries = [entry for batch in batches for entry in batch["entries"] if _may_wait(entry, lane)][:500]
            gone = await self._gone([entry["message"] for entry in entries])
            missing = [entry["at"] for entry in entries if entry["message"] not in gone]
            if not missing:
                return oldest
            oldest, below = min(oldest, *missing), batches[-1]["order"]
        return oldest

    async def _gone(self, messages: list[str]) -> set[str]:
        """Those that are stored or parked, and so in the persist queue no more."""
        stored = await self._store.get_many(MESSAGES, messages)
        rest = {f"{message}.persist": message for message in messages if message not in stored}
        parked = await self._store.get_many(PARKED, list(rest)) if rest else {}
        return {*stored, *(rest[id] for id in parked)}


def _may_wait(entry: Mapping[str, Any], lane: Lane) -> bool:
    return bool(entry["lane"] == lane and entry["outcome"] != Outcome.FAILED)
