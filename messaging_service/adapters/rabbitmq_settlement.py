"""Acknowledgements of one channel, joined: those of one turn of the event loop cost one or two frames."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiormq.abc import AbstractChannel as Wire

from messaging_service.adapters.rabbitmq_link import answering
from messaging_service.domain.errors import BrokerDown

FLUSH_SECONDS = 5


class Settlement:
    """Knows which delivery tags are settled: below the oldest open one, a single frame acknowledges them all.

    A tag that is open, in work or merely waiting here, is never covered by such a frame.
    """

    def __init__(self, wire: Wire) -> None:
        """For a channel on which nothing was delivered yet: tags count from 1."""
        self._wire = wire
        self._floor = 0
        self._above: set[int] = set()
        self._acks: list[int] = []
        self._returns: list[int] = []
        self._flushing: asyncio.Task[None] | None = None

    def ack(self, tag: int) -> None:
        """Acknowledge before the event loop waits again."""
        self._acks.append(tag)
        self._settle(tag)

    def give_back(self, tag: int) -> None:
        """Give back before the event loop waits again."""
        self._returns.append(tag)
        self._settle(tag)

    async def close(self) -> None:
        """Send what is still to be sent; on a lost channel there is nothing to do."""
        if self._flushing is not None:
            await asyncio.wait({self._flushing}, timeout=0 if self._wire.is_closed else FLUSH_SECONDS)
        if self._flushing is not None:
            self._flushing.cancel()  # the driver's writer is gone and would never take it

    def _settle(self, tag: int) -> None:
        self._above.add(tag)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._acks or self._returns:
                with suppress(BrokerDown):  # the channel is lost: all of it comes again
                    async with answering(None):
                        await self._send()
        finally:
            self._flushing = None

    async def _send(self) -> None:
        """Returns go first: an acknowledgement for all below must not reach the broker before them.

        So acks, returns and floor are taken at one moment: a tag given back later is not below this floor.
        """
        acks, self._acks = sorted(self._acks), []
        returns, self._returns = self._returns, []
        while self._floor + 1 in self._above:
            self._floor += 1
            self._above.remove(self._floor)
        below = [tag for tag in acks if tag <= self._floor]
        for tag in returns:
            # reject and not nack: since RabbitMQ 4.3 only a reject counts towards the delivery limit
            await self._wire.basic_reject(tag, requeue=True, wait=False)
        if below:
            await self._wire.basic_ack(below[-1], multiple=len(below) > 1, wait=False)
        for tag in acks[len(below) :]:
            await self._wire.basic_ack(tag, wait=False)
