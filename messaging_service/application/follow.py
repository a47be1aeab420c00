"""Follow a patient's feed: what is new for this reader, and a sign when it is worth looking."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from messaging_service.application.accounts import Accounts, Entry
from messaging_service.application.callers import Writer
from messaging_service.application.feed import Feed, FeedEvent
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, Clock
from messaging_service.application.threads import Threads
from messaging_service.application.visibility import sees
from messaging_service.domain.errors import ServerFault

LOOK_SECONDS = 0.4
_LATE_MS = 1_000
"""How far each look goes back before the newest that was seen: another process's clock, and writes that were under way.
What is later still is found by the reader itself, who looks at its own feed at every heartbeat."""
_LONGEST_LOOK_MS = 20_000
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader is in a feed: the number of the last event seen, and its id. `reset`: what was asked is gone."""

    number: int
    id: str
    reset: bool = False


class Follow:
    """The use case behind GET /v1/events."""

    def __init__(
        self, *, feed: Feed, accounts: Accounts, patients: Patients, threads: Threads, access_log: AccessLog
    ) -> None:
        self._feed = feed
        self._access_log = access_log
        self._accounts = accounts
        self._patients = patients
        self._threads = threads

    async def enter(self, reader: Writer) -> Entry:
        """Let in whoever may read this patient's account, now. Raises as `Accounts.enter`."""
        return await self._accounts.enter(reader, writing=False)

    async def begin(self, reader: Writer, entry: Entry, last: str | None) -> Place:
        """Where to begin: after the event with the id `last`, or at the end of the feed. Recorded, once a stream."""
        by = self._accounts.by(reader)
        await self._access_log.record(Access(reader.tenant.id, entry.patient, by, "read", "events", "", "own data"))
        if last is not None:
            number = await self._feed.number_of(entry.patient, last)
            if number is not None:
                return Place(number, last)
        return Place(*await self._feed.end(entry.patient), reset=last is not None)

    async def after(self, entry: Entry, place: Place) -> tuple[Place, Sequence[FeedEvent], bool]:
        """What this reader may see of what came after `place`, the place after that, and whether more may be there.

        A thread that is private to the patient has no events for anybody else (application/visibility.py).
        """
        events = await self._feed.after(entry.patient, place.number, limit=_PAGE)
        if not events:
            return place, (), False
        records = await self._patients.members(entry.patient)
        threads = await self._threads.threads([event.thread for event in events])
        seen = [event for event in events if (it := threads.get(event.thread)) and sees(entry.author, records, it)]
        return Place(events[-1].number, events[-1].id), seen, len(events) == _PAGE


class Signs:
    """Wakes the readers of this gateway whose feed was written to, by any process: one look at the store for all.

    A sign is a hint. Each reader looks for itself, so a sign too many or too few costs time and no event.
    """

    def __init__(self, feed: Feed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def await_for(self, patient: str) -> asyncio.Event:
        """Set when this patient's feed was written to; the caller clears it, and gives it back to `leave`."""
        sign = asyncio.Event()
        self._waiting[patient].add(sign)
        return sign

    def leave(self, patient: str, sign: asyncio.Event) -> None:
        """No more of this sign."""
        self._waiting[patient].discard(sign)
        if not self._waiting[patient]:
            del self._waiting[patient]

    async def keep(self, stop: asyncio.Event) -> None:
        """Look until `stop`; a store that is down is asked again."""
        seen: dict[str, int] = {}
        while not stop.is_set():
            if self._waiting:
                with suppress(ServerFault):
                    seen = await self._look(seen)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)

    async def _look(self, seen: dict[str, int]) -> dict[str, int]:
        """What was written of late, by id; every sign that one not `seen` before concerns is set."""
        now = self._clock()
        since = min(max(seen.values(), default=0), now) or now
        events = await self._feed.written_since(now, max(since, now - _LONGEST_LOOK_MS) - _LATE_MS)
        for event in events:
            if event.id not in seen:
                for sign in self._waiting.get(event.patient, ()):
                    sign.set()
        return {event.id: int(event.order.partition(".")[0]) for event in events}
