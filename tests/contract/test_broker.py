"""What every broker does; runs over each adapter of the port."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from messaging_service.application.ports import Broker, Envelope, QueueDeclaration, Topology
from messaging_service.domain.errors import BrokerDown, QueueMissing, QueueRefused, TopologyMismatch
from tests.contract.broker_backends import (
    DELAY_MS,
    Backend,
    Embedded,
    Rabbit,
    envelope,
    eventually,
    next_of,
    ready,
)

pytest_plugins = ("tests.parts.rabbit_fixture",)


@pytest.fixture(params=["embedded", "rabbitmq"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    """Each kind of broker in turn."""
    embedded = request.param == "embedded"
    backend = Embedded(tmp_path) if embedded else Rabbit(request.getfixturevalue("rabbit_node"))
    try:
        yield backend
    finally:
        await backend.close()


async def test_publish_consume_acknowledge(backend: Backend) -> None:
    """An acknowledged message is handed out once and is gone for good."""
    broker, queue = await backend.declared()
    await broker.publish(queue, envelope())
    async with broker.consume(queue, 10) as deliveries:
        delivery = await next_of(deliveries)
        assert delivery.queue == queue
        assert delivery.envelope == envelope()
        assert delivery.delivery_count == 0
        await delivery.ack()
    await broker.publish(queue, envelope("later"))
    assert await _everything(broker, queue, 1) == {"later"}


async def test_envelope_is_intact(backend: Backend) -> None:
    """Id, kind, headers of both types and every byte of the body arrive as they were sent."""
    broker, queue = await backend.declared()
    headers: dict[str, str | int] = {
        "attempt": 3,
        "reason": "één – 😀",
        "accepted_at": 1_790_000_000_000,
        "below": -7,
        "x-ours": "kept",
    }
    sent = [
        Envelope("m1", "message.accepted", bytes(range(256)) * 2000, headers),
        Envelope("m2", "empty", b""),
    ]
    async with broker.consume(queue, 10) as deliveries:
        for one in sent:
            await broker.publish(queue, one)
        assert [(await next_of(deliveries)).envelope for _ in sent] == sent


async def test_order(backend: Backend) -> None:
    """Messages published one after the other come in that order."""
    broker, queue = await backend.declared()
    ids = [f"m{number}" for number in range(50)]
    for id in ids:
        await broker.publish(queue, envelope(id))
    async with broker.consume(queue, 20) as deliveries:
        for id in ids:
            delivery = await next_of(deliveries)
            assert delivery.envelope.message_id == id
            await delivery.ack()


async def test_prefetch_bounds_what_is_unsettled(backend: Backend) -> None:
    """With three of ten unsettled nothing more leaves the queue; settling one lets one follow."""
    broker, queue = await backend.declared()
    for number in range(10):
        await broker.publish(queue, envelope(f"m{number}"))
    async with broker.consume(queue, 3) as deliveries:
        held = [await next_of(deliveries) for _ in range(3)]
        fourth = asyncio.create_task(next_of(deliveries))
        assert await ready(broker, queue) == 7
        assert not fourth.done()
        await held[1].ack()
        assert (await fourth).envelope.message_id == "m3"


async def test_give_back_raises_the_count(backend: Backend) -> None:
    """What is given back comes again, first in line, with its count raised."""
    broker, queue = await backend.declared()
    await broker.publish(queue, envelope("m1"))
    await broker.publish(queue, envelope("m2"))
    async with broker.consume(queue, 1) as deliveries:
        for count in range(3):
            delivery = await next_of(deliveries)
            assert (delivery.envelope.message_id, delivery.delivery_count) == ("m1", count)
            await delivery.give_back()


async def test_past_its_delivery_limit_a_message_is_a_dead_letter(backend: Backend) -> None:
    """With a limit of two it is handed out three times, then lies whole in the dead letter queue."""
    broker, queue = await backend.declared(delivery_limit=2)
    sent = Envelope("m1", "kind", b"body", {"attempt": 1})
    await broker.publish(queue, sent)
    async with broker.consume(queue, 1) as deliveries:
        for count in range(3):
            delivery = await next_of(deliveries)
            assert delivery.delivery_count == count
            await delivery.give_back()
        async with broker.consume(backend.name("dead"), 1) as dead:
            assert (await next_of(dead)).envelope == sent
    assert await ready(broker, queue) == 0


async def test_without_a_dead_letter_queue_nothing_is_dropped(backend: Backend) -> None:
    """In the last queue a message may be given back more often than any broker's default limit."""
    broker, _ = await backend.declared()
    await broker.publish(backend.name("dead"), envelope())
    async with broker.consume(backend.name("dead"), 1) as deliveries:
        for _ in range(25):
            await (await next_of(deliveries)).give_back()
        assert (await next_of(deliveries)).delivery_count == 25


