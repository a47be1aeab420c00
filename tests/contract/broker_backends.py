"""The brokers that the contract suite runs over, each with what the port itself cannot do: crash."""

from __future__ import annotations

import asyncio
import sys
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.rabbitmq import RabbitBroker
from messaging_service.application.ports import Broker, Delivery, Envelope, QueueDeclaration, Topology
from tests.parts.rabbit import RabbitNode

DELAY_MS = 300
PATIENCE = 15.0

PUBLISH_AND_HANG = """
import asyncio, sys
from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.application.ports import Envelope

async def main(path, queue, *ids):
    broker = EmbeddedBroker(path)
    await broker.open()
    for id in ids:
        await broker.publish(queue, Envelope(id, "kind", id.encode()))
    print("published", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


class Backend(ABC):
    """One kind of broker, with queue names of its own for each test."""

    def __init__(self) -> None:
        self._prefix = f"t{uuid.uuid4().hex[:8]}"
        self._opened: list[Broker] = []

    @abstractmethod
    def make(self) -> Broker:
        """A broker on the same queues, not yet open."""

    @abstractmethod
    async def publish_and_crash(self, queue: str, ids: list[str]) -> None:
        """Publish, and when that returned kill -9 what held the messages."""

    def name(self, queue: str) -> str:
        """The name of a queue in this test."""
        return f"{self._prefix}.{queue}"

    async def broker(self) -> Broker:
        """Another broker on the same queues, open; the fixture closes it."""
        broker = self.make()
        await broker.open()
        self._opened.append(broker)
        return broker

    async def declared(self, delivery_limit: int = 100, max_length: int | None = None) -> tuple[Broker, str]:
        """A broker with a queue `work`, its dead letter queue `dead` and one delay."""
        broker = await self.broker()
        queue = QueueDeclaration(self.name("work"), self.name("dead"), delivery_limit, max_length)
        dead = QueueDeclaration(self.name("dead"), None)
        await broker.declare(Topology((queue, dead), (DELAY_MS,)))
        return broker, queue.name

    async def close(self) -> None:
        """Close what the test opened."""
        for broker in self._opened:
            await broker.close()


class Embedded(Backend):
    """The SQLite file."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "queue.db"

    def make(self) -> Broker:
        return EmbeddedBroker(self.path)

    async def publish_and_crash(self, queue: str, ids: list[str]) -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PUBLISH_AND_HANG, self.path, queue, *ids, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert child.stdout is not None
            assert await asyncio.wait_for(child.stdout.readline(), PATIENCE) == b"published\n"
        finally:
            child.kill()
            await child.wait()


class Rabbit(Backend):
    """A private RabbitMQ node."""

    def __init__(self, node: RabbitNode) -> None:
        super().__init__()
        self.node = node

    def make(self) -> Broker:
        return RabbitBroker(self.node.url, name=self._prefix)

    async def publish_and_crash(self, queue: str, ids: list[str]) -> None:
        await self.remembered()
        broker = await self.broker()
        for id in ids:
            await broker.publish(queue, envelope(id))
        self.node.kill()
        await self.node.started()

    async def remembered(self) -> None:
        """Wait until the queues of `declared` would outlive a kill."""
        queues = (self.name("work"), self.name("dead"), f"delay.{DELAY_MS}")

        async def on_disk() -> bool:
            return self.node.remembers(*queues)

        await eventually(on_disk)


def envelope(id: str = "m1") -> Envelope:
    """An envelope whose body tells its id."""
    return Envelope(id, "kind", id.encode())


async def next_of(deliveries: AsyncIterator[Delivery]) -> Delivery:
    """The next delivery; fails the test when none comes."""
    return await asyncio.wait_for(anext(deliveries), PATIENCE)


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the condition holds; fails the test when it never does."""
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110 - the condition lies in another process
            await asyncio.sleep(0.02)


async def ready(broker: Broker, queue: str) -> int:
    """How many wait in a queue."""
    return (await broker.depths([queue]))[queue].ready
