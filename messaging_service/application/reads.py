"""How far a thread was read, by each reader and by the care team: one document each, a place that only grows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import READS
from messaging_service.application.ports import DocumentStore
from messaging_service.application.threads import StoredThread, Threads
from messaging_service.domain.errors import Conflict

MOST_UNREAD = 100
"""More are not counted: 100 stands for as many or more."""
_TRIES = 16


@dataclass(frozen=True, slots=True)
class ReadUpTo:
    """A reader has read all up to `place`; `at` is when that was last said, in milliseconds.

    `reader` is a pseudonym, or CARE_TEAM for whoever of the team; `role` patient, representative or CARE_TEAM.
    """

    id: str
    tenant: str
    thread: str
    reader: str
    role: str
    place: int
    at: int
    version: int = 1


class Reads:
    """Reads and writes how far threads were read, and counts what was not."""

    def __init__(self, store: DocumentStore, threads: Threads) -> None:
        self._store = store
        self._threads = threads

    async def move(self, thread: StoredThread, reader: str, role: str, place: int, at: int) -> bool:
        """Read up to `place`; False where it was read as far before. Two at once end at the farther place.

        Raises:
            Conflict: others moved it again and again.
        """
        new = ReadUpTo(_id(thread.id, reader), thread.tenant, thread.id, reader, role, place, at)
        for _ in range(_TRIES):
            known = await self._store.get(READS, new.id)
            if known is None:
                if (await self._store.insert(READS, [to_document(new)]))[0]:
                    return True
            elif known["place"] >= place:
                return False
            elif await self._store.replace(READS, to_document(replace(new, version=known["version"]))):
                return True
        raise Conflict(f"read place in thread {thread.id}")

    async def places(self, threads: Sequence[str], reader: str) -> dict[str, int]:
        """How far this reader read each of the threads; those never read are left out."""
        found = await self._store.get_many(READS, [_id(thread, reader) for thread in threads])
        return {document["thread"]: document["place"] for document in found.values()}

    async def of_thread(self, thread: str) -> list[ReadUpTo]:
        """Every reader of the thread."""
        found = await self._store.find(READS, "of_thread", {"thread": thread})
        return [from_document(document, ReadUpTo) for document in found]

    async def unread(self, threads: Sequence[str], reader: str, records: Sequence[str]) -> dict[str, int]:
        """How many replies that are shown this reader has not read, of each thread; at most MOST_UNREAD.

        Counted from places, so that it is right whatever happens at once. What patients' side wrote never counts.
        """
        places = await self.places(threads, reader)
        shown = await asyncio.gather(
            *(self._threads.replies_shown(id, above=places.get(id, 0), limit=MOST_UNREAD) for id in threads)
        )
        return {
            id: sum(reply.patient in records for reply in replies) for id, replies in zip(threads, shown, strict=True)
        }


def _id(thread: str, reader: str) -> str:
    return f"{thread}.{reader}"