async def test_delay_leads_back_to_the_own_queue(backend: Backend) -> None:
    """A delayed message waits elsewhere for its time and then comes to its own queue, whole and uncounted."""
    broker, queue = await backend.declared()
    sent = Envelope("m1", "kind", b"body", {"attempt": 2})
    started = time.monotonic()
    async with broker.consume(queue, 1) as deliveries:
        await broker.publish(queue, sent, delay_ms=DELAY_MS)
        delivery = await next_of(deliveries)
        assert DELAY_MS / 1000 <= time.monotonic() - started < 3
        assert (delivery.queue, delivery.envelope, delivery.delivery_count) == (queue, sent, 0)


async def test_missing_queue(backend: Backend) -> None:
    """Whatever is asked of a queue or delay that is not there is refused by name, and the broker goes on."""
    broker, queue = await backend.declared()
    missing = backend.name("missing")
    with pytest.raises(QueueMissing):
        await broker.publish(missing, envelope())
    with pytest.raises(QueueMissing):
        await broker.publish(missing, envelope(), delay_ms=DELAY_MS)
    with pytest.raises(QueueMissing):
        await broker.publish(queue, envelope(), delay_ms=DELAY_MS + 1)
    with pytest.raises(QueueMissing):
        await broker.depths([queue, missing])
    with pytest.raises(QueueMissing):
        async with broker.consume(missing, 1):
            pass
    await broker.publish(queue, envelope())
    assert await ready(broker, queue) == 1


async def test_one_message_to_two_queues_of_which_one_is_missing(backend: Backend) -> None:
    """Publishes under the same id at the same moment do not take each other's outcome."""
    broker, queue = await backend.declared()
    missing = backend.name("missing")
    outcomes = await asyncio.gather(
        *(broker.publish(name, envelope("same")) for name in (missing, queue) * 20), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [QueueMissing, type(None)] * 20
    assert await ready(broker, queue) == 20


async def test_full_queue_refuses(backend: Backend) -> None:
    """A full queue refuses, keeps exactly what it confirmed, and takes again once there is room."""
    broker, queue = await backend.declared(max_length=3)
    kept = 0

    async def publish_until_refused() -> None:
        nonlocal kept
        for kept in range(20):
            await broker.publish(queue, envelope(f"m{kept}"))

    with pytest.raises(QueueRefused):
        await publish_until_refused()
    assert 3 <= kept < 10  # RabbitMQ applies the limit a moment late
    assert await ready(broker, queue) == kept
    async with broker.consume(queue, 20) as deliveries:
        for _ in range(kept):
            await (await next_of(deliveries)).ack()
        await broker.publish(queue, envelope("late"))
        assert (await next_of(deliveries)).envelope.message_id == "late"


async def test_declared_with_other_arguments(backend: Backend) -> None:
    """The same declaration twice is fine; another one is refused and names the queue."""
    broker, queue = await backend.declared(delivery_limit=5)
    await backend.declared(delivery_limit=5)
    with pytest.raises(TopologyMismatch, match=queue):
        await broker.declare(Topology((QueueDeclaration(queue, backend.name("dead"), 6),), ()))
    await broker.publish(queue, envelope())


async def test_depths(backend: Backend) -> None:
    """Depths are live, seen from another broker too: what is ready, who consumes, how old the oldest is."""
    broker, queue = await backend.declared()
    other = await backend.broker()
    for number in range(3):
        await broker.publish(queue, envelope(f"m{number}"))
    told = await other.depths([queue, backend.name("dead")])
    assert [(depth.ready, depth.consumers) for depth in told.values()] == [(3, 0), (0, 0)]
    assert told[backend.name("dead")].oldest_ms is None
    async with broker.consume(queue, 2) as deliveries:
        await next_of(deliveries)
        depth = (await other.depths([queue]))[queue]
        assert (depth.ready, depth.consumers) == (1, 1)
        assert depth.oldest_ms is None or 0 <= depth.oldest_ms < 10_000

    async def nobody_consumes() -> bool:
        return (await other.depths([queue]))[queue].consumers == 0

    await eventually(nobody_consumes)


async def test_two_consumers_share_a_queue(backend: Backend) -> None:
    """Each message goes to one of two consumers, and both get some."""
    broker, queue = await backend.declared()
    got: tuple[list[str], list[str]] = ([], [])

    async def work(mine: list[str]) -> None:
        async with broker.consume(queue, 2) as deliveries:
            async for delivery in deliveries:
                mine.append(delivery.envelope.message_id)
                await delivery.ack()

    async with asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(work(mine)) for mine in got]
        ids = [f"m{number}" for number in range(60)]
        await asyncio.gather(*(broker.publish(queue, envelope(id)) for id in ids))

        async def all_came() -> bool:
            return len(got[0]) + len(got[1]) >= len(ids)

        await eventually(all_came)
        for worker in workers:
            worker.cancel()
    assert sorted(got[0] + got[1]) == sorted(ids)
    assert got[0]
    assert got[1]


