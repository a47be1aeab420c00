"""What RabbitMQ can do to us: die, freeze, run out of memory. Nothing hangs, and every outcome is told."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from messaging_service.adapters.rabbitmq import RabbitBroker
from messaging_service.application.ports import Broker, Depth
from messaging_service.domain.errors import BrokerDown, PublishUnknown, QueueMissing, QueueRefused
from tests.contract.broker_backends import DELAY_MS, Rabbit, envelope, eventually, next_of, ready
from tests.parts.rabbit import RabbitNode

pytest_plugins = ("tests.parts.rabbit_fixture",)

AT_ONCE = 0.5
IN_TIME = 2.0


@pytest.fixture
async def rabbit(rabbit_node: RabbitNode) -> AsyncIterator[Rabbit]:
    """The node, with queues of this test's own."""
    backend = Rabbit(rabbit_node)
    try:
        yield backend
    finally:
        await backend.close()


@asynccontextmanager
async def another_client(rabbit: Rabbit) -> AsyncIterator[AbstractChannel]:
    """A channel that our code knows nothing of."""
    connection = await aio_pika.connect(rabbit.node.url)
    async with connection, await connection.channel() as channel:
        yield channel


async def outcome(broker: Broker, queue: str, id: str = "m1", delay_ms: int = 0) -> type[Exception] | None:
    """What a publish ended with; fails the test unless it ends in time."""
    started = time.monotonic()
    try:
        await broker.publish(queue, envelope(id), delay_ms=delay_ms)
    except BrokerDown as error:
        return type(error)
    finally:
        assert time.monotonic() - started < IN_TIME
    return None


async def test_killed_node(rabbit: Rabbit) -> None:
    """Publishes under way end as unknown, later ones fail at once, and all goes on when the node is back."""
    broker, queue = await rabbit.declared()
    await rabbit.remembered()
    confirmed: list[str] = []

    async def publish_until_it_fails(lane: int) -> type[Exception]:
        number = 0
        while (ended := await outcome(broker, queue, f"m{lane}-{number}")) is None:
            confirmed.append(f"m{lane}-{number}")
            number += 1
        return ended

    async def enough() -> bool:
        return len(confirmed) > 200

    async with broker.consume(rabbit.name("dead"), 1) as deliveries:
        lanes = [asyncio.create_task(publish_until_it_fails(lane)) for lane in range(20)]
        await eventually(enough)
        rabbit.node.kill()
        endings = set(await asyncio.gather(*lanes))
        assert endings <= {PublishUnknown, BrokerDown}
        assert PublishUnknown in endings

        started = time.monotonic()
        assert {await outcome(broker, queue) for _ in range(50)} == {BrokerDown}
        assert time.monotonic() - started < AT_ONCE
        with pytest.raises(BrokerDown):
            await broker.ping()
        with pytest.raises(BrokerDown):
            await broker.depths([queue])

        await rabbit.node.started()

        async def published() -> bool:
            return await outcome(broker, rabbit.name("dead"), "after") is None

        await eventually(published)
        assert (await next_of(deliveries)).envelope.message_id == "after"

    async with broker.consume(queue, len(confirmed) + 100) as deliveries:
        missing = set(confirmed)
        while missing:
            missing.discard((await next_of(deliveries)).envelope.message_id)


async def test_consumer_goes_on_after_a_restart(rabbit: Rabbit) -> None:
    """A delivery of the lost connection may be settled without error; it and the prefetched come again."""
    broker, queue = await rabbit.declared()
    await rabbit.remembered()
    for id in ("m1", "m2", "m3"):
        await broker.publish(queue, envelope(id))
    async with broker.consume(queue, 2) as deliveries:
        lost = await next_of(deliveries)
        rabbit.node.kill()
        await lost.ack()
        await rabbit.node.started()
        again = set()
        for _ in range(3):
            delivery = await next_of(deliveries)
            await lost.give_back()
            await delivery.ack()
            again.add(delivery.envelope.message_id)
        assert again == {"m1", "m2", "m3"}
    assert await ready(broker, queue) == 0


async def test_consumer_whose_connection_is_cut(rabbit: Rabbit) -> None:
    """When only the connection is lost, the node knows of the first delivery: the count is raised."""
    broker, queue = await rabbit.declared()
    await broker.publish(queue, envelope())
    async with broker.consume(queue, 1) as deliveries:
        await next_of(deliveries)
        rabbit.node.ctl("close_all_connections", "cut")
        again = await next_of(deliveries)
        assert again.delivery_count == 1
        await again.ack()
    assert await ready(broker, queue) == 0


async def test_frozen_node(rabbit: Rabbit) -> None:
    """A publish to a frozen node is unknown in time, the next know that nothing was sent; then it thaws."""
    broker, queue = await rabbit.declared()
    await broker.publish(queue, envelope())
    rabbit.node.freeze()
    try:
        assert await outcome(broker, queue) is PublishUnknown
        assert await outcome(broker, queue) is BrokerDown
        with pytest.raises(BrokerDown):
            await asyncio.wait_for(broker.ping(), IN_TIME)
    finally:
        rabbit.node.thaw()

    async def published() -> bool:
        return await outcome(broker, queue) is None

    await eventually(published)


async def test_cancelling_a_publish_is_a_cancellation(rabbit: Rabbit) -> None:
    """While the node is frozen, a cancelled publish ends as cancelled and not as a fault of the broker."""
    broker, queue = await rabbit.declared()
    await broker.publish(queue, envelope())
    rabbit.node.freeze()
    try:
        publishing = asyncio.create_task(broker.publish(queue, envelope()))
        await asyncio.sleep(0)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
    finally:
        rabbit.node.thaw()


