"""What happened to a patient's messages, in order and without content: a portal that was away misses nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import FEED, FEED_ENDS
from messaging_service.application.ports import DocumentStore
from messaging_service.domain.errors import Conflict

START = "start"
"""The place before the first event."""

_PLACE_TRIES = 64
_DAY_MS = 86_400_000
_PAGE = 200


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
        id = _id(patient, event)
        for _ in range(_PLACE_TRIES):
            number = (await self.end(patient))[0] + 1
            order = f"{now:015}.{id}"
            kept = FeedEvent(id, tenant, patient, number, type, message, thread, at, now // _DAY_MS, order)
            if (await self._store.insert(FEED, [to_document(kept)]))[0]:
                return
            if await self._store.get(FEED, id):
                return
        raise Conflict(f"feed for {message}")

    async def holds(self, patient: str, event: str) -> bool:
        """Whether this event, by its own id, was added before and is not forgotten yet."""
        return await self._store.get(FEED, _id(patient, event)) is not None

    async def held(self, events: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """The same for many: those of these (patient, event) that were added and are not forgotten yet."""
        ids = {_id(patient, event): (patient, event) for patient, event in events}
        return {ids[id] for id in await self._store.get_many(FEED, list(ids))} if ids else set()

    async def after(self, patient: str, number: int, *, limit: int = 100) -> list[FeedEvent]:
        """The events of a patient above `number`, in order."""
        found = await self._store.find(FEED, "of_patient", {"patient": patient}, above=number, limit=limit)
        return [from_document(document, FeedEvent) for document in found]

    async def end(self, patient: str) -> tuple[int, str]:
        """Number and id of the last event that the patient ever had, forgotten or not; 0 and START: there was none."""
        found = await self._store.find(FEED, "of_patient", {"patient": patient}, descending=True, limit=1)
        # the end is looked at after the events: it is written down before they go
        return (found[0]["number"], found[0]["id"]) if found else await self._forgotten(patient)

    async def number_of(self, patient: str, id: str) -> int | None:
        """The place of an event in a patient's feed; None when it is not there, or something after it is forgotten."""
        document = await self._store.get(FEED, id)
        if document is not None:
            return document["number"] if document["patient"] == patient else None
        forgotten, last = await self._forgotten(patient)
        return forgotten if id == last else None

    async def written_since(self, now: int, since: int) -> Sequence[FeedEvent]:
        """What was written to any feed from `since` to `now`, in the order of writing."""
        found: list[FeedEvent] = []
        for day in range(since // _DAY_MS, now // _DAY_MS + 1):
            after = f"{since:015}"
            while page := await self._store.find(FEED, "by_time", {"day": day}, above=after, limit=_PAGE):
                found += [from_document(document, FeedEvent) for document in page]
                after = page[-1]["order"]
        return found

    async def forget(self, day: int) -> int:
        """Drop what was written on that day (days since 1970, UTC); returns how many. The numbers go on.

        Raises Conflict.
        """
        forgotten = 0
        while old := await self._store.find(FEED, "by_time", {"day": day}, limit=_PAGE):
            await asyncio.gather(*(self._write_end(document) for document in _last_of_each(old)))
            gone = await asyncio.gather(*(self._store.delete(FEED, document["id"]) for document in old))
            forgotten += sum(gone)
        return forgotten

    async def _write_end(self, event: Mapping[str, Any]) -> None:
        for _ in range(_PLACE_TRIES):
            document = await self._store.get(FEED_ENDS, event["patient"])
            end = {"id": event["patient"], "number": event["number"], "last": event["id"]}
            if document is None:
                written = (await self._store.insert(FEED_ENDS, [end]))[0]
            elif document["number"] >= event["number"]:
                return
            else:
                written = await self._store.replace(FEED_ENDS, {**document, **end})
            if written:
                return
        raise Conflict("end of feed")

    async def _forgotten(self, patient: str) -> tuple[int, str]:
        document = await self._store.get(FEED_ENDS, patient)
        return (document["number"], document["last"]) if document else (0, START)


def _last_of_each(documents: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    last: dict[str, Mapping[str, Any]] = {}
    for document in sorted(documents, key=lambda each: each["number"]):
        last[document["patient"]] = document
    return list(last.values())


def _id(patient: str, event: str) -> str:
    return hashlib.sha256(f"{patient} {event}".encode()).hexdigest()[:26]