async def test_tasks_share_one_iterator(backend: Backend) -> None:
    """Several tasks may take from the same iterator, and leaving the context ends them all."""
    broker, queue = await backend.declared()
    got: list[str] = []

    async def work() -> None:
        async for delivery in deliveries:
            got.append(delivery.envelope.message_id)
            await delivery.ack()

    async def all_came() -> bool:
        return len(got) == 30

    async with asyncio.TaskGroup() as tasks, broker.consume(queue, 10) as deliveries:
        for _ in range(4):
            tasks.create_task(work())
        ids = [f"m{number}" for number in range(30)]
        await asyncio.gather(*(broker.publish(queue, envelope(id)) for id in ids))
        await eventually(all_came)
    assert sorted(got) == sorted(ids)


async def test_leaving_gives_back(backend: Backend) -> None:
    """What was handed out or only prefetched is back in the queue when the context is left."""
    broker, queue = await backend.declared()
    for number in range(5):
        await broker.publish(queue, envelope(f"m{number}"))
    async with broker.consume(queue, 4) as deliveries:
        first, _ = await next_of(deliveries), await next_of(deliveries)
        await first.ack()
    assert await _everything(broker, queue, 4) == {"m1", "m2", "m3", "m4"}


async def test_settling_after_leaving_does_nothing(backend: Backend) -> None:
    """A late acknowledgement is no error and takes nothing from the queue."""
    broker, queue = await backend.declared()
    await broker.publish(queue, envelope())
    async with broker.consume(queue, 1) as deliveries:
        late = await next_of(deliveries)
    async with broker.consume(queue, 1) as deliveries:
        again = await next_of(deliveries)
        await late.ack()
        await late.give_back()
        assert again.delivery_count == 1
    assert await _everything(broker, queue, 1) == {"m1"}


async def test_settling_in_any_order_forgets_only_what_was_acknowledged(backend: Backend) -> None:
    """Acks, returns and neglect in random order: exactly the acknowledged messages are gone."""
    broker, queue = await backend.declared()
    chance = random.Random(112)
    ids = {f"m{number}" for number in range(200)}
    await asyncio.gather(*(broker.publish(queue, envelope(id)) for id in ids))
    acknowledged: set[str] = set()
    async with broker.consume(queue, 40) as deliveries:
        held = []
        for _ in range(400):
            held.append(await next_of(deliveries))
            while len(held) > 20 or (held and chance.random() < 0.4):
                delivery = held.pop(chance.randrange(len(held)))
                if chance.random() < 0.3:
                    acknowledged.add(delivery.envelope.message_id)
                    await delivery.ack()
                else:
                    await delivery.give_back()
            if chance.random() < 0.3:
                await asyncio.sleep(0)
    left = await _everything(broker, queue, len(ids - acknowledged))
    assert left == ids - acknowledged


async def test_cancelled_consumer_gives_back(backend: Backend) -> None:
    """Cancelling a task that waits for a delivery is a cancellation, and nothing is lost by it."""
    broker, queue = await backend.declared()
    holding = asyncio.Event()

    async def work() -> None:
        async with broker.consume(queue, 5) as deliveries:
            await anext(deliveries)
            holding.set()
            await anext(deliveries)

    worker = asyncio.create_task(work())
    await broker.publish(queue, envelope())
    await holding.wait()
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert await _everything(broker, queue, 1) == {"m1"}


async def test_published_messages_survive_a_crash(backend: Backend) -> None:
    """What publish returned for is there after kill -9."""
    _, queue = await backend.declared()
    ids = [f"m{number}" for number in range(20)]
    await backend.publish_and_crash(queue, ids)
    survivor = await backend.broker()
    assert await _everything(survivor, queue, len(ids)) == set(ids)


async def test_closed_broker_says_so(backend: Backend) -> None:
    """Ping answers while open; once closed every call says that the broker is not there."""
    broker, queue = await backend.declared()
    await broker.ping()
    await broker.close()
    with pytest.raises(BrokerDown):
        await broker.ping()
    with pytest.raises(BrokerDown):
        await broker.publish(queue, envelope())


async def _everything(broker: Broker, queue: str, count: int) -> set[str]:
    """The ids in a queue, which must be `count`."""
    async with broker.consume(queue, count) as deliveries:
        ids = {(await next_of(deliveries)).envelope.message_id for _ in range(count)}
        assert await ready(broker, queue) == 0
        return ids
