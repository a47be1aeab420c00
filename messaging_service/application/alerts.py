"""One alert when a server goes down and one when it is back, however many workers notice."""

from __future__ import annotations

from messaging_service.application.collections import ALERTS
from messaging_service.application.ports import Clock, DocumentStore, Operations
from messaging_service.domain.errors import StoreDown

_KEPT_ALIVE_MS = 60_000
_FORGOTTEN_AFTER_MS = 600_000


class Alerts:
    """Tells operations, once for all processes while the store answers, else once for this process.

    Whoever waits for the server calls `begin` again and again; that keeps the alert alive. One that nobody keeps
    alive is of processes that died, and does not silence the next.
    """

    def __init__(self, store: DocumentStore, operations: Operations, clock: Clock) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._kept_at: dict[str, int] = {}
        self._told_alone: set[str] = set()

    async def begin(self, key: str, text: str) -> None:
        """Something is wrong; told unless it was told already."""
        now = self._clock()
        known = self._kept_at.get(key)
        if known is not None and now - known < _KEPT_ALIVE_MS:
            return
        self._kept_at[key] = now
        try:
            first = await self._claim(key, now) and key not in self._told_alone
            self._told_alone.discard(key)
        except StoreDown:
            first = known is None
            self._told_alone |= {key} if first else set()
        if first:
            await self._operations.tell(key, text)

    async def _claim(self, key: str, now: int) -> bool:
        """Write that the alert stands; True when it did not stand before."""
        if (await self._store.insert(ALERTS, [{"id": key, "at": now, "began_at": now}]))[0]:
            return True
        standing = await self._store.get(ALERTS, key)
        if standing is None:
            return False  # ended this moment; the next call claims it
        forgotten = now - standing["at"] > _FORGOTTEN_AFTER_MS
        began_at = now if forgotten else standing.get("began_at", now)
        return await self._store.replace(ALERTS, {**standing, "at": now, "began_at": began_at}) and forgotten

    async def stands(self, key: str, *, since: int) -> bool:
        """Whether it stands, of whatever process, and began at `since` (ms) or later. Raises StoreDown."""
        standing = await self._store.get(ALERTS, key)
        if standing is None:
            return False
        began_at: int = standing["began_at" if "began_at" in standing else "at"]
        return began_at >= since

    async def end(self, key: str, text: str) -> None:
        """It is right again; told by whoever notices first."""
        known, alone = self._kept_at.pop(key, None), key in self._told_alone
        self._told_alone.discard(key)
        try:
            first = await self._store.delete(ALERTS, key) or alone
        except StoreDown:
            first = known is not None
        if first:
            await self._operations.tell(key, text)