async def test_opening_towards_nobody(rabbit: Rabbit) -> None:
    """A frozen node and a port where nobody listens are told within the connect time-out."""
    rabbit.node.freeze()
    try:
        with pytest.raises(BrokerDown):
            await asyncio.wait_for(rabbit.broker(), IN_TIME)
    finally:
        rabbit.node.thaw()
    with pytest.raises(BrokerDown):
        await asyncio.wait_for(RabbitBroker("amqp://guest:guest@127.0.0.1:9/").open(), IN_TIME)


async def test_refused_login_keeps_the_password(rabbit: Rabbit) -> None:
    """The error of a refused login names no password."""
    url = rabbit.node.url.replace("guest:guest", "guest:s3cret-word")
    with pytest.raises(BrokerDown) as caught:
        await RabbitBroker(url).open()
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "s3cret-word" not in f"{chain!r} {chain}"
        chain = chain.__cause__


async def test_memory_alarm(rabbit: Rabbit) -> None:
    """Under an alarm a publish is refused at once, reading goes on, and afterwards all is well."""
    broker, queue = await rabbit.declared()
    await broker.publish(queue, envelope("before"))
    await asyncio.to_thread(rabbit.node.raise_memory_alarm)
    try:

        async def refused() -> bool:
            return await outcome(broker, queue) is QueueRefused

        await eventually(refused)
        started = time.monotonic()
        assert {await outcome(broker, queue) for _ in range(50)} == {QueueRefused}
        assert time.monotonic() - started < AT_ONCE
        await broker.ping()
        async with broker.consume(queue, 1) as deliveries:
            delivery = await next_of(deliveries)
            assert delivery.envelope.message_id == "before"
            await delivery.ack()
    finally:
        await asyncio.to_thread(rabbit.node.clear_memory_alarm)

    async def published() -> bool:
        return await outcome(broker, queue) is None

    await eventually(published)


async def test_queue_deleted_under_its_consumer(rabbit: Rabbit) -> None:
    """A consumer of a deleted queue is told that it is missing."""
    broker, queue = await rabbit.declared()
    async with broker.consume(queue, 1) as deliveries:
        waiting = asyncio.create_task(next_of(deliveries))
        async with another_client(rabbit) as channel:
            await channel.queue_delete(queue)
        with pytest.raises(QueueMissing):
            await waiting


async def test_delayed_message_waits_for_a_deleted_queue(rabbit: Rabbit) -> None:
    """A queue deleted while its message waits in the delay: the message comes once the queue is back."""
    broker, queue = await rabbit.declared()
    async with another_client(rabbit) as channel:
        await broker.publish(queue, envelope(), delay_ms=DELAY_MS)
        await channel.queue_delete(queue)
    assert await outcome(broker, queue, "direct") is QueueMissing

    async def expired() -> bool:
        return await ready(broker, f"delay.{DELAY_MS}") == 0

    await eventually(expired)
    await rabbit.declared()
    async with broker.consume(queue, 1) as deliveries:
        assert (await next_of(deliveries)).envelope.message_id == "m1"


async def test_at_least_once_dead_lettering_is_in_force(rabbit: Rabbit) -> None:
    """The node counts our delays and dead letters as at-least-once; declared wrongly it would not, silently."""
    before = await asyncio.to_thread(_dead_lettered, rabbit.node)
    broker, queue = await rabbit.declared(delivery_limit=0)
    await broker.publish(queue, envelope(), delay_ms=DELAY_MS)
    async with broker.consume(queue, 1) as deliveries, broker.consume(rabbit.name("dead"), 1) as dead:
        await (await next_of(deliveries)).give_back()
        await next_of(dead)
    after = await asyncio.to_thread(_dead_lettered, rabbit.node)
    assert after["at_least_once"] == before["at_least_once"] + 2
    assert after["at_most_once"] == before["at_most_once"]


async def test_connections_bear_names(rabbit: Rabbit) -> None:
    """Operators find each connection by who opened it and what for."""
    broker, queue = await rabbit.declared()
    async with broker.consume(queue, 1):
        told = await asyncio.to_thread(rabbit.node.ctl, "list_connections", "client_properties")
    assert f"{rabbit.name('x')[:-2]} publish" in told
    assert f"{rabbit.name('x')[:-2]} consume" in told


async def test_depths_are_live(rabbit: Rabbit) -> None:
    """A queue purged behind our back is seen empty on the next call of the same broker."""
    broker, queue = await rabbit.declared()
    await broker.publish(queue, envelope())
    assert (await broker.depths([queue]))[queue] == Depth(1, 0)
    async with another_client(rabbit) as channel:
        await (await channel.get_queue(queue)).purge()
    assert (await broker.depths([queue]))[queue] == Depth(0, 0)


def _dead_lettered(node: RabbitNode) -> dict[str, int]:
    """How many messages the node has dead-lettered, expired or past their limit, by strategy."""
    told = node.ctl("eval", "rabbit_global_counters:overview().")
    blocks = re.findall(r"rabbit_quorum_queue},{dead_letter_strategy,(\w+)}\] =>\s*#{([^}]*)}", told)
    return {
        strategy: sum(map(int, re.findall(r"(?:limit|expired)_total => (\d+)", counters)))
        for strategy, counters in blocks
    }
