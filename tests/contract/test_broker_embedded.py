"""What the queue file owes when processes share it or die over it."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from messaging_service.adapters.embedded_lock import QueueFileInUse
from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.domain.errors import BrokerDown, PublishUnknown
from tests.contract.broker_backends import PATIENCE, Embedded, envelope, eventually, next_of, ready

CONSUME_AND_HANG = """
import asyncio, sys
from messaging_service.adapters.embedded_queue import EmbeddedBroker

async def main(path, queue):
    broker = EmbeddedBroker(path)
    await broker.open()
    async with broker.consume(queue, 10) as deliveries:
        print((await anext(deliveries)).delivery_count, flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[Embedded]:
    """A queue file of this test's own."""
    backend = Embedded(tmp_path)
    try:
        yield backend
    finally:
        await backend.close()


@asynccontextmanager
async def consuming_process(path: Path, queue: str) -> AsyncIterator[int]:
    """Another process that holds a delivery, killed at the end; gives that delivery's count."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONSUME_AND_HANG, path, queue, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        yield int(await asyncio.wait_for(child.stdout.readline(), PATIENCE))
    finally:
        child.kill()
        await child.wait()


async def test_killed_consumer(embedded: Embedded) -> None:
    """What a killed process had taken comes again, with its count raised by each such death."""
    broker, queue = await embedded.declared()
    await broker.publish(queue, envelope())
    for count in range(2):
        async with consuming_process(embedded.path, queue) as told:
            assert told == count
    async with broker.consume(queue, 1) as deliveries:
        assert (await next_of(deliveries)).delivery_count == 2


async def test_killing_over_and_over_ends_at_the_limit(embedded: Embedded) -> None:
    """A message that kills its consumer goes to the dead letter queue past the limit."""
    broker, queue = await embedded.declared(delivery_limit=0)
    await broker.publish(queue, envelope())
    async with consuming_process(embedded.path, queue):
        pass
    async with broker.consume(embedded.name("dead"), 1) as dead:
        assert (await next_of(dead)).envelope == envelope()
    assert await ready(broker, queue) == 0


async def test_one_process_consumes(embedded: Embedded) -> None:
    """A second process is told so by name; it may still publish, and consumes once the first is gone."""
    broker, queue = await embedded.declared()
    await broker.publish(queue, envelope("m1"))
    async with consuming_process(embedded.path, queue):
        assert (await broker.depths([queue]))[queue].consumers == 1
        with pytest.raises(QueueFileInUse, match=embedded.path.name):
            async with broker.consume(queue, 1):
                pass
        await broker.publish(queue, envelope("m2"))
    assert (await broker.depths([queue]))[queue].consumers == 0
    async with broker.consume(queue, 2) as deliveries:
        assert {(await next_of(deliveries)).envelope.message_id for _ in range(2)} == {"m1", "m2"}


async def test_publishing_from_another_process(embedded: Embedded) -> None:
    """A waiting consumer finds by itself what another process publishes."""
    broker, queue = await embedded.declared()
    async with broker.consume(queue, 1) as deliveries:
        waiting = asyncio.create_task(next_of(deliveries))
        await embedded.publish_and_crash(queue, ["m1"])
        assert (await waiting).envelope.message_id == "m1"


async def test_age_of_the_oldest(embedded: Embedded) -> None:
    """The age grows while the message waits and is gone with it."""
    broker, queue = await embedded.declared()
    await broker.publish(queue, envelope())

    async def has_aged() -> bool:
        oldest = (await broker.depths([queue]))[queue].oldest_ms
        return oldest is not None and 30 <= oldest < PATIENCE * 1000

    await eventually(has_aged)
    async with broker.consume(queue, 1) as deliveries:
        await (await next_of(deliveries)).ack()
    assert (await broker.depths([queue]))[queue].oldest_ms is None


async def test_delay_outlives_the_process(embedded: Embedded) -> None:
    """A message whose delay ended while no process ran comes at the next start."""
    broker, queue = await embedded.declared()
    await broker.publish(queue, envelope(), delay_ms=300)
    await broker.close()
    again = await embedded.broker()
    async with again.consume(queue, 1) as deliveries:
        assert (await next_of(deliveries)).delivery_count == 0


async def test_file_is_for_its_owner_alone(embedded: Embedded) -> None:
    """Neither the file nor what SQLite and the lock put beside it can be read by others."""
    broker, queue = await embedded.declared()
    async with broker.consume(queue, 1):
        modes = {file.name: file.stat().st_mode & 0o777 for file in embedded.path.parent.iterdir()}
    assert len(modes) == 4
    assert set(modes.values()) == {0o600}


async def test_file_that_cannot_be_used(tmp_path: Path) -> None:
    """A folder in its place is a broker that is down; a publish into a spoilt file is unknown."""
    with pytest.raises(BrokerDown):
        await EmbeddedBroker(tmp_path).open()
    spoilt = Embedded(tmp_path)
    broker, queue = await spoilt.declared()
    with sqlite3.connect(spoilt.path) as connection:
        connection.execute("DROP TABLE messages")
    with pytest.raises(PublishUnknown):
        await broker.publish(queue, envelope())
    await spoilt.close()
