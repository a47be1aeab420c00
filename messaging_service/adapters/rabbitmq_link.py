"""One connection to RabbitMQ, opened on demand, never waited for longer than its time-out.

A plain connection and not aio-pika's robust one: that one may hang while it is down (aio-pika #556, #636) and
answers passive declares from memory.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.connection import make_url
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity

from messaging_service.domain.errors import BrokerDown, QueueMissing

HEARTBEAT_SECONDS = 10
"""A silent connection is given up after three of these."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between attempts to connect; each failure doubles the pause, less up to half of it at random."""

_DRIVER = ("aio_pika", "aiormq")
"""They log each failed attempt to connect; it is raised here as well, and said once by who waits for the broker."""


@asynccontextmanager
async def answering(seconds: float | None) -> AsyncIterator[None]:
    """Turn whatever the driver raises within into the port's errors, and silence beyond `seconds`, too.

    The driver ends calls on a lost connection with CancelledError although nobody cancelled the caller, and
    with bare Exception; only a cancellation that was asked of the running task stays one.

    Raises:
        QueueMissing: the broker knows no such queue or exchange.
        BrokerDown: anything else that is wrong between here and the broker.
    """
    asked = cancellations()
    try:
        async with asyncio.timeout(seconds):
            yield
    except asyncio.CancelledError as error:
        if cancellations() > asked:
            raise
        raise BrokerDown("the connection was lost") from error
    except TimeoutError as error:
        raise BrokerDown(f"no answer within {seconds} s") from error
    except ChannelNotFoundEntity as error:
        raise QueueMissing(str(error)) from error
    except Exception as error:
        if not is_driver_error(error):
            raise
        raise BrokerDown(f"{type(error).__name__}: {error}") from error


def is_driver_error(error: Exception) -> bool:
    """Whether the driver means the connection; bare Exception ends calls when the server hangs up."""
    return type(error) is Exception or isinstance(error, CONNECTION_EXCEPTIONS)


def cancellations() -> int:
    """How often somebody asked the running task to cancel."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


class Link:
    """At most one connection at a time. After a failure, calls fail at once until the next attempt is due."""

    def __init__(self, url: str, name: str, connect_timeout: float, tls: ssl.SSLContext | None) -> None:
        """`name` is what operators see in the broker's list of connections; `connect_timeout` in seconds."""
        for driver in _DRIVER:
            logging.getLogger(driver).setLevel(logging.CRITICAL)
        self._url = url
        self._name = name
        self._tls = tls
        self.connect_timeout = connect_timeout
        self._connection: AbstractConnection | None = None
        self._attempt: asyncio.Task[AbstractConnection] | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._due = 0.0
        self._closing = asyncio.Event()

    async def channel(self) -> AbstractChannel:
        """A fresh channel with confirms.

        Raises:
            BrokerDown: no connection, or no answer within the connect time-out.
        """
        connection = await self._connected()
        async with answering(self.connect_timeout):
            channel = connection.channel(publisher_confirms=True, on_return_raises=True)
            await channel.initialize()
            return channel

    def pause(self) -> float:
        """Seconds until the next attempt to connect is due."""
        return max(self._due - asyncio.get_running_loop().time(), FIRST_PAUSE / 10)

    def blocked(self) -> bool:
        """Whether the broker told this connection to stop publishing (memory or disk alarm).

        The driver tells it only as a coroutine that is done at once unless blocked; one step of it answers.
        """
        if self._connection is None or self._connection.transport is None:
            return False
        ready = self._connection.transport.connection.ready()
        try:
            ready.send(None)
        except StopIteration:
            return False
        ready.close()
        return True

    def retire(self, grace: float) -> None:
        """Use a new connection from now on; the present one has `grace` seconds for what is under way."""
        if self._connection is not None:
            self._let_go(self._connection, grace)
            self._connection = None

    def retire_channel(self, channel: AbstractChannel, grace: float) -> None:
        """This channel has `grace` seconds for what is under way on it."""
        self._let_go(channel, grace)

    async def close(self) -> None:
        """Close every connection, retired ones too."""
        self._closing.set()
        if self._attempt is not None:
            self._abandon(self._attempt)
        self.retire(0)
        await asyncio.gather(*self._background)

    async def _connected(self) -> AbstractConnection:
        if self._connection is not None:
            if self._connection.connected.is_set():
                return self._connection
            self.retire(0)
        if self._closing.is_set():
            raise BrokerDown("this broker is closed")
        attempt = self._attempt or self._begin()
        await asyncio.wait({attempt}, timeout=self.connect_timeout)
        if not attempt.done():
            self._abandon(attempt)
        if attempt.done() and not attempt.cancelled():
            return attempt.result()
        raise BrokerDown(f"no connection within {self.connect_timeout} s")

    def _begin(self) -> asyncio.Task[AbstractConnection]:
        if asyncio.get_running_loop().time() < self._due:
            raise BrokerDown("the last attempt to connect failed just now")
        self._attempt = asyncio.create_task(self._connect())
        self._attempt.add_done_callback(self._ended)
        return self._attempt

    async def _connect(self) -> AbstractConnection:
        """One that failed is closed here: the driver leaves it to the collector, in whichever thread that runs."""
        connection = aio_pika.Connection(
            make_url(self._url, heartbeat=HEARTBEAT_SECONDS),
            ssl_context=self._tls,
            client_properties={"connection_name": self._name},
        )
        try:
            async with answering(2 * self.connect_timeout):
                await connection.connect()
        except BaseException:
            await connection.close()
            raise
        return connection

    def _ended(self, attempt: asyncio.Task[AbstractConnection]) -> None:
        good = not attempt.cancelled() and attempt.exception() is None
        if self._attempt is not attempt or self._closing.is_set():
            if good:
                self._let_go(attempt.result(), 0)
            return
        self._attempt = None
        if good:
            self._connection, self._failures, self._due = attempt.result(), 0, 0.0
        else:
            self._postpone()

    def _abandon(self, attempt: asyncio.Task[AbstractConnection]) -> None:
        """Wait no longer for an attempt; should it succeed all the same, its connection is closed."""
        attempt.cancel()
        if self._attempt is attempt:
            self._attempt = None
            self._postpone()

    def _postpone(self) -> None:
        pause = min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 10)
        self._due = asyncio.get_running_loop().time() + pause * random.uniform(0.5, 1)  # noqa: S311 - jitter

    def _let_go(self, retired: AbstractConnection | AbstractChannel, grace: float) -> None:
        task = asyncio.create_task(self._close_later(retired, grace))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _close_later(self, retired: AbstractConnection | AbstractChannel, grace: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), grace)
        with suppress(BrokerDown):  # what cannot be closed in order is lost already
            async with answering(HEARTBEAT_SECONDS):
                await retired.close()
