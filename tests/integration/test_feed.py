"""The feed of what a patient is told: numbers without a gap, what is forgotten, and whose readers are woken."""

from __future__ import annotations

import asyncio

import pytest

from messaging_service.application.allowances import ForgetAllowances
from messaging_service.application.collections import FEED, TICKETS
from messaging_service.application.event_tickets import EventTickets
from messaging_service.application.feed import START, Feed
from messaging_service.application.follow import Signs
from messaging_service.application.forget_events import KEPT_DAYS, ForgetEvents
from messaging_service.application.ports import DocumentStore
from tests.parts.portal import Portal
from tests.parts.service import Service

PATIENT = "f" * 32
DAY_MINUTES = 24 * 60


async def add(feed: Feed, event: str, now: int, patient: str = PATIENT) -> None:
    """Add some event."""
    await feed.add(patient, event, tenant="sein", type="message.filed", message="m", thread="t", at=1, now=now)


async def test_numbers_have_no_gap_under_a_race(service: Service) -> None:
    """Forty events, each told twice at the same moment by two workers, get the numbers 1 to 40, each once."""
    feeds = [Feed(service.store), Feed(service.another().store)]
    await asyncio.gather(*(add(feed, str(number), 1) for feed in feeds for number in range(40)))
    assert [each.number for each in await feeds[0].after(PATIENT, 0)] == list(range(1, 41))


async def test_what_is_forgotten_keeps_its_number(service: Service) -> None:
    """After seven days events are gone and the numbers go on; who saw the last of them goes on, who did not is told."""
    feed, clock = Feed(service.store), service.clock
    tickets = EventTickets(service.store, service.keyring, service.tenants, clock)
    counts = ForgetAllowances(service.store, service.tenants, clock)
    forget = ForgetEvents(feed=feed, tickets=tickets, allowances=counts, clock=clock)
    await tickets.issue(Portal(service).patient())
    for event in "ab":
        await add(feed, event, clock())
    first, last = await feed.after(PATIENT, 0)
    clock.minutes(KEPT_DAYS * DAY_MINUTES)
    assert await forget() == 0
    clock.minutes(DAY_MINUTES)
    assert await forget() == 2
    assert await service.all(FEED, "of_patient", patient=PATIENT) == []
    assert await service.all(TICKETS, "by_time", tenant="spijkenisse") == []
    assert await feed.end(PATIENT) == (2, last.id)
    assert [await feed.number_of(PATIENT, id) for id in (first.id, last.id, START)] == [None, 2, None]
    await add(feed, "c", clock())
    assert [each.number for each in await feed.after(PATIENT, 2)] == [3]
    assert [await feed.number_of("e" * 32, id) for id in (last.id, START)] == [None, 0]


class Reads:
    """Counts the documents that finds return."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self.read = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def find(self, *args: object, **how: object) -> object:
        found = await self._store.find(*args, **how)  # type: ignore[arg-type]
        self.read += len(found)
        return found


async def test_whose_readers_are_woken(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look wakes the readers of feeds that were written to, each once, also by a worker whose clock is behind.

    Of 1,500 events of a second before every one is seen, and of those of long ago none is read again.
    """
    reads = Reads(service.store)
    feed = Feed(reads)  # type: ignore[arg-type]
    signs = Signs(feed, service.clock)
    others = [f"{number:032x}" for number in range(1_500)]
    mine, theirs = signs.await_for(PATIENT), signs.await_for("e" * 32)
    seen = await signs._look({})
    await asyncio.gather(*(add(feed, "a", service.clock() - 1, patient) for patient in others))
    await add(feed, "a", service.clock())
    seen = await signs._look(seen)
    assert (mine.is_set(), theirs.is_set()) == (True, False)
    mine.clear()
    seen = await signs._look(seen)
    assert not mine.is_set()
    await add(feed, "b", service.clock() - 900)
    seen = await signs._look(seen)
    assert mine.is_set()
    service.clock.minutes(1)
    reads.read = 0
    assert await signs._look(seen) == {}
    assert reads.read == 0
