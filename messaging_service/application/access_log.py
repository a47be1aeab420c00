"""The access log (NEN 7513): entries chained per process run, so that a gap, a change or a swap is found."""

from __future__ import annotations

import asyncio
import hashlib
import secrets

import msgspec

from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.ports import AccessEntry, Clock, Document, DocumentStore

_BATCH = 500


class ChainedAccessLog:
    """Writes entries in batches; `record` returns when its entry is durable.

    Each entry holds the digest of the one before it. When the store fails mid-batch nobody knows which entries
    were written, so a new chain begins: what was in doubt stays the tail of the old one.
    """

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: list[tuple[AccessEntry, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._begin_chain()

    def _begin_chain(self) -> None:
        self._run = secrets.token_hex(8)
        self._number = 0
        self._digest = ""

    async def record(self, entry: AccessEntry) -> None:
        """Durable when it returns. Raises StoreDown."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await done

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            try:
                await self._store.insert(ACCESS_LOG, [self._link(entry) for entry, _ in batch])
            except Exception as problem:  # also one of ours: it belongs to those who wait, and must not end the log
                self._begin_chain()
                for _, done in batch:
                    if not done.done():
                        done.set_exception(problem)
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)
        self._flushing = None

    def _link(self, entry: AccessEntry) -> Document:
        self._number += 1
        document: Document = {
            **msgspec.to_builtins(entry),
            "id": f"{self._run}.{self._number}",
            "run": self._run,
            "number": self._number,
            "at": self._clock(),
            "previous": self._digest,
        }
        self._digest = entry_digest(document)
        document["digest"] = self._digest
        return document


def entry_digest(document: Document) -> str:
    """SHA-256 over an entry's fields except its own digest and the store's version, in hex."""
    chained = {key: value for key, value in document.items() if key not in ("digest", "version")}
    return hashlib.sha256(msgspec.json.encode(chained, order="sorted")).hexdigest()
