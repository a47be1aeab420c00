"""(e) Filing into an EPD that takes its time, over 1, 4 and 16 connections, beside PyPI hl7's bare round trips."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvloop
from hl7.mllp import open_hl7_connection

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.mllp import MllpPool
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.changes import Changes
from messaging_service.application.codec import to_document
from messaging_service.application.collections import ALL, FILINGS
from messaging_service.application.compose import Compose
from messaging_service.application.file import EpdLine, File
from messaging_service.application.threads import StoredMessage
from messaging_service.bootstrap import epd_pool
from messaging_service.config import load_tenants
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.filing import Attempt, Filing, FilingState
from messaging_service.domain.message import Lane
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.render import DocumentTemplate
from messaging_service.tenants import Tenant
from tests.benchmarks.alone import DOCUMENT
from tests.benchmarks.children import child, script
from tests.benchmarks.figures import Figure
from tests.benchmarks.filing import Peer
from tests.benchmarks.system import TENANT, TEXT, Ground
from tests.parts.faulty import FaultyBroker, FaultyStore
from tests.parts.service import MovedClock, Service, enveloped, persisted_event
from workers.file import at_once

SECONDS = (0.0, 0.05, 0.3, 1.0)
CONNECTIONS = (1, 4, 16)
_AIM = 0.7
_MOST_A_SECOND = 700
"""More than the file step of one process files: so many messages are made for a round."""
_MADE_AT_ONCE = 100


def measure(on: Ground, window: float, seconds: tuple[float, ...], say: Callable[[str], None]) -> Iterator[Figure]:
    """Each for `window` seconds: bare round trips, our connection alone, the file step of one process on SQLite.

    Half an answer longer, so that no round of answers is cut in two.
    """
    for each in seconds:
        answers = f"EPD answers after {1000 * each:.0f} ms" if each else "EPD answers at once"
        with child(f"epd-{each}", script("ack_peer", str(each)), {}, on.folder) as process:
            peer = Peer(process)
            filed_by_one = 0.0
            for connections in CONNECTIONS:
                rates = uvloop.run(_rates(on, peer.port, each, connections, window + each / 2))
                filed_by_one = filed_by_one or rates.filed
                what = f"{answers}, {connections} connection{'s' * (connections > 1)}"
                say(f"{what}: {', '.join(f'{name} {rate:.1f}/s' for name, rate in rates._asdict().items() if rate)}")
                yield from _figures(what, rates)
                if connections > 1:
                    share = rates.filed / (connections * filed_by_one)
                    yield Figure("e", f"{what}: filed / connections × filed over 1", share, "×")
            peer.close()


class Rates(NamedTuple):
    """A second: bare round trips, our connection alone, that between two durable writes (0: not measured), filed."""

    bare: float
    exchanged: float
    proved: float
    filed: float


def _figures(what: str, rates: Rates) -> Iterator[Figure]:
    yield Figure("e", f"{what}: filed", rates.filed, "messages/s")
    yield Figure("e", f"{what}: our connection / bare", rates.exchanged / rates.bare, "×", aim=_AIM)
    yield Figure("e", f"{what}: filed / bare", rates.filed / rates.bare, "×", aim=_AIM)
    if rates.proved:
        yield Figure("e", f"{what}: intent, round trip, answer", rates.proved, "messages/s")
        yield Figure("e", f"{what}: filed / intent, round trip, answer", rates.filed / rates.proved, "×")


async def _rates(on: Ground, port: int, seconds: float, connections: int, window: float) -> Rates:
    bare, proved = await _bare(port, connections, window), 0.0
    async with _pool(on, port, connections) as (tenant, pool):
        exchanged = await _exchanged(pool, connections, window)
        if not seconds:
            async with _service(on.folder, tenant) as service:
                proved = await _proved(service, tenant, pool, connections, window)
    async with _pool(on, port, connections) as (tenant, pool), _service(on.folder, tenant) as service:
        most = min(connections / seconds, _MOST_A_SECOND) if seconds else _MOST_A_SECOND
        filed = await _filed(service, tenant, pool, connections, window, int(1.2 * window * most) + 1)
        return Rates(bare, exchanged, proved, filed)


async def _bare(port: int, connections: int, window: float) -> float:
    frame = DocumentTemplate.compile(EpdProfile()).render(DOCUMENT)
    streams = [await open_hl7_connection("127.0.0.1", port, limit=1_000_000) for _ in range(connections)]

    async def one(number: int) -> None:
        reader, writer = streams[number]
        writer.writeblock(frame)
        await writer.drain()
        await reader.readblock()

    rate = await _repeated(one, connections, window)
    for _, writer in streams:
        writer.close()
    return rate


async def _exchanged(pool: MllpPool, connections: int, window: float) -> float:
    frame = DocumentTemplate.compile(EpdProfile()).render(DOCUMENT)
    return await _repeated(
        lambda number: pool.exchange(frame, DOCUMENT.control_id, str(number), False), connections, window
    )


async def _proved(service: Service, tenant: Tenant, pool: MllpPool, connections: int, window: float) -> float:
    """The floor of what is promised: an intent that is durable before a round trip, and its answer after it."""
    frame, ids = DocumentTemplate.compile(EpdProfile()).render(DOCUMENT), count()

    async def one(number: int) -> None:
        filing = Filing.waiting(f"floor-{next(ids)}", tenant.id, Lane.NORMAL, 0)
        await service.store.insert(FILINGS, [to_document(filing)])  # the persist step's share

        async def write_down() -> None:
            nonlocal filing
            filing = await service.threads.change(filing.sending(0))

        await pool.exchange(frame, DOCUMENT.control_id, str(number), False, write_down)
        sent = filing.attempts[-1]
        answered = Attempt(sent.control_id, 0, "AA", "", sent.control_id, 0, "digest")
        await service.threads.change(filing.answered(answered, FilingState.FILED))

    return await _repeated(one, at_once(connections), window)


async def _repeated(one: Callable[[int], Awaitable[object]], at_once: int, window: float) -> float:
    """How often a second, so many at once, until `window` seconds are over."""
    begun = time.perf_counter()
    ends: list[float] = []

    async def again_and_again(number: int) -> None:
        while time.perf_counter() < begun + window:
            await one(number)
            ends.append(time.perf_counter())

    await asyncio.gather(*(again_and_again(number) for number in range(at_once)))
    return _steady(ends, at_once)


def _steady(ends: list[float], first: int) -> float:
    """How many a second once the first ones are through, so that no start-up is counted."""
    return (len(ends) - first) / (ends[-1] - ends[first - 1]) if len(ends) > first else 0.0


async def _filed(service: Service, tenant: Tenant, pool: MllpPool, connections: int, window: float, most: int) -> float:
    file = File(
        lines={tenant.id: EpdLine(tenant, pool, DocumentTemplate.compile(tenant.epd.profile))},
        compose=Compose(service.patients, service.threads),
        threads=service.threads,
        changes=Changes(service.store),
        access_log=service.access_log,
        alerts=service.alerts,
        meter=service.meter,
        clock=service.clock,
    )
    backlog = iter(await _persisted(service, most))
    begun, ends = time.perf_counter(), list[float]()

    async def next_ones() -> None:
        message: StoredMessage | None
        while time.perf_counter() < begun + window and (message := next(backlog, None)) is not None:
            await file(enveloped(persisted_event(message)))
            ends.append(time.perf_counter())

    await asyncio.gather(*(next_ones() for _ in range(at_once(connections))))
    # what is left in hand after the window is no backlog any more; unless nothing else was done in time
    return _steady([end for end in ends if end <= begun + window], connections) or _steady(ends, connections)


async def _persisted(service: Service, most: int) -> list[StoredMessage]:
    """Each of a patient of its own; many at once, so that they share commits."""
    found: list[StoredMessage] = []
    for first in range(0, most, _MADE_AT_ONCE):
        numbers = range(first, min(first + _MADE_AT_ONCE, most))
        found += await asyncio.gather(*(service.persisted(patient=str(1000 + n), text=TEXT) for n in numbers))
    return found


@asynccontextmanager
async def _pool(on: Ground, port: int, connections: int) -> AsyncIterator[tuple[Tenant, MllpPool]]:
    shipped = load_tenants(on.folder / "tenants", on.environment("", port))[TENANT]
    tenant = msgspec.structs.replace(shipped, epd=msgspec.structs.replace(shipped.epd, connections=connections))
    pool = epd_pool(tenant.epd)
    try:
        yield tenant, pool
    finally:
        await pool.close()


@asynccontextmanager
async def _service(folder: Path, tenant: Tenant) -> AsyncIterator[Service]:
    """The parts over a store of their own."""
    own = folder / f"files-{time.monotonic_ns()}"
    own.mkdir()
    store: Any = FaultyStore(SqliteDocuments(own / "documents.sqlite"))
    await store.open(ALL)
    try:
        broker = FaultyBroker(EmbeddedBroker(own / "queue.sqlite"))
        keyring = Keyring.create(own / "keyring.json", [tenant.id])
        yield Service(store, broker, {tenant.id: tenant}, keyring, MovedClock())
    finally:
        await store.close()
