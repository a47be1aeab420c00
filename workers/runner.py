"""The loop of every worker: consume, do, publish what follows and wait for the confirms, only then acknowledge.

A server's fault opens the circuit of the queue: what is in hand goes back uncounted, one alert goes out, and nothing is
taken until the server answers again. A message's own fault sends that message, alone, up the delay ladder and then to
the park step.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from messaging_service.application.alerts import Alerts
from messaging_service.application.ports import Broker, Delivery, Meter, Traces
from messaging_service.domain.errors import BrokerDown, ServerFault, StoreDown
from workers.settling import Handler, Settling
from workers.tracing import TracedSettling

log = structlog.get_logger()

_FIRST_PAUSE = 0.5
_TRIAL_SECONDS = 5.0
"""A trial that finds nothing to try within this time ends well: the probe had passed."""


@dataclass(frozen=True, slots=True)
class Station:
    """A queue, what is done with its messages, and how many at once.

    `probe` raises ServerFault while the server this step needs is down. `concerns` says whose server that is, for
    the alert: a tenant, or "" for a server that all share. `longest_pause` bounds the seconds between two probes.
    """

    queue: str
    handler: Handler
    prefetch: int
    probe: Callable[[], Awaitable[None]]
    concerns: str = ""
    longest_pause: float = 30.0


class Runner:
    """Runs one station until `stop` is set, then finishes what is in hand."""

    def __init__(
        self,
        station: Station,
        *,
        broker: Broker,
        alerts: Alerts,
        meter: Meter,
        ladder_ms: Sequence[int],
        stop: asyncio.Event,
        traces: Traces | None = None,
    ) -> None:
        """`traces` None: nothing is traced."""
        self._station = station
        self._settling = (
            Settling(station.queue, broker, ladder_ms)
            if traces is None
            else TracedSettling(station.queue, broker, ladder_ms, traces)
        )
        self._broker = broker
        self._alerts = alerts
        self._meter = meter
        self._stop = stop
        self._halt = asyncio.Event()
        self._fault: ServerFault | None = None
        self._open = False
        self._begun: set[str] = set()
        self._pause = _FIRST_PAUSE

    async def run(self) -> None:
        """Returns when `stop` is set and nothing is in hand."""
        while not self._stop.is_set():
            await self._consume(self._station.prefetch)
            while self._fault is not None and not self._stop.is_set():
                await self._open_circuit(self._fault)
                if await self._server_is_back():
                    await self._consume(1, trial=True)
            await self._close_circuit()

    async def _consume(self, prefetch: int, *, trial: bool = False) -> None:
        """Take deliveries until the stop, a server's fault or, in a trial, the first that is handled."""
        self._fault = None
        self._halt.clear()
        crew = Crew(prefetch, self._halt.set)
        try:
            async with self._broker.consume(self._station.queue, prefetch) as deliveries:
                crew.start(deliveries, self._try_one if trial else self._handle)
                try:
                    await self._halted(_TRIAL_SECONDS if trial else None)
                finally:
                    await crew.finish()
        except BrokerDown as fault:
            self._fault = fault

    async def _halted(self, seconds: float | None) -> None:
        waits = [asyncio.create_task(event.wait()) for event in (self._stop, self._halt)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _try_one(self, delivery: Delivery) -> None:
        """One that waits for its predecessor or is given up without being sent says nothing about the server."""
        if await self._settle(delivery) not in ("deferred", "parked"):
            self._halt.set()

    async def _handle(self, delivery: Delivery) -> None:
        await self._settle(delivery)

    async def _settle(self, delivery: Delivery) -> str:
        try:
            outcome = await self._settling.settle(delivery, self._station.handler)
        except ServerFault as fault:
            self._fault = fault
            self._halt.set()
            outcome = "given_back"
        self._meter.handled(self._station.queue, outcome)
        return outcome

    async def _open_circuit(self, fault: ServerFault) -> None:
        if not self._open:
            self._open = True
            self._meter.circuit(self._station.queue, True)
            log.warning("circuit_open", queue=self._station.queue, server=fault.server)
        await self._tell(fault)

    async def _tell(self, fault: ServerFault) -> None:
        """Store and broker are everybody's, the other servers one tenant's."""
        shared = isinstance(fault, StoreDown | BrokerDown)
        alert = f"{fault.server}-down {'' if shared else self._station.concerns}".strip()
        self._begun.add(alert)
        await self._alerts.begin(alert, str(fault))

    async def _close_circuit(self) -> None:
        """A stop closes it as well, but only a server that is back is said to be."""
        self._pause = _FIRST_PAUSE
        if not self._open:
            return
        self._open = False
        self._meter.circuit(self._station.queue, False)
        begun, self._begun = self._begun, set()
        if self._fault is None:
            log.warning("circuit_closed", queue=self._station.queue)
            for alert in sorted(begun):
                await self._alerts.end(alert, f"{alert}: back")

    async def _server_is_back(self) -> bool:
        """Wait until a probe succeeds; False when the stop comes first."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            if self._stop.is_set():
                return False
            self._pause = min(self._pause * 2, self._station.longest_pause)
            try:
                await self._station.probe()
            except ServerFault as fault:
                await self._tell(fault)
            else:
                return True


class Crew:
    """So many tasks over one iterator of deliveries; the idle ones can be sent home.

    One that ends by itself calls `lost`: with the iterator or the work failing, the others would fall silent too.
    """

    def __init__(self, size: int, lost: Callable[[], None]) -> None:
        self._size = size
        self._lost = lost
        self._tasks: list[asyncio.Task[None]] = []
        self._idle: set[asyncio.Task[None]] = set()
        self._finishing = False

    def start(self, deliveries: AsyncIterator[Delivery], handle: Callable[[Delivery], Awaitable[None]]) -> None:
        """Everybody begins."""
        self._tasks = [asyncio.create_task(self._work(deliveries, handle)) for _ in range(self._size)]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._lost())

    async def _work(self, deliveries: AsyncIterator[Delivery], handle: Callable[[Delivery], Awaitable[None]]) -> None:
        me = asyncio.current_task()
        assert me is not None
        while not self._finishing:
            self._idle.add(me)
            try:
                delivery = await anext(deliveries)
            except StopAsyncIteration:
                return
            finally:
                self._idle.discard(me)
            await handle(delivery)

    async def finish(self) -> None:
        """Who waits for work stops at once; who works finishes that one. An error in the crew is raised here."""
        self._finishing = True
        for task in list(self._idle):
            task.cancel()
        done = await asyncio.gather(*self._tasks, return_exceptions=True)
        for problem in done:
            if isinstance(problem, Exception):
                raise problem
