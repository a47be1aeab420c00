"""(e) Filing into an EPD that takes its time, over 1, 4 and 16 connections, beside PyPI hl7's bare round trips."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from hl7.mllp import open_hl7_connection

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.mllp import MllpPool
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.changes import Changes
from messaging_service.application.collections import ALL
from messaging_service.application.compose import Compose
from messaging_service.application.file import EpdLine, File
from messaging_service.application.threads import StoredMessage
from messaging_service.bootstrap import epd_pool
from messaging_service.config import load_tenants
from messaging_service.crypto.keyring import Keyring
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
from workers.file import AT_ONCE_PER_CONNECTION

SECONDS = (0.0, 0.05, 0.3, 1.0)
CONNECTIONS = (1, 4, 16)
_AIM = 0.7
_MOST_A_SECOND = 350
"""More than the file step of one process files: so many messages are made for a round."""
_MADE_AT_ONCE = 100


def measure(on: Ground, window: float, seconds: tuple[float, ...], say: Callable[[str], None]) -> Iterator[Figure]:
    """Each for `window` seconds: bare round trips, our connection alone, the file step of one process on SQLite."""
    for each in seconds:
        answers = f"EPD answers after {1000 * each:.0f} ms" if each else "EPD answers at once"
        with child(f"epd-{each}", script("ack_peer", str(each)), {}, on.folder) as process:
            peer = Peer(process)
            filed_by_one = 0.0
            for connections in CONNECTIONS:
                bare, exchanged, filed = uvloop.run(_rates(on, peer.port, each, connections, window))
                filed_by_one = filed_by_one or filed
                what = f"{answers}, {connections} connection{'s' * (connections > 1)}"
                say(f"{what}: bare {bare:.1f}/s, our connection {exchanged:.1f}/s, filed {filed:.1f}/s")
                yield Figure("e", f"{what}: filed", filed, "messages/s")
                yield Figure("e", f"{what}: our connection / bare", exchanged / bare, "×", aim=_AIM)
                yield Figure("e", f"{what}: filed / bare", filed / bare, "×", aim=_AIM)
                if connections > 1:
                    share = filed / (connections * filed_by_one)
                    yield Figure("e", f"{what}: filed / connections × filed over 1", share, "×")
            peer.close()


async def _rates(on: Ground, port: int, seconds: float, connections: int, window: float) -> tuple[float, float, float]:
    bare = await _bare(port, connections, window)
    async with _pool(on, port, connections) as (tenant, pool):
        exchanged = await _exchanged(pool, connections, window)
    async with _pool(on, port, connections) as (tenant, pool), _service(on.folder, tenant) as service:
        most = min(connections / seconds, _MOST_A_SECOND) if seconds else _MOST_A_SECOND
        return bare, exchanged, await _filed(service, tenant, pool, connections, window, int(1.2 * window * most) + 1)


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
    frame, partitions = DocumentTemplate.compile(EpdProfile()).render(DOCUMENT), _partitions(pool, connections)
    return await _repeated(
        lambda number: pool.exchange(frame, DOCUMENT.control_id, partitions[number], False), connections, window
    )


def _partitions(pool: MllpPool, connections: int) -> list[str]:
    """A partition for each connection."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < connections:
        found.setdefault(id(pool.connection_of(str(number))), str(number))
        number += 1
    return list(found.values())


async def _repeated(one: Callable[[int], Awaitable[object]], connections: int, window: float) -> float:
    """How often a second, each connection by itself, until `window` seconds are over."""
    begun = time.perf_counter()
    ends: list[float] = []

    async def again_and_again(number: int) -> None:
        while time.perf_counter() < begun + window:
            await one(number)
            ends.append(time.perf_counter())

    await asyncio.gather(*(again_and_again(number) for number in range(connections)))
    return len(ends) / (max(ends) - begun)


async def _filed(
    service: Service, tenant: Tenant, pool: MllpPool, connections: int, window: float, count: int
) -> float:
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
    backlog = iter(await _persisted(service, count))
    begun, ends = time.perf_counter(), list[float]()

    async def next_ones() -> None:
        message: StoredMessage | None
        while time.perf_counter() < begun + window and (message := next(backlog, None)) is not None:
            await file(enveloped(persisted_event(message)))
            ends.append(time.perf_counter())

    await asyncio.gather(*(next_ones() for _ in range(AT_ONCE_PER_CONNECTION * connections)))
    # what is left in hand after the window is no backlog any more; when none was in time, the first one counts
    in_time = [end for end in ends if end <= begun + window] or [min(ends)]
    return len(in_time) / (max(in_time) - begun)


async def _persisted(service: Service, count: int) -> list[StoredMessage]:
    """Each of a patient of its own; many at once, so that they share commits."""
    found: list[StoredMessage] = []
    for first in range(0, count, _MADE_AT_ONCE):
        numbers = range(first, min(first + _MADE_AT_ONCE, count))
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
