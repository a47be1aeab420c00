"""The gateway's own account of what it published, so that the ledger can prove that nothing is lost."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from enum import StrEnum

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import JOURNAL, RUNS
from messaging_service.application.ports import Clock, Document, DocumentStore
from messaging_service.domain.errors import StoreDown

_BEAT_MS = 5_000


class Outcome(StrEnum):
    """CONFIRMED: the broker has it and the portal got 202. UNKNOWN: it may have it, the portal got 503."""

    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One numbered publish of a run; `at` in milliseconds."""

    number: int
    message: str
    lane: str
    outcome: Outcome
    at: int
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class JournalBatch:
    """Entries written together; `state` is open until the ledger has seen each of them settled.

    `order` sorts batches by time and is never the same for two, so that pages of them neither miss nor repeat one.
    """

    id: str
    run: str
    first: int
    last: int
    at: int
    state: str
    order: str
    entries: tuple[JournalEntry, ...]
    version: int = 1


@dataclass(frozen=True, slots=True)
class GatewayRun:
    """One life of a gateway process. Every number up to `watermark` is in a journal batch."""

    id: str
    started_at: int
    seen_at: int
    watermark: int
    state: str
    version: int = 1


class Journal:
    """Numbers publishes and writes their outcomes in batches, off the hot path."""

    def __init__(self, store: DocumentStore, clock: Clock, *, interval: float = 0.25) -> None:
        self.run = secrets.token_hex(8)
        self._store = store
        self._clock = clock
        self._interval = interval
        self._issued = 0
        self._batches = 0
        self._settled: list[JournalEntry] = []
        self._in_flight: set[int] = set()
        self._unwritten: Document | None = None
        self._run_document: GatewayRun | None = None

    def next_number(self) -> int:
        """The number of the publish that begins now; `settle` must follow."""
        self._issued += 1
        self._in_flight.add(self._issued)
        return self._issued

    def settle(self, number: int, message: str, lane: str, outcome: Outcome, tenant: str = "") -> None:
        """What became of that publish."""
        self._in_flight.discard(number)
        self._settled.append(JournalEntry(number, message, lane, outcome, self._clock(), tenant))

    async def keep(self, stop: asyncio.Event) -> None:
        """Write until `stop`, then once more and close the run. A store that is down is tried again."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), self._interval)
            except TimeoutError:
                await self._try_flush("running")
        await self._try_flush("closed")

    async def _try_flush(self, state: str) -> None:
        try:
            await self.flush(state)
        except StoreDown:
            return  # what was settled stays in memory and is written when the store is back

    async def flush(self, state: str = "running") -> None:
        """Write what is settled and how far the numbers are complete. Raises StoreDown."""
        await self._write_batch()
        if self._settled:
            entries, self._settled = tuple(self._settled), []
            self._batches += 1
            self._unwritten = to_document(self._batch(entries))
            await self._write_batch()
        await self._beat(state)

    async def _write_batch(self) -> None:
        """One that the store did not confirm goes first and as it was, so that it is there once."""
        if self._unwritten is not None:
            await self._store.insert(JOURNAL, [self._unwritten])
            self._unwritten = None

    def _batch(self, entries: tuple[JournalEntry, ...]) -> JournalBatch:
        numbers, now = [entry.number for entry in entries], self._clock()
        id = f"{self.run}.{self._batches}"
        return JournalBatch(id, self.run, min(numbers), max(numbers), now, "open", f"{now:015}.{id}", entries)

    async def _beat(self, state: str) -> None:
        now, known = self._clock(), self._run_document
        oldest = min((*self._in_flight, *(entry.number for entry in self._settled)), default=self._issued + 1)
        if oldest <= self._issued:
            state = "running"  # a run is closed when all its numbers are written down, not before
        if known is None:
            known = GatewayRun(self.run, now, now, oldest - 1, state)
            await self._store.insert(RUNS, [to_document(known)])
            self._run_document = known
        elif (oldest - 1, state) != (known.watermark, known.state) or now - known.seen_at > _BEAT_MS:
            changed = replace(known, seen_at=now, watermark=oldest - 1, state=state)
            if await self._store.replace(RUNS, to_document(changed)):
                self._run_document = replace(changed, version=known.version + 1)
            else:  # a write that seemed to fail had succeeded: take its version and beat again next time
                stored = await self._store.get(RUNS, self.run)
                self._run_document = from_document(stored, GatewayRun) if stored else None
