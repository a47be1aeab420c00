"""Verifying the access log: whatever somebody with the store in hand does to it is found, and named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from messaging_service.application.access_anchors import Anchor
from messaging_service.application.access_entry import entry_digest, order_of
from messaging_service.application.actors import step
from messaging_service.application.collections import ACCESS_ANCHORS, ACCESS_LOG
from messaging_service.application.forget_accesses import ForgetAccesses, TooEarly
from messaging_service.application.ports import Access, Document
from messaging_service.application.verify_access_log import AnchorUnknown, Verification, VerifyAccessLog
from messaging_service.domain.errors import StoreDown
from tests.parts.service import Service

FILE = step("file", "treatment")
TENANT = "spijkenisse"
YEAR_MS = 366 * 86_400_000
Entries = list[Document]


async def written(service: Service, count: int = 6, *, close: bool = True) -> Entries:
    """So many entries of one run, anchored."""
    for n in range(count):
        service.clock.now += 1
        await service.access_log.record(Access(TENANT, "p", FILE, "read", "message", f"m{n}", "filing"))
    if close:
        await service.access_log.close()
    return await entries(service)


async def entries(service: Service) -> Entries:
    """All that is there."""
    return await service.all(ACCESS_LOG, "of_run", tenant=TENANT)


async def verified(service: Service, kept: Anchor | None = None) -> Verification:
    return await VerifyAccessLog(service.store, service.anchors)(TENANT, kept)


def named(found: Verification) -> list[tuple[str, int, int]]:
    """The faults, without their runs."""
    return [(str(each.fault), each.first, each.last) for each in found.faults]


async def put(service: Service, entry: Document, **changes: Any) -> None:
    """Change an entry as somebody with the store in hand would."""
    there = await service.store.get(ACCESS_LOG, entry["id"])
    assert there is not None
    assert await service.store.replace(ACCESS_LOG, {**entry, **changes, "id": there["id"], "version": there["version"]})


async def drop(service: Service, *gone: Document) -> None:
    for entry in gone:
        assert await service.store.delete(ACCESS_LOG, entry["id"])


def rehashed(entry: Document, **changes: Any) -> Document:
    """Changed, with a digest that fits."""
    changed = {**entry, **changes}
    return {**changed, "digest": entry_digest(changed)}


async def change_one(service: Service, log: Entries) -> None:
    await put(service, log[2], actor="nobody")


async def change_and_rehash(service: Service, log: Entries) -> None:
    await put(service, rehashed(log[2], actor="nobody"))


async def change_the_last_and_rehash(service: Service, log: Entries) -> None:
    await put(service, rehashed(log[5], actor="nobody"))


async def take_one_out(service: Service, log: Entries) -> None:
    await drop(service, log[2])


async def cut_the_end(service: Service, log: Entries) -> None:
    await drop(service, *log[4:])


async def drop_the_run(service: Service, log: Entries) -> None:
    await drop(service, *log)


async def swap(service: Service, log: Entries) -> None:
    """Each in the other's place, its digest with it."""
    for one, other in ((log[1], log[3]), (log[3], log[1])):
        order = order_of(one["at"], one["run"], other["number"])
        await put(service, {**one, "number": other["number"], "order": order, "id": other["id"]})


async def swap_contents(service: Service, log: Entries) -> None:
    """What they say has changed places, their digests have not."""
    for one, other in ((log[1], log[3]), (log[3], log[1])):
        kept = {name: other[name] for name in ("id", "number", "previous", "digest", "confirmed", "order")}
        await put(service, {**one, **kept}, order=order_of(one["at"], one["run"], other["number"]))


async def insert_one(service: Service, log: Entries) -> None:
    forged = rehashed(log[2], id="forged", object="other")
    assert await service.store.insert(ACCESS_LOG, [forged]) == [True]


async def rewrite_all(service: Service, log: Entries) -> None:
    """Everything from the third on, with digests and links that fit."""
    before = log[1]["digest"]
    for entry in log[2:]:
        new = rehashed(entry, previous=before, actor="nobody")
        before = new["digest"]
        await put(service, new)


Attack = Callable[[Service, Entries], Awaitable[None]]


@pytest.mark.parametrize(
    ("attack", "fault"),
    [
        (change_one, ("changed", 3, 3)),
        (change_and_rehash, ("changed", 3, 3)),
        (change_the_last_and_rehash, ("changed", 6, 6)),
        (take_one_out, ("gap", 3, 3)),
        (cut_the_end, ("end cut off", 5, 6)),
        (drop_the_run, ("run gone", 1, 6)),
        (swap, ("swapped", 2, 4)),
        (swap_contents, ("swapped", 2, 4)),
        (insert_one, ("inserted", 3, 3)),
        (rewrite_all, ("changed", 6, 6)),
    ],
)
async def test_what_is_done_to_entries(service: Service, attack: Attack, fault: tuple[str, int, int]) -> None:
    """Each is found, named with the entries it is about, and nothing else is called wrong."""
    log = await written(service)
    found = await verified(service)
    assert (found.faults, found.in_doubt, found.entries, found.unanchored) == ([], [], 6, 0)
    await attack(service, log)
    assert named(await verified(service)) == [fault]


