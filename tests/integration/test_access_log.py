"""The access log: a chain a run, entry by entry, that a fault ends and another begins."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from messaging_service.application.access_anchors import Says, anchor_digest
from messaging_service.application.access_chain import Head
from messaging_service.application.access_entry import entry_digest
from messaging_service.application.actors import caller, step
from messaging_service.application.callers import Staff
from messaging_service.application.codec import pack
from messaging_service.application.collections import ACCESS_ANCHORS, ACCESS_LOG
from messaging_service.application.ports import Access, Document
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.roles import Role, Scope
from tests.parts.service import Service, eventually, numbers

FILE = step("file", "treatment")


def entry(number: int, patient: str = "patient") -> Access:
    return Access("spijkenisse", patient, FILE, "read", "message", f"m{number}", "filing in the EPD")


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
    logs = [service.access_log, service.another().access_log]
    await asyncio.gather(*(logs[n % 2].record(entry(n)) for n in range(40)))
    found = await chains(service)
    assert [len(chain) for chain in found] == [20, 20]
    for chain in found:
        verify(chain)


async def test_an_entry_whose_id_is_taken_is_not_recorded(service: Service) -> None:
    """The store says of one entry that its id is there already: its caller is told, and a new chain begins."""
    await service.access_log.record(entry(1))
    ((first,),) = await chains(service)
    taken = {**first, "id": f"{first['run']}.2", "number": 2, "order": "taken"}
    assert await service.store.insert(ACCESS_LOG, [taken]) == [True]
    with pytest.raises(StoreDown):
        await service.access_log.record(entry(2))
    await service.access_log.record(entry(3))
    assert sorted(each["object"] for chain in await chains(service) for each in chain) == ["m1", "m1", "m3"]


async def test_tenants_have_chains_of_their_own(service: Service) -> None:
    """Entries of two hospitals in one batch: each hospital's log can be handed over and verified alone."""
    both = ("spijkenisse", "sein")
    await asyncio.gather(*(service.access_log.record(replace(entry(n), tenant=both[n % 2])) for n in range(6)))
    found = await chains(service)
    assert sorted([each["tenant"] for each in chain] for chain in found) == [["sein"] * 3, ["spijkenisse"] * 3]
    for chain in found:
        verify(chain)


async def test_heads_are_anchored(service: Service) -> None:
    """The last confirmed head of every run, also of one that a fault ended; proved, numbered, each naming the last."""
    log = service.access_log
    for n in (1, 2):
        await log.record(entry(n))
    service.store.fail("insert", ACCESS_LOG, done=True)
    with pytest.raises(StoreDown):
        await log.record(entry(3))
    await log.record(entry(4))
    await log.close()
    anchors = [anchor async for anchor in service.anchors.all("spijkenisse")]
    heads = {anchor.run: anchor.head for anchor in anchors}
    old, new = sorted(await chains(service), key=len, reverse=True)
    assert (len(old), heads[old[0]["run"]]) == (3, Head(old[1]["run"], 2, old[1]["digest"]))
    assert heads[new[0]["run"]] == Head(new[0]["run"], 1, new[0]["digest"])
    assert [anchor.number for anchor in anchors] == list(range(1, len(anchors) + 1))
    assert all(anchor.digest == anchor_digest(anchor) and service.anchors.is_proved(anchor) for anchor in anchors)
    assert all(later.previous == earlier.digest for earlier, later in pairwise(anchors))


async def test_anchoring_waits_for_the_store(service: Service) -> None:
    """An anchor that cannot be written holds up no entry, and is written later."""
    service.store.fail("insert", ACCESS_ANCHORS)
    await service.access_log.record(entry(1))
    await eventually(lambda: ("insert", ACCESS_ANCHORS.name) in service.store.calls)
    assert await service.anchors.last("spijkenisse") is None
    await service.access_log.anchor()
    assert (last := await service.anchors.last("spijkenisse")) is not None
    assert (last.number, last.run_number) == (1, 1)


async def test_two_who_anchor_at_once(service: Service) -> None:
    """Twenty anchors of two processes at the same moment: twenty numbers, one chain."""
    makers = (service.anchors, service.another().anchors)
    await asyncio.gather(*(makers[n % 2].add("sein", Says.HEAD, Head(f"run{n}", 1, "d")) for n in range(20)))
    anchors = [anchor async for anchor in service.anchors.all("sein")]
    assert sorted(anchor.run for anchor in anchors) == sorted(f"run{n}" for n in range(20))
    assert all(later.previous == earlier.digest for earlier, later in pairwise(anchors))


async def test_what_an_entry_says(service: Service) -> None:
    """The fields of NEN 7513, filled in from who is asking; the name of whoever it is lies sealed."""
    patient = await service.patients.ensure("spijkenisse", numbers("1234"), "A. Jansen")
    staff = Staff(service.tenants["spijkenisse"], "u7", "Dr. De Wit", Role.ON_CALL, frozenset(Scope), assured=True)
    by = caller(service.keyring, staff.using(Scope.OPEN_ALARMS), "break-glass")
    await service.access_log.record(Access("spijkenisse", patient.id, by, "read", "message", "M", "emergency"))
    (logged,) = await service.all(ACCESS_LOG, "of_patient", patient=patient.id)
    assert patient.unseal("M", "access log", logged.pop("name")) == pack("Dr. De Wit")
    for made in ("id", "run", "order", "digest", "version"):
        logged.pop(made)
    assert logged == {
        "tenant": "spijkenisse",
        "number": 1,
        "confirmed": 0,
        "at": service.clock(),
        "event": "DCM:110127",
        "action": "read",
        "outcome": "success",
        "actor": service.keyring.pseudonym("spijkenisse", "staff u7"),
        "role": "on-call",
        "point": "staff",
        "purpose": "emergency",
        "basis": "break-glass",
        "authorisation": "alarms:open",
        "patient": patient.id,
        "object_kind": "message",
        "object": "M",
        "sensitivity": "R",
        "source": "service",
        "previous": "",
    }
