"""Which processes run, and what each can tell of itself: its open circuits, its connections to the EPDs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import PROCESSES
from messaging_service.application.ports import Clock, DocumentStore

BEAT_SECONDS = 10.0
_GONE_AFTER_MS = 45_000
_FORGOTTEN_AFTER_MS = 3_600_000
_KIND = "process"


@dataclass(frozen=True, slots=True)
class Condition:
    """What a process tells of itself: queues whose circuit is open, and by tenant its EPD connections (open, of)."""

    circuits: tuple[str, ...] = ()
    connections: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenProcess:
    """A process as it was at `seen_at` (milliseconds)."""

    id: str
    name: str
    started_at: int
    seen_at: int
    circuits: tuple[str, ...]
    connections: Mapping[str, tuple[int, int]]
    kind: str = _KIND
    version: int = 1


class Presence:
    """Writes down that this process runs, and in which condition."""

    def __init__(self, store: DocumentStore, name: str, clock: Clock, condition: Callable[[], Condition]) -> None:
        self._store = store
        self._clock = clock
        self._condition = condition
        now = clock()
        self._seen = SeenProcess(secrets.token_hex(8), name, now, now, (), {})

    async def __call__(self) -> None:
        """Write it down once. Raises StoreDown."""
        told, now = self._condition(), self._clock()
        seen = replace(self._seen, seen_at=now, circuits=told.circuits, connections=told.connections)
        stored = await self._store.get(PROCESSES, seen.id)
        if stored is None:
            await self._store.insert(PROCESSES, [to_document(seen)])
            await self._forget(now - _FORGOTTEN_AFTER_MS)
        else:
            await self._store.replace(PROCESSES, {**to_document(seen), "version": stored["version"]})

    async def leave(self) -> None:
        """This process ends. Raises StoreDown."""
        await self._store.delete(PROCESSES, self._seen.id)

    async def _forget(self, before: int) -> None:
        for document in await self._store.find(PROCESSES, "by_time", {"kind": _KIND}, below=before):
            await self._store.delete(PROCESSES, document["id"])


async def running(store: DocumentStore, now: int, most: int = 100) -> list[SeenProcess]:
    """The processes that gave a sign of life lately, the newest sign first."""
    asked = {"kind": _KIND}
    found = await store.find(PROCESSES, "by_time", asked, above=now - _GONE_AFTER_MS, descending=True, limit=most)
    return [from_document(document, SeenProcess) for document in found]
