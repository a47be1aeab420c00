"""The access log: a chain a run, entry by entry, that a fault ends and another begins."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from messaging_service.application.access_log import ChainedAccessLog, entry_digest
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.ports import AccessEntry, Document
from messaging_service.domain.errors import StoreDown
from tests.parts.service import Service


def entry(number: int, patient: str = "patient") -> AccessEntry:
    return AccessEntry(
        "spijkenisse", patient, "file", "system", "read", "message", f"m{number}", "filing in the EPD", "treatment"
    )


async def chains(service: Service) -> list[list[Document]]:
    """Every chain in the store, each in its order."""
    entries = await service.all(ACCESS_LOG, "of_patient", patient="patient")
    runs = dict.fromkeys(each["run"] for each in entries)
    return [sorted((e for e in entries if e["run"] == run), key=lambda e: e["number"]) for run in runs]


def verify(chain: list[Document]) -> None:
    """Numbers without a gap from 1, each digest right, each entry naming the one before."""
    assert [each["number"] for each in chain] == list(range(1, len(chain) + 1))
    assert chain[0]["previous"] == ""
    assert all(each["digest"] == entry_digest(each) for each in chain)
    assert all(later["previous"] == earlier["digest"] for earlier, later in pairwise(chain))


async def test_concurrent_records_make_one_chain(service: Service) -> None:
    """Two hundred records at once: all durable when they return, one chain, in the order they came."""
    await asyncio.gather(*(service.access_log.record(entry(n)) for n in range(200)))
    (chain,) = await chains(service)
    verify(chain)
    assert [each["object"] for each in chain] == [f"m{n}" for n in range(200)]


@pytest.mark.parametrize("field", ["actor", "outcome", "at", "object", "patient", "previous", "number", "run"])
async def test_a_changed_field_is_found(service: Service, field: str) -> None:
    """The digest covers every field, so whoever changes one must change all that follow."""
    await service.access_log.record(entry(1))
    ((document,),) = await chains(service)
    document[field] = document[field] + 1 if isinstance(document[field], int) else "other"
    with pytest.raises(AssertionError):
        verify([document])


async def test_an_entry_cut_out_is_found(service: Service) -> None:
    """Without its middle a chain has a gap, and its digests do not meet even when it is renumbered."""
    for n in range(3):
        await service.access_log.record(entry(n))
    ((first, _, last),) = await chains(service)
    with pytest.raises(AssertionError):
        verify([first, last])
    with pytest.raises(AssertionError):
        verify([first, {**last, "number": 2}])


@pytest.mark.parametrize("done", [False, True])
async def test_a_store_that_fails_begins_a_new_chain(service: Service, done: bool) -> None:
    """Nobody knows what was written of the batch: its callers are told, and what comes after is a chain of its own."""
    await service.access_log.record(entry(1))
    service.clock.now += 1
    service.store.fail("insert", ACCESS_LOG, done=done)
    failed = await asyncio.gather(*(service.access_log.record(entry(n)) for n in (2, 3)), return_exceptions=True)
    assert [type(each) for each in failed] == [StoreDown, StoreDown]
    service.clock.now += 1
    await service.access_log.record(entry(4))
    old, new = await chains(service)
    for chain in (old, new):
        verify(chain)
    assert [each["object"] for each in old] == (["m1", "m2", "m3"] if done else ["m1"])
    assert [each["object"] for each in new] == ["m4"]


async def test_a_cancelled_caller_holds_up_nobody(service: Service) -> None:
    """One of two callers is cancelled while the batch is under way: the other returns, and the log goes on."""
    under_way = asyncio.Event()
    goes_on = asyncio.Event()

    async def hold() -> None:
        under_way.set()
        await goes_on.wait()

    service.store.meanwhile("insert", ACCESS_LOG, hold)
    first, second = (asyncio.create_task(service.access_log.record(entry(n))) for n in (1, 2))
    await under_way.wait()
    first.cancel()
    goes_on.set()
    await second
    await service.access_log.record(entry(3))
    assert first.cancelled()
    (chain,) = await chains(service)
    verify(chain)
    assert {"m2", "m3"} <= {each["object"] for each in chain}


async def test_an_entry_that_cannot_be_written_holds_up_nobody(service: Service) -> None:
    """A fault of ours reaches the caller it belongs to; the next record is written, in a new chain."""
    with pytest.raises(UnicodeEncodeError):
        await asyncio.wait_for(service.access_log.record(entry(1, patient="\ud800")), 5)
    await asyncio.wait_for(service.access_log.record(entry(2)), 5)
    (chain,) = await chains(service)
    verify(chain)


async def test_processes_have_chains_of_their_own(service: Service) -> None:
    """Two processes write at once and never wait for each other: two chains, both whole."""
    logs = [ChainedAccessLog(service.store, service.clock) for _ in range(2)]
    await asyncio.gather(*(logs[n % 2].record(entry(n)) for n in range(40)))
    found = await chains(service)
    assert [len(chain) for chain in found] == [20, 20]
    for chain in found:
        verify(chain)
