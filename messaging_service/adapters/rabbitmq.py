"""The broker port over RabbitMQ quorum queues. These `rabbitmq*` modules alone import the driver."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from messaging_service.adapters import rabbitmq_topology
from messaging_service.adapters.rabbitmq_consumer import Subscription
from messaging_service.adapters.rabbitmq_link import Link, answering
from messaging_service.adapters.rabbitmq_publisher import Publisher
from messaging_service.adapters.rabbitmq_topology import DEFAULT_EXCHANGE, delay_rung
from messaging_service.application.ports import Delivery, Depth, Envelope, Topology

DECLARE_SECONDS = 60
"""A quorum queue takes 10 to 50 ms to come into being, and there are two for each tenant and lane."""


class RabbitBroker:
    """Publishes over one connection and does everything else over another, which an alarm never blocks."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "messaging-service",
        connect_timeout: float = 1.5,
        publish_timeout: float = 1.8,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            url: amqp:// or amqps://, with user, password and virtual host.
            name: who this is in the broker's list of connections, e.g. "gateway" or "persist".
            connect_timeout: seconds for connecting and for each call but `publish` and `declare`.
            publish_timeout: seconds for one publish, connecting included.
            tls: for amqps://; without it the system's certificates count.
        """
        self._publishing = Link(url, f"{name} publish", connect_timeout, tls)
        self._reading = Link(url, f"{name} consume", connect_timeout, tls)
        self._publisher = Publisher(self._publishing, publish_timeout)
        self._present: set[str] = set()

    async def open(self) -> None:
        """See `Broker`."""
        await self._publisher.open()

    async def declare(self, topology: Topology) -> None:
        """See `Broker`."""
        async with answering(DECLARE_SECONDS), await self._reading.channel() as channel:
            await rabbitmq_topology.declare(channel, topology)

    async def publish(self, queue: str, envelope: Envelope, *, delay_ms: int = 0) -> None:
        """See `Broker`. Header names beginning with x-death, x-first-death and the like are the broker's."""
        if delay_ms:
            rung = delay_rung(delay_ms)
            await self._check_present(rung, queue)
            await self._publisher.publish(rung, queue, envelope)
        else:
            await self._publisher.publish(DEFAULT_EXCHANGE, queue, envelope)

    @asynccontextmanager
    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[AsyncIterator[Delivery]]:
        """See `Broker`. Raises BrokerDown or QueueMissing when it cannot begin."""
        subscription = Subscription(self._reading, queue, prefetch)
        try:
            await subscription.open()
            yield subscription
        finally:
            await subscription.close()

    async def depths(self, queues: Sequence[str]) -> dict[str, Depth]:
        """See `Broker`. RabbitMQ tells no ages. Raises QueueMissing for a queue that is not there."""
        async with answering(self._reading.connect_timeout), await self._reading.channel() as channel:
            wire = await channel.get_underlay_channel()
            told = [await wire.queue_declare(queue, passive=True) for queue in queues]
        return {
            queue: Depth(answer.message_count or 0, answer.consumer_count or 0)
            for queue, answer in zip(queues, told, strict=True)
        }

    async def ping(self) -> None:
        """See `Broker`."""
        await self.depths(())

    async def close(self) -> None:
        """See `Broker`."""
        await self._publishing.close()
        await self._reading.close()

    async def _check_present(self, *queues: str) -> None:
        """Ask once whether the rung and the queue behind it exist: the rung alone confirms a delayed publish.

        Should the queue be deleted later, the rung keeps the message until it is back (at-least-once
        dead-lettering).
        """
        unknown = [queue for queue in queues if queue not in self._present]
        if unknown:
            await self.depths(unknown)
            self._present.update(unknown)
