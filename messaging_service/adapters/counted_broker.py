"""A broker that counts what is put into each queue."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from messaging_service.application.ports import Broker, Delivery, Depth, Envelope, Topology


class CountedBroker(Broker):
    """All that `inner` does; `count` is called with the queue once a message is confirmed to be in it.

    What waits on a rung of the delay ladder is in no queue yet and not counted: it was counted when it came first.
    """

    def __init__(self, inner: Broker, count: Callable[[str], None]) -> None:
        self._inner = inner
        self._count = count

    async def open(self) -> None:
        """See `Broker`."""
        await self._inner.open()

    async def declare(self, topology: Topology) -> None:
        """See `Broker`."""
        await self._inner.declare(topology)

    async def publish(self, queue: str, envelope: Envelope, *, delay_ms: int = 0) -> None:
        """See `Broker`."""
        await self._inner.publish(queue, envelope, delay_ms=delay_ms)
        if not delay_ms:
            self._count(queue)

    def consume(self, queue: str, prefetch: int) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """See `Broker`."""
        return self._inner.consume(queue, prefetch)

    async def depths(self, queues: Sequence[str]) -> dict[str, Depth]:
        """See `Broker`."""
        return await self._inner.depths(queues)

    async def ping(self) -> None:
        """See `Broker`."""
        await self._inner.ping()

    async def close(self) -> None:
        """See `Broker`."""
        await self._inner.close()
