"""Consuming from the embedded queue: one task a subscription takes what there is room for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from messaging_service.adapters.embedded_rows import Taken
from messaging_service.application.ports import Envelope
from messaging_service.domain.errors import BrokerDown


class QueueFile(Protocol):
    """What a subscription needs of the broker."""

    def take(self, queue: str, room: int) -> Awaitable[list[Taken]]:
        """Up to `room` messages, marked as taken. Raises BrokerDown."""

    def settle(self, acknowledged: list[int], returned: list[int]) -> None:
        """Soon; waits for nothing."""


@dataclass(slots=True, eq=False, repr=False)
class EmbeddedDelivery:
    """One message until it is settled; a second settling does nothing."""

    queue: str
    envelope: Envelope
    delivery_count: int
    _number: int
    _settle: Callable[[int, bool], None]

    async def ack(self) -> None:
        """See `Delivery`."""
        self._settle(self._number, True)

    async def give_back(self) -> None:
        """See `Delivery`."""
        self._settle(self._number, False)


class Subscription:
    """An iterator of deliveries; any number of tasks may share it."""

    def __init__(self, file: QueueFile, queue: str, prefetch: int) -> None:
        """At most `prefetch` deliveries are unsettled at a time; begins at once."""
        self.queue = queue
        self._file = file
        self._prefetch = prefetch
        self._open: set[int] = set()
        self._arrived: asyncio.Queue[EmbeddedDelivery | None] = asyncio.Queue()
        self._stir = asyncio.Event()
        self._closed = False
        self._pumping = asyncio.create_task(self._pump())

    def __aiter__(self) -> Subscription:
        """Itself."""
        return self

    async def __anext__(self) -> EmbeddedDelivery:
        """The next delivery, waiting for it."""
        delivery = None if self._closed else await self._arrived.get()
        if delivery is None:
            self._arrived.put_nowait(None)
            raise StopAsyncIteration
        return delivery

    def stir(self) -> None:
        """Look again: something may have arrived."""
        self._stir.set()

    async def close(self) -> None:
        """Stop and give back what is not settled."""
        self._closed = True
        self._arrived.put_nowait(None)
        self.stir()
        await asyncio.shield(self._pumping)

    async def _pump(self) -> None:
        """Never cancelled: what a take has marked would then wait for the next process to come again."""
        while not self._closed:
            self._stir.clear()
            room = self._prefetch - len(self._open)
            if room == 0 or not await self._take(room):
                await self._stir.wait()
        self._file.settle([], sorted(self._open))
        self._open.clear()

    async def _take(self, room: int) -> bool:
        try:
            taken = await self._file.take(self.queue, room)
        except BrokerDown:  # the broker's regular look stirs us again
            return False
        for one in taken:
            self._open.add(one.number)
            self._arrived.put_nowait(EmbeddedDelivery(self.queue, one.envelope, one.earlier, one.number, self._settle))
        return bool(taken)

    def _settle(self, number: int, done: bool) -> None:
        if number in self._open:
            self._open.remove(number)
            self._file.settle([number] if done else [], [] if done else [number])
            self.stir()