async def test_what_is_done_to_anchors(service: Service) -> None:
    """Changed, taken out, or forged without the keyring: found. An end cut off: found with an anchor kept elsewhere."""
    for _ in range(4):
        await written(service, 1)
    kept = await service.anchors.last(TENANT)
    assert kept is not None
    assert (await verified(service, kept)).ok
    for wrong in (replace(kept, run_number=99), replace(kept, tenant="sein"), replace(kept, proof="")):
        with pytest.raises(AnchorUnknown):
            await verified(service, wrong)
    second = await service.store.get(ACCESS_ANCHORS, f"{TENANT}.2")
    assert second is not None
    assert await service.store.replace(ACCESS_ANCHORS, {**second, "at": 0})
    assert named(await verified(service)) == [("anchor changed", 2, 2)]
    await service.store.delete(ACCESS_ANCHORS, second["id"])
    assert named(await verified(service)) == [("anchors missing", 2, 2)]
    await service.store.insert(ACCESS_ANCHORS, [{**second, "proof": second["digest"]}])
    assert named(await verified(service)) == [("anchor changed", 2, 2)]
    await service.store.delete(ACCESS_ANCHORS, second["id"])
    await service.store.insert(ACCESS_ANCHORS, [second])
    assert (await verified(service)).ok
    await service.store.delete(ACCESS_ANCHORS, kept.id)
    assert (await verified(service)).ok
    assert named(await verified(service, kept)) == [("anchors cut off", kept.number, kept.number)]


async def test_a_batch_that_failed(service: Service) -> None:
    """All of it was written and only the answer was lost: it stays the tail of the old chain, and nothing is wrong."""
    await written(service, 3, close=False)
    service.store.fail("insert", ACCESS_LOG, done=True)
    with pytest.raises(StoreDown):
        await service.access_log.record(Access(TENANT, "p", FILE, "read", "message", "x", "filing"))
    assert len(await written(service, 2)) == 6
    found = await verified(service)
    assert (found.faults, found.in_doubt, found.unanchored) == ([], [], 1)


async def test_a_hole_beyond_what_was_confirmed(service: Service) -> None:
    """The store took the second of three and failed: the hole lies beyond the anchored head, so it is in doubt."""
    log = await written(service, 3)
    last = log[-1]
    number = last["number"] + 2
    place = {"id": f"{last['run']}.{number}", "number": number, "confirmed": last["number"]}
    order = order_of(last["at"], last["run"], number)
    assert await service.store.insert(ACCESS_LOG, [rehashed(last, **place, order=order, previous="unknown")]) == [True]
    found = await verified(service)
    assert (found.faults, found.unanchored) == ([], 1)
    assert [(each.first, each.last) for each in found.in_doubt] == [(4, 4)]
    await drop(service, log[1])
    assert named(await verified(service)) == [("gap", 2, 2)]


async def test_the_term_is_over(service: Service) -> None:
    """What is over five years old goes, also after a crash half-way, and no sooner; the rest still verifies."""
    log = await written(service, 4, close=False)
    service.clock.now += 6 * YEAR_MS
    log = await written(service, 3)
    forget = ForgetAccesses(service.store, service.anchors, service.clock)
    with pytest.raises(TooEarly):
        await forget.step(TENANT, service.clock.now - 4 * YEAR_MS)
    before = service.clock.now - 5 * YEAR_MS
    assert await forget.count(TENANT, before) == 4
    service.store.fail("delete", ACCESS_LOG, passing=1)
    with pytest.raises(StoreDown):
        await forget.step(TENANT, before)
    assert (await verified(service)).ok
    while await forget.step(TENANT, before):
        pass
    assert [entry["number"] for entry in await entries(service)] == [5, 6, 7]
    assert (await verified(service)).ok
    await drop(service, log[4])
    assert named(await verified(service)) == [("gap", 5, 5)]


async def test_many_pages(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two entries to a page: pages join without a fault, and what lies on their edges is found."""
    monkeypatch.setattr("messaging_service.application.verify_access_log._PAGE", 2)
    log = await written(service, 7)
    assert (await verified(service)).ok
    await insert_one(service, log)
    await drop(service, log[4])
    assert named(await verified(service)) == [("inserted", 3, 3), ("gap", 5, 5)]
