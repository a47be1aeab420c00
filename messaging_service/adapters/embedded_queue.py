"""The broker port in one SQLite file: for trying out, for tests and for a small practice; no server."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from messaging_service.adapters import embedded_rows as rows
from messaging_service.adapters.embedded_consumer import Subscription
from messaging_service.adapters.embedded_lock import ConsumerLock
from messaging_service.adapters.sqlite_thread import SqliteThread
from messaging_service.application.ports import Delivery, Depth, Envelope, Topology
from messaging_service.domain.errors import BrokerDown, MessagingError, PublishUnknown, StoreDown

LOOK_SECONDS = 0.2
"""How soon a consumer sees what another process published, or what was delayed."""

PATIENCE_SECONDS = 5.0
"""How long a write waits for another process that holds the file."""

Outcome = TypeVar("Outcome")
Job = Callable[[sqlite3.Connection], Outcome]


class EmbeddedBroker:
    """Queues in one file. Any process may publish and read depths; one at a time may consume.

    What `publish` returned for is on the disk (WAL, synchronous=FULL); all that waits at the same moment
    shares one transaction. A message taken by a process that died comes again, counted as delivered.
    """

    def __init__(self, path: str | Path) -> None:
        """Nothing is opened yet."""
        self._path = Path(path)
        self._thread: SqliteThread | None = None
        self._lock = ConsumerLock(self._path)
        self._subscriptions: set[Subscription] = set()
        self._acknowledged: list[int] = []
        self._returned: list[int] = []
        self._settling: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._becoming = asyncio.Lock()

    async def open(self) -> None:
        """See `Broker`. Creates the file, for its owner alone, where it is missing."""
        if self._thread is None:
            self._thread = SqliteThread(self._path, _perform, PATIENCE_SECONDS)
            await self._do(rows.create)

    async def declare(self, topology: Topology) -> None:
        """See `Broker`."""
        await self._do(partial(rows.declare, topology=topology))

    async def publish(self, queue: str, envelope: Envelope, *, delay_ms: int = 0) -> None:
        """See `Broker`."""
        job = partial(rows.publish, queue=queue, envelope=envelope, delay_ms=delay_ms)
        await self._do(job, fault=PublishUnknown)
        if not delay_ms:
            self._stir({queue})

    @asynccontextmanager
    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[AsyncIterator[Delivery]]:
        """See `Broker`.

        Raises:
            QueueMissing: there is no such queue.
            QueueFileInUse: another process consumes.
        """
        await self._become_the_consumer()
        await self._do(partial(rows.count_consumer, queue=queue, change=1))
        subscription = Subscription(self, queue, prefetch)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            await subscription.close()
            await self._settled()
            with suppress(BrokerDown):  # only the number of consumers shown to operators
                await self._do(partial(rows.count_consumer, queue=queue, change=-1))

    async def depths(self, queues: Sequence[str]) -> dict[str, Depth]:
        """See `Broker`."""
        told = await self._do(partial(rows.depths, queues=tuple(queues)))
        if self._lock.held_by_anyone():
            return told
        return {queue: replace(depth, consumers=0) for queue, depth in told.items()}

    async def ping(self) -> None:
        """See `Broker`."""
        await self._do(rows.waiting)

    async def close(self) -> None:
        """See `Broker`."""
        for subscription in tuple(self._subscriptions):
            await subscription.close()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        await self._settled()
        if self._thread is not None:
            await self._thread.close()
            self._thread = None
        self._lock.release()

    async def take(self, queue: str, room: int) -> list[rows.Taken]:
        """For subscriptions: see `QueueFile`."""
        return await self._do(partial(rows.take, queue=queue, room=room))

    def settle(self, acknowledged: list[int], returned: list[int]) -> None:
        """For subscriptions: see `QueueFile`. What comes in one turn of the loop is settled together."""
        self._acknowledged += acknowledged
        self._returned += returned
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle())

    async def _settle(self) -> None:
        """Should the file fail, all stays noted for the next look."""
        try:
            while self._acknowledged or self._returned:
                await self._settle_what_is_noted()
        except BrokerDown:
            return
        finally:
            self._settling = None

    async def _settle_what_is_noted(self) -> None:
        acknowledged, self._acknowledged = self._acknowledged, []
        returned, self._returned = self._returned, []
        try:
            await self._do(partial(rows.settle, acknowledged=acknowledged, returned=returned))
        except BrokerDown:
            self._acknowledged += acknowledged
            self._returned += returned
            raise
        if returned:
            self._stir()

    async def _settled(self) -> None:
        if self._settling is not None:
            await asyncio.shield(self._settling)

    async def _become_the_consumer(self) -> None:
        """Once in a process: take the lock, give back what a dead process had taken, begin to look."""
        async with self._becoming:
            if not self._lock.held:
                await self._lock.take()
            if self._looking is None:
                await self._do(rows.recover)
                self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Wake those for whom something came from elsewhere: from another process or out of a delay."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with suppress(BrokerDown):  # `ping` and `publish` tell it; here the next look is the remedy
                self._stir(await self._do(rows.waiting))
                if self._acknowledged or self._returned:
                    self.settle([], [])

    def _stir(self, queues: set[str] | None = None) -> None:
        for subscription in self._subscriptions:
            if queues is None or subscription.queue in queues:
                subscription.stir()

    async def _do(self, job: Job[Outcome], fault: type[BrokerDown] = BrokerDown) -> Outcome:
        if self._thread is None:
            raise BrokerDown("not open")
        try:
            outcome: Outcome = await self._thread.do(job)
        except StoreDown as error:
            raise fault(error.detail) from error
        return outcome


def _perform(connection: sqlite3.Connection, jobs: Sequence[Job[object]]) -> list[object]:
    """All jobs in one transaction; one that the port refuses fails alone, before it has written anything."""
    connection.execute("BEGIN IMMEDIATE")
    outcomes = [_outcome(connection, job) for job in jobs]
    connection.execute("COMMIT")
    return outcomes


def _outcome(connection: sqlite3.Connection, job: Job[object]) -> object:
    try:
        return job(connection)
    except MessagingError as error:
        return error
