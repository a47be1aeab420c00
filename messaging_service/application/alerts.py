"""One alert when a server goes down and one when it is back, however many workers notice."""

from __future__ import annotations

from messaging_service.application.collections import ALERTS
from messaging_service.application.ports import Clock, DocumentStore, Operations
from messaging_service.domain.errors import StoreDown


class Alerts:
    """Tells operations, once for all processes while the store answers, else once for this process."""

    def __init__(self, store: DocumentStore, operations: Operations, clock: Clock) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._raised: set[str] = set()

    async def begin(self, key: str, text: str) -> None:
        """Something is wrong; told unless it was told already."""
        if key in self._raised:
            return
        self._raised.add(key)
        document = {"id": key, "at": self._clock()}
        try:
            first = (await self._store.insert(ALERTS, [document]))[0]
        except StoreDown:
            first = True
        if first:
            await self._operations.tell(key, text)

    async def end(self, key: str, text: str) -> None:
        """It is right again; told by whoever notices first."""
        self._raised.discard(key)
        try:
            first = await self._store.delete(ALERTS, key)
        except StoreDown:
            first = True
        if first:
            await self._operations.tell(key, text)
