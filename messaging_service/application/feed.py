"""What happened to a patient's messages, in order and without content: a portal that was away misses nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import FEED
from messaging_service.application.ports import DocumentStore
from messaging_service.domain.errors import Conflict

START = "start"
"""The place before the first event."""

_PLACE_TRIES = 64
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """An event in the feed of `patient`: the `number`th, from 1 without a gap. Times in milliseconds.

    The id tells nothing of the number: who may not see an event must not count it either. `day` and `order` are for
    those who follow all feeds at once.
    """

    id: str
    tenant: str
    patient: str
    number: int
    type: str
    message: str
    thread: str
    at: int
    day: int
    order: str
    version: int = 1


class Feed:
    """The feeds of all patients."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def add(
        self, patient: str, event: str, *, tenant: str, type: str, message: str, thread: str, at: int, now: int
    ) -> None:
        """Put an event at the end; `event` is its own id, under which a repeat changes nothing.

        Raises:
            Conflict: too many others were written to this feed at the same moment.
        """
        id = hashlib.sha256(f"{patient} {event}".encode()).hexdigest()[:26]
        for _ in range(_PLACE_TRIES):
            number = await self._last_number(patient) + 1
            order = f"{now:015}.{id}"
            kept = FeedEvent(id, tenant, patient, number, type, message, thread, at, now // _DAY_MS, order)
            if (await self._store.insert(FEED, [to_document(kept)]))[0]:
                return
            if await self._store.get(FEED, id):
                return
        raise Conflict(f"feed for {message}")

    async def after(self, patient: str, number: int, *, limit: int = 100) -> list[FeedEvent]:
        """The events of a patient above `number`, in order."""
        found = await self._store.find(FEED, "of_patient", {"patient": patient}, above=number, limit=limit)
        return [from_document(document, FeedEvent) for document in found]

    async def newest(self, patient: str) -> FeedEvent | None:
        """The last event of a patient."""
        found = await self._store.find(FEED, "of_patient", {"patient": patient}, descending=True, limit=1)
        return from_document(found[0], FeedEvent) if found else None

    async def number_of(self, patient: str, id: str) -> int | None:
        """The place of an event in a patient's feed; None when it is not there, or not any more."""
        if id == START:
            return 0
        document = await self._store.get(FEED, id)
        return document["number"] if document and document["patient"] == patient else None

    async def written_since(self, now: int, since: int, *, limit: int = 1_000) -> Sequence[FeedEvent]:
        """What was written to any feed from `since` to `now`, in the order of writing."""
        found = []
        for day in range(since // _DAY_MS, now // _DAY_MS + 1):
            found += await self._store.find(FEED, "by_time", {"day": day}, above=f"{since:015}", limit=limit)
        return [from_document(document, FeedEvent) for document in found]

    async def _last_number(self, patient: str) -> int:
        last = await self.newest(patient)
        return last.number if last else 0
