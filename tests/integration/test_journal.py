"""The gateway's journal: numbers, how far they are complete, and what a store that fails does to it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from messaging_service.application.codec import from_document
from messaging_service.application.collections import JOURNAL, RUNS
from messaging_service.application.journal import GatewayRun, Journal, JournalBatch, Outcome
from messaging_service.domain.errors import StoreDown
from tests.parts.service import Service, eventually

FIELDS = {"lane": "normal", "outcome": Outcome.CONFIRMED}


@pytest.fixture
def journal(service: Service) -> Journal:
    return Journal(service.store, service.clock, interval=0.005)


def settle(journal: Journal, number: int, **changes: Any) -> None:
    journal.settle(number, f"m{number}", **{**FIELDS, **changes})


async def batches(service: Service) -> list[JournalBatch]:
    """Every batch, in order of time."""
    return [from_document(found, JournalBatch) for found in await service.all(JOURNAL, "by_state", state="open")]


async def run_of(service: Service, journal: Journal) -> GatewayRun:
    """The run as the store knows it."""
    document = await service.store.inner.get(RUNS, journal.run)
    assert document is not None
    return from_document(document, GatewayRun)


async def numbers(service: Service) -> list[int]:
    """Every number that is written down."""
    return sorted(entry.number for batch in await batches(service) for entry in batch.entries)


async def test_outcomes_are_written_together(service: Service, journal: Journal) -> None:
    """Three publishes, three outcomes, one batch; the run says that all up to three are known."""
    for number, outcome in enumerate(Outcome, 1):
        assert journal.next_number() == number
        settle(journal, number, outcome=outcome)
    await journal.flush()
    (batch,) = await batches(service)
    assert [(e.number, e.message, e.outcome) for e in batch.entries] == [
        (number, f"m{number}", outcome) for number, outcome in enumerate(Outcome, 1)
    ]
    assert (batch.first, batch.last, batch.run) == (1, 3, journal.run)
    assert (await run_of(service, journal)).watermark == 3


async def test_the_watermark_waits_for_what_is_in_flight(service: Service, journal: Journal) -> None:
    """Number 2 is still being published: the watermark stays at 1, however many later ones are known."""
    for _ in range(5):
        journal.next_number()
    for number in (1, 3, 4, 5):
        settle(journal, number)
    await journal.flush()
    assert (await run_of(service, journal)).watermark == 1
    settle(journal, 2)
    await journal.flush()
    assert (await run_of(service, journal)).watermark == 5


async def test_what_settles_during_a_write_is_not_claimed(service: Service, journal: Journal) -> None:
    """A publish ends while a batch is under way: the watermark stays below it until it is written too."""
    for _ in range(2):
        journal.next_number()
    settle(journal, 1)

    async def settles() -> None:
        settle(journal, 2)

    service.store.meanwhile("insert", JOURNAL, settles)
    await journal.flush()
    assert await numbers(service) == [1]
    assert (await run_of(service, journal)).watermark == 1
    await journal.flush()
    assert await numbers(service) == [1, 2]
    assert (await run_of(service, journal)).watermark == 2


@pytest.mark.parametrize("done", [False, True])
async def test_a_batch_is_written_once_whatever_the_store_says(service: Service, journal: Journal, done: bool) -> None:
    """The store fails, before or after it wrote: at the next try the batch is there, once, and nothing is forgotten."""
    for number in (1, 2):
        journal.next_number()
        settle(journal, number)
    service.store.fail("insert", JOURNAL, done=done)
    with pytest.raises(StoreDown):
        await journal.flush()
    journal.next_number()
    settle(journal, 3)
    await journal.flush()
    await journal.flush()
    assert [[e.number for e in batch.entries] for batch in await batches(service)] == [[1, 2], [3]]
    assert (await run_of(service, journal)).watermark == 3


@pytest.mark.parametrize("operation", ["insert", "replace"])
@pytest.mark.parametrize("done", [False, True])
async def test_a_beat_whose_answer_is_lost_goes_on(
    service: Service, journal: Journal, operation: str, done: bool
) -> None:
    """The run's document was or was not written and nobody knows: later beats still move the watermark on."""
    if operation == "replace":
        await journal.flush()
    service.store.fail(operation, RUNS, done=done)
    journal.next_number()
    settle(journal, 1)
    with pytest.raises(StoreDown):
        await journal.flush()
    for _ in range(2):
        service.clock.now += 1
        await journal.flush()
    journal.next_number()
    settle(journal, 2)
    await journal.flush()
    assert (await run_of(service, journal)).watermark == 2


