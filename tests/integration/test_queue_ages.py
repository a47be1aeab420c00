"""How old the oldest of a queue is, from the store where the broker cannot tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from messaging_service.application import queue_ages as module
from messaging_service.application.journal import Journal, Outcome
from messaging_service.application.park import Park
from messaging_service.application.ports import Depth
from messaging_service.application.queue_ages import QueueAges
from messaging_service.domain.events import MessageAccepted
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Lane
from tests.parts.service import Service, enveloped

NORMAL, URGENT, FILE = "persist.normal", "persist.urgent", "file.spijkenisse.normal"


@pytest.fixture
def ages(service: Service) -> QueueAges:
    return QueueAges(tuple(service.tenants), service.store, service.clock)


async def journaled(
    service: Service, outcome: Outcome = Outcome.CONFIRMED, lane: Lane = Lane.NORMAL, patient: str = "1234"
) -> MessageAccepted:
    """A publish, in the journal."""
    journal = Journal(service.store, service.clock)
    event = service.accepted(patient, lane=lane)
    journal.settle(journal.next_number(), event.message, lane, outcome)
    await journal.flush()
    return event


async def test_what_the_broker_says_goes_first(service: Service, ages: QueueAges) -> None:
    """A broker that knows the age is believed, and the store is not asked."""
    await journaled(service)
    service.clock.minutes(5)
    service.store.calls.clear()
    assert await ages.oldest_ms({NORMAL: Depth(3, 1, oldest_ms=7)}) == {NORMAL: 7}
    assert ("find", "journal") not in service.store.calls


async def test_the_oldest_that_is_not_stored(service: Service, ages: QueueAges) -> None:
    """The journal's oldest confirmed message that is neither stored nor parked tells the age, by lane."""
    await service.persisted(await journaled(service))
    service.clock.minutes(1)
    await journaled(service, lane=Lane.URGENT)
    service.clock.minutes(1)
    await journaled(service)
    service.clock.minutes(3)
    told = await ages.oldest_ms({NORMAL: Depth(1, 0), URGENT: Depth(1, 0)})
    assert (told[NORMAL], told[URGENT]) == (180_000, 240_000)


async def test_what_is_not_in_the_queue_does_not_age_it(service: Service, ages: QueueAges) -> None:
    """A publish that failed, and a message that was parked, are not what waits."""
    await journaled(service, Outcome.FAILED)
    gone = await journaled(service)
    park = Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)
    await park(replace(enveloped(gone), headers={"queue": NORMAL, "reason": "transit_seal"}))
    service.clock.minutes(2)
    await journaled(service, Outcome.UNKNOWN)
    service.clock.minutes(1)
    assert await ages.oldest_ms({NORMAL: Depth(1, 0)}) == {NORMAL: 60_000}


async def test_an_empty_queue_has_no_age(service: Service, ages: QueueAges) -> None:
    """Nothing waits: nothing is told, whatever the journal holds."""
    await journaled(service)
    assert await ages.oldest_ms({NORMAL: Depth(0, 1)}) == {}


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        (FilingState.WAITING, True),
        (FilingState.SENDING, True),
        (FilingState.UNKNOWN, True),
        (FilingState.DELIVERED, False),
        (FilingState.FILED, False),
        (FilingState.PARKED, False),
    ],
)
async def test_file_queues_age_by_their_filings(
    service: Service, ages: QueueAges, state: FilingState, counts: bool
) -> None:
    """The oldest filing that has not ended, of that tenant and lane, since it was accepted."""
    old = await service.persisted(patient="1")
    filing = await service.threads.filing(old.id)
    assert filing is not None
    await service.threads.change(replace(filing, state=state))
    service.clock.minutes(1)
    await service.persisted(patient="2")
    await service.persisted(patient="3", tenant="sein", lane=Lane.URGENT)
    service.clock.minutes(1)
    told = await ages.oldest_ms({FILE: Depth(2, 1)})
    assert told[FILE] == (120_000 if counts else 60_000)
    assert "file.sein.normal" not in told


async def test_a_long_backlog_is_walked_in_pages(
    service: Service, ages: QueueAges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of two: the walk goes on while messages are missing, and its length is bounded."""
    monkeypatch.setattr(module, "_PAGE", 2)
    for number in range(9):
        await journaled(service, patient=str(number))
        service.clock.minutes(1)
    assert await ages.oldest_ms({NORMAL: Depth(9, 0)}) == {NORMAL: 9 * 60_000}
    monkeypatch.setattr(module, "_PAGES", 2)
    assert await ages.oldest_ms({NORMAL: Depth(9, 0)}) == {NORMAL: 4 * 60_000}
