"""Consuming from RabbitMQ: a subscription that outlives its connections, and acknowledgements joined."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from aio_pika.abc import AbstractChannel
from aiormq.abc import AbstractChannel as Wire
from aiormq.abc import DeliveredMessage

from messaging_service.adapters.rabbitmq_link import Link, answering
from messaging_service.adapters.rabbitmq_settlement import Settlement
from messaging_service.application.ports import Envelope
from messaging_service.domain.errors import BrokerDown, QueueMissing

BROKERS_OWN = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")
"""Headers that the broker adds on the way."""


@dataclass(slots=True, eq=False, repr=False)
class RabbitDelivery:
    """One message until it is settled; settling it on a lost connection does nothing, it comes again."""

    queue: str
    envelope: Envelope
    delivery_count: int
    _tag: int
    _settlement: Settlement

    async def ack(self) -> None:
        """See `Delivery`."""
        self._settlement.ack(self._tag)

    async def give_back(self) -> None:
        """See `Delivery`."""
        self._settlement.give_back(self._tag)


@dataclass(frozen=True, slots=True, eq=False)
class _Ended:
    """Marks in the line of arrivals that a channel, or the consumer on it, has ended."""

    channel: Wire


class Subscription:
    """An iterator of deliveries; any number of tasks may share it."""

    def __init__(self, link: Link, queue: str, prefetch: int) -> None:
        """At most `prefetch` deliveries are unsettled at a time."""
        self._link = link
        self._queue = queue
        self._prefetch = prefetch
        self._arrived: asyncio.Queue[DeliveredMessage | _Ended] = asyncio.Queue()
        self._channel: AbstractChannel | None = None
        self._wire: Wire | None = None
        self._settlement: Settlement | None = None
        self._closed = False

    def __aiter__(self) -> Subscription:
        """Itself."""
        return self

    async def __anext__(self) -> RabbitDelivery:
        """The next delivery, waiting for it and for the broker as long as it takes.

        Raises:
            QueueMissing: the queue was deleted.
        """
        while not self._closed:
            arrival = await self._arrived.get()
            if isinstance(arrival, _Ended):
                await self._go_on_after(arrival)
            elif arrival.channel is self._wire and not self._wire.is_closed:
                assert self._settlement is not None
                return _delivery(self._queue, arrival, self._settlement)
        raise StopAsyncIteration

    async def open(self) -> None:
        """Begin to consume.

        Raises:
            QueueMissing: there is no such queue.
            BrokerDown: no connection, or no answer within the connect time-out.
        """
        self._channel = await self._link.channel()
        self._wire = wire = await self._channel.get_underlay_channel()
        self._settlement = Settlement(wire)
        ended = self._marker(wire)
        wire.on_consumer_cancel_callbacks.add(ended)
        async with answering(self._link.connect_timeout):
            await wire.basic_qos(prefetch_count=self._prefetch)
            await wire.basic_consume(self._queue, self._take)
        wire.closing.add_done_callback(ended)

    async def close(self) -> None:
        """Stop; what was delivered and not settled goes back to the queue."""
        self._closed = True
        await self._drop()
        if self._wire is not None:
            self._arrived.put_nowait(_Ended(self._wire))

    async def _take(self, message: DeliveredMessage) -> None:
        self._arrived.put_nowait(message)

    def _marker(self, wire: Wire) -> Callable[[object], None]:
        return lambda _: self._arrived.put_nowait(_Ended(wire))

    async def _go_on_after(self, ended: _Ended) -> None:
        """Consume again if it was the present channel that ended.

        Tasks may share the iterator: one that cannot go on leaves the mark to the others.
        """
        if self._closed:
            self._arrived.put_nowait(ended)
        elif ended.channel is self._wire:
            try:
                await self._open_again()
            except BaseException:
                self._arrived.put_nowait(_Ended(self._wire))
                raise

    async def _open_again(self) -> None:
        await self._drop()
        while True:
            try:
                await self.open()
            except QueueMissing:
                raise
            except BrokerDown:
                await asyncio.sleep(self._link.pause())
            else:
                return

    async def _drop(self) -> None:
        if self._settlement is not None:
            await self._settlement.close()
        if self._channel is not None and not self._channel.is_closed:
            with suppress(BrokerDown):  # a lost channel gave everything back already
                async with answering(self._link.connect_timeout):
                    await self._channel.close()


def _delivery(queue: str, message: DeliveredMessage, settlement: Settlement) -> RabbitDelivery:
    properties = message.header.properties
    headers = properties.headers or {}
    counts = [headers.get("x-delivery-count"), headers.get("x-acquired-count")]
    own = {
        name: value
        for name, value in headers.items()
        if isinstance(value, str | int) and not name.startswith(BROKERS_OWN)
    }
    envelope = Envelope(properties.correlation_id or "", properties.message_type or "", message.body, own)
    count = max((count for count in counts if isinstance(count, int)), default=0)
    assert message.delivery_tag is not None
    return RabbitDelivery(queue, envelope, count, message.delivery_tag, settlement)
