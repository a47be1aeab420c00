"""A message leaves the store, with all that is only of it; the filed copy is the EPD's, and the filing is evidence."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from messaging_service.application.codec import to_document
from messaging_service.application.collections import (
    AWAITED,
    CHANGES,
    MESSAGES,
    REPLY_VERSIONS,
    THREADS,
    UNMATCHED,
)
from messaging_service.application.ports import Access, AccessLog, Actor, Collection, DocumentStore
from messaging_service.application.threads import SUBMISSION, StoredMessage, Threads
from messaging_service.domain.errors import Conflict
from messaging_service.domain.filing import FilingState

_OF_MESSAGE = (CHANGES, REPLY_VERSIONS)
_TRIES = 16


class RemoveMessage:
    """Removes one message. A repeat, also of one that ended half-way, changes nothing else."""

    def __init__(self, *, store: DocumentStore, threads: Threads, access_log: AccessLog) -> None:
        self._store = store
        self._threads = threads
        self._access_log = access_log

    async def is_filed(self, message: StoredMessage) -> bool:
        """Whether the EPD has it, with every change to it; a reply came out of the EPD."""
        if message.kind != SUBMISSION:
            return True
        changes = await self._store.find(CHANGES, "of_message", {"message": message.id}, limit=1_000)
        ids = [message.id, *(change["id"] for change in changes)]
        filings = await self._threads.filings(ids)
        return all(id in filings and filings[id].state is FilingState.FILED for id in ids)

    async def __call__(self, message: StoredMessage, by: Actor, purpose: str, *, known_filed: bool = False) -> bool:
        """False when it stays, since it is not filed. It is in the access log before it is gone.

        `known_filed`: it was filed, and an old store that came back has forgotten that.
        """
        if not known_filed and not await self.is_filed(message):
            return False
        await self._access_log.record(
            Access(message.tenant, message.patient, by, "delete", "message", message.id, purpose)
        )
        await self._keep_place(message)
        for collection in _OF_MESSAGE:
            await self._empty(collection, message.id)
        for left in await self._store.find(UNMATCHED, "of_message", {"message": message.id}, limit=1_000):
            if left["state"] != "open":
                await self._store.delete(UNMATCHED, left["id"])
        await self._store.delete(AWAITED, message.id)
        return await self._store.delete(MESSAGES, message.id)

    async def _empty(self, collection: Collection, message: str) -> None:
        found = await self._store.find(collection, "of_message", {"message": message}, limit=1_000)
        await asyncio.gather(*(self._store.delete(collection, document["id"]) for document in found))

    async def _keep_place(self, message: StoredMessage) -> None:
        """A place is never given twice, so that who reads on from a place misses nothing."""
        for _ in range(_TRIES):
            thread = await self._threads.thread(message.thread)
            if thread is None or thread.removed_to >= message.place:
                return
            if await self._store.replace(THREADS, to_document(replace(thread, removed_to=message.place))):
                return
        raise Conflict(f"thread {message.thread}")