async def test_an_idle_gateway_is_seen_alive(service: Service, journal: Journal) -> None:
    """Without traffic the run is still seen, though not at every turn."""
    settle(journal, journal.next_number())
    await journal.flush()
    service.store.calls.clear()
    begun = (await run_of(service, journal)).seen_at
    service.clock.now += 1_000
    await journal.flush()
    assert (await run_of(service, journal)).seen_at == begun
    assert ("insert", "journal") not in service.store.calls
    service.clock.now += 10_000
    await journal.flush()
    assert (await run_of(service, journal)).seen_at == begun + 11_000


async def test_an_outage_of_the_store_forgets_nothing(service: Service, journal: Journal) -> None:
    """The keeper goes on while the store is down; back again, every number is written, once, and the run is closed."""
    stop = asyncio.Event()
    keeping = asyncio.create_task(journal.keep(stop))
    await eventually(lambda: ("insert", "runs") in service.store.calls)
    service.store.down = True
    for number in range(1, 21):
        journal.next_number()
        settle(journal, number)
        tried = len(service.store.calls)
        await eventually(partial(has_more_calls, service, tried))
    assert await numbers_inside(service) == []
    service.store.down = False
    journal.next_number()
    settle(journal, 21)
    stop.set()
    await keeping
    assert await numbers(service) == list(range(1, 22)), "the last flush left something behind"
    closed = await run_of(service, journal)
    assert (closed.watermark, closed.state) == (21, "closed")


def has_more_calls(service: Service, than: int) -> bool:
    return len(service.store.calls) > than


async def numbers_inside(service: Service) -> list[int]:
    """The same while the store is down for everybody else."""
    found = await service.store.inner.find(JOURNAL, "by_state", {"state": "open"})
    return [entry["number"] for document in found for entry in document["entries"]]


async def test_stop_closes_the_run(service: Service, journal: Journal) -> None:
    """A gateway that stops in order writes what it knows and says so; nothing is left to guess."""
    stop = asyncio.Event()
    keeping = asyncio.create_task(journal.keep(stop))
    journal.next_number()
    settle(journal, 1)
    stop.set()
    await keeping
    assert await numbers(service) == [1]
    assert (await run_of(service, journal)).state == "closed"


async def test_a_store_that_is_down_at_the_stop_leaves_the_run_open(service: Service, journal: Journal) -> None:
    """What could not be written is not claimed: the run stays open, so that the ledger reports its tail."""
    await journal.flush()
    journal.next_number()
    settle(journal, 1)
    service.store.down = True
    stop = asyncio.Event()
    stop.set()
    await journal.keep(stop)
    service.store.down = False
    left = await run_of(service, journal)
    assert (left.state, left.watermark) == ("running", 0)


async def test_a_run_with_something_in_flight_is_not_closed(service: Service, journal: Journal) -> None:
    """A publish whose end nobody waited for: the run stays open at the number before it, for the ledger to report."""
    for _ in range(2):
        journal.next_number()
    settle(journal, 1)
    await journal.flush("closed")
    assert ((left := await run_of(service, journal)).state, left.watermark) == ("running", 1)
    settle(journal, 2)
    await journal.flush("closed")
    assert (await run_of(service, journal)).state == "closed"


async def test_orders_never_tie(service: Service) -> None:
    """Batches of several gateways in one millisecond have an order each, so that pages of them miss none."""
    gateways = [Journal(service.store, service.clock) for _ in range(3)]
    for _ in range(12):
        for gateway in gateways:
            settle(gateway, gateway.next_number())
            await gateway.flush()
    orders = [batch.order for batch in await batches(service)]
    assert len(set(orders)) == 36
    assert orders == sorted(orders)
