"""Threads: every message takes one place, none twice, and a crash in between is mended by the repeat."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from messaging_service.application.collections import FILINGS, MESSAGES, THREADS
from messaging_service.application.threads import StoredMessage, StoredThread, Threads
from messaging_service.domain.errors import Conflict, StoreDown
from messaging_service.domain.filing import FilingState
from tests.parts.service import START, Service

THREAD = StoredThread.opened("first", "spijkenisse", "patient", START)


def message(id: str, thread: str = "first") -> StoredMessage:
    """A message without content."""
    return StoredMessage(
        id=id,
        tenant="spijkenisse",
        patient="patient",
        thread=thread,
        place=0,
        lane="normal",
        care_team="triage",
        department="triage",
        routed_by="triage_desk",
        reply_by="2026-06-02",
        accepted_at=START,
        persisted_at=START,
        run="run",
        number=1,
        sealed=b"sealed",
    )


async def add(threads: Threads, thread: StoredThread, message: StoredMessage) -> StoredMessage:
    """As the persist step does: stored in its place, then waiting to be filed."""
    stored = await threads.add(thread, message)
    await threads.await_filing(stored)
    return stored


async def test_twenty_at_once_take_twenty_places(service: Service) -> None:
    """Twenty processes add to one thread at once: places 1 to 20, each taken once, a filing for each."""
    adders = [Threads(service.store) for _ in range(20)]
    await asyncio.gather(*(add(adder, THREAD, message(f"m{n}")) for n, adder in enumerate(adders)))
    stored = await service.threads.messages_in("first")
    assert [each.place for each in stored] == list(range(1, 21))
    assert {each.id for each in stored} == {f"m{n}" for n in range(20)}
    assert len(await service.threads.filings([each.id for each in stored])) == 20


async def test_a_repeat_changes_nothing(service: Service) -> None:
    """The same message again, even with other values and after it moved on: what is stored stays and is returned."""
    first = await add(service.threads, THREAD, message("first"))
    await add(service.threads, THREAD, message("second"))
    filing = await service.threads.filing("first")
    assert filing is not None
    filed = await service.threads.change(replace(filing, state=FilingState.FILED))
    again = await add(service.threads, THREAD, replace(message("first"), sealed=b"other", place=7))
    assert again == first
    assert await service.threads.filing("first") == filed
    assert len(await service.threads.messages_in("first")) == 2


async def test_one_message_added_at_once_by_many_is_stored_once(service: Service) -> None:
    """A redelivery while the first is at work: ten adds of one message leave one message in one place."""
    added = await asyncio.gather(*(add(Threads(service.store), THREAD, message("first")) for _ in range(10)))
    assert {each.place for each in added} == {1}
    assert [each.id for each in await service.threads.messages_in("first")] == ["first"]


@pytest.mark.parametrize("collection", [THREADS, MESSAGES, FILINGS])
@pytest.mark.parametrize("done", [False, True])
async def test_a_crash_at_any_write_is_mended_by_the_repeat(service: Service, collection: object, done: bool) -> None:
    """The store fails at one write, before or after it was carried out; the repeat ends with everything once."""
    service.store.fail("insert", collection, done=done)  # type: ignore[arg-type]
    with pytest.raises(StoreDown):
        await add(service.threads, THREAD, message("first"))
    await add(service.threads, THREAD, message("first"))
    assert [each.place for each in await service.threads.messages_in("first")] == [1]
    filing = await service.threads.filing("first")
    assert filing is not None
    assert (filing.state, filing.version) == (FilingState.WAITING, 1)
    assert await service.threads.thread("first") == THREAD


async def test_an_answer_that_overtakes_the_first_message(service: Service) -> None:
    """An urgent second message may be stored before the first: both get a place, and both have an order."""
    urgent = await add(service.threads, THREAD, message("urgent"))
    first = await add(service.threads, THREAD, message("first"))
    assert (urgent.place, first.place) == (1, 2)
    assert await service.threads.predecessor(first) == urgent
    assert await service.threads.predecessor(urgent) is None


async def test_change_loses_to_who_was_first(service: Service) -> None:
    """Two workers change one filing: the second is told, and the first's change stays."""
    await add(service.threads, THREAD, message("first"))
    seen = await service.threads.filing("first")
    assert seen is not None
    changed = await service.threads.change(seen.sending(START))
    with pytest.raises(Conflict):
        await service.threads.change(replace(seen, state=FilingState.PARKED))
    assert await service.threads.filing("first") == changed


async def test_set_state_wins_a_race_but_never_over_filed(service: Service) -> None:
    """Parking beats a worker's concurrent change; what is filed stays filed."""
    await add(service.threads, THREAD, message("first"))

    async def sent_meanwhile() -> None:
        seen = await service.another().threads.filing("first")
        assert seen is not None
        await Threads(service.store.inner).change(seen.sending(START))

    service.store.meanwhile("replace", FILINGS, sent_meanwhile)
    assert await service.threads.set_state("first", FilingState.PARKED)
    parked = await service.threads.filing("first")
    assert parked is not None
    assert (parked.state, len(parked.attempts)) == (FilingState.PARKED, 1)
    await service.threads.change(replace(parked, state=FilingState.FILED))
    assert not await service.threads.set_state("first", FilingState.WAITING)
    assert not await service.threads.set_state("unknown", FilingState.WAITING)


async def test_threads_page_by_order(service: Service) -> None:
    """Threads opened in the same millisecond page without a gap or a repeat, newest first."""
    for id in ("t0", "t1", "t2", "t3", "t4"):
        await add(service.threads, StoredThread.opened(id, "spijkenisse", "patient", START), message(id, id))
    seen, below = [], None
    while page := await service.threads.threads_of("patient", below=below, limit=2):
        seen += [thread.id for thread in page]
        below = page[-1].order
    assert seen == ["t4", "t3", "t2", "t1", "t0"]
