"""The samples of the queues: every process's share, kept a day, read by id."""

from __future__ import annotations

from messaging_service.application.collections import SAMPLES
from messaging_service.application.ports import Envelope
from messaging_service.application.queue_ages import QueueAges
from messaging_service.application.samples import SHARED, Flow, Sampler, Samples
from messaging_service.domain.errors import StoreDown
from tests.parts.service import Service

QUEUE = "file.spijkenisse.normal"


def sampler(service: Service, flows: dict[str, Flow]) -> Sampler:
    """One process's."""
    return Sampler(
        tenants=tuple(service.tenants),
        store=service.store,
        broker=service.broker,
        ages=QueueAges(tuple(service.tenants), service.store, service.clock),
        flows=lambda: flows,
        clock=service.clock,
    )


async def test_every_process_counts_and_one_looks(service: Service) -> None:
    """Two processes' counts of one minute add up, each told once however often it is asked; the depth is there."""
    await service.broker.publish(QUEUE, Envelope("m", "x", b"{}", {"queue": QUEUE}))
    here, there = {QUEUE: Flow(put=3, done=2)}, {QUEUE: Flow(done=1, failed=1)}
    first, second = sampler(service, here), sampler(service, there)
    await first()
    await second()
    await first()
    here[QUEUE] = Flow(put=5, done=2)
    await first()
    depth, oldest, flow = (await Samples(service.store, service.clock).last("spijkenisse", 1))[QUEUE][-1]
    assert (depth, flow) == (1, Flow(put=5, done=3, failed=1))
    assert oldest is not None


async def test_what_the_store_did_not_take_is_told_later(service: Service) -> None:
    """The store is down for a minute: nothing of what moved is lost or told twice."""
    flows = {QUEUE: Flow(put=3), "persist.normal": Flow(put=7)}
    tell = sampler(service, flows)
    service.store.down = True
    try:
        await tell()
        raise AssertionError("it was told")
    except StoreDown:
        service.store.down = False
    service.clock.minutes(1)
    await tell()
    last = await Samples(service.store, service.clock).last("spijkenisse", 2)
    assert [flow.put for _, _, flow in last[QUEUE]] == [0, 0, 3]
    assert [flow.put for _, _, flow in last["persist.normal"]] == [0, 0, 7]


async def test_a_day_in_steps_and_no_more_than_a_day(service: Service) -> None:
    """Each step shows the most that waited and the sum of what moved; unsampled time is unknown; old hours go."""
    flows: dict[str, Flow] = {}
    tell = sampler(service, flows)
    for minute in range(3):
        flows[QUEUE] = Flow(done=minute + 1)
        await service.broker.publish(QUEUE, Envelope(f"m{minute}", "x", b"{}", {"queue": QUEUE}))
        await tell()
        service.clock.minutes(1)
    day = await Samples(service.store, service.clock).day("spijkenisse")
    (series,) = (one for one in day.series if one.queue == QUEUE)
    assert (len(series.depth), day.minutes) == (288, 5)
    assert max(depth for depth in series.depth if depth is not None) == 3
    assert sum(series.done) == 3
    assert series.depth.count(None) >= 286
    service.clock.minutes(26 * 60)
    await tell()
    for tenant in (*service.tenants, SHARED):
        assert len(await service.all(SAMPLES, "by_hour", tenant=tenant)) == 1


async def test_tenants_see_their_own(service: Service) -> None:
    """Of another hospital's queues nothing is in a day; those that all share are in everybody's."""
    await sampler(service, {QUEUE: Flow(put=1)})()
    queues = {one.queue for one in (await Samples(service.store, service.clock).day("sein")).series}
    assert "persist.urgent" in queues
    assert not any("spijkenisse" in queue for queue in queues)
