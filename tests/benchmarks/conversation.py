"""Lists and search of one patient among many messages of the same hospital: does it matter how many there are?"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.collections import ALL
from messaging_service.application.search import EVERYTHING, Search
from messaging_service.application.topology import topology
from messaging_service.config import load_tenants
from messaging_service.crypto.keyring import Keyring
from messaging_service.tenants import AccountRules, Tenant
from tests.benchmarks.figures import Figure
from tests.benchmarks.system import environment, hospital
from tests.parts.conversation import answered, patient, wrote
from tests.parts.faulty import FaultyBroker, FaultyStore
from tests.parts.many import fill
from tests.parts.service import LADDER_MS, START, MovedClock, Service

_FEWER, _FEWEST = 1_000, 40
"""So many times fewer are there at first, but so many at least."""
_THREADS, _IN_EACH = 20, 4


def measure(folder: Path, many: int, repeats: int, tell: Callable[[str], None]) -> Iterator[Figure]:
    """p99 of each question among few messages, then among `many`; the same patient, store (SQLite) and process."""
    yield from asyncio.run(_measure(folder, many, repeats, tell))


async def _measure(folder: Path, many: int, repeats: int, tell: Callable[[str], None]) -> list[Figure]:
    set_to = environment(folder, hospital(folder), "", "")
    tenants = {id: _open(tenant) for id, tenant in load_tenants(folder / "tenants", set_to).items()}
    service, close = await _service(folder, tenants)
    few = max(_FEWEST, many // _FEWER)
    threads = [await wrote(service, subject="Naald" if number == 0 else "Vraag") for number in range(_THREADS)]
    for thread in threads:
        for _ in range(_IN_EACH - 1):
            await answered(service, thread)
    await fill(service.store, few, START)
    before = await _timed(service, threads[-1], repeats)
    tell(f"measured among {few:,} messages")
    await fill(service.store, many, START, "y")
    tell(f"{many:,} messages more are there")
    after = await _timed(service, threads[-1], repeats)
    await close()
    return [
        figure
        for ask in before
        for figure in (
            Figure("h", f"{ask}, p99 among {few:,} messages", before[ask], "ms"),
            Figure("h", f"{ask}, p99 among {many:,}", after[ask], "ms"),
        )
    ]


async def _service(folder: Path, tenants: dict[str, Tenant]) -> tuple[Service, Callable[[], Awaitable[None]]]:
    store = FaultyStore(SqliteDocuments(folder / "conversation.sqlite"))
    await store.open(ALL)
    broker = FaultyBroker(EmbeddedBroker(folder / "queue.sqlite"))
    await broker.open()
    await broker.declare(topology(tenants, LADDER_MS))
    keyring = Keyring.create(folder / "conversation-keyring.json", list(tenants))

    async def close() -> None:
        await broker.close()
        await store.close()

    return Service(store, broker, tenants, keyring, MovedClock(START)), close


def _open(tenant: Tenant) -> Tenant:
    """Whoever logs in first has an account, with no terms to accept."""
    return msgspec.structs.replace(tenant, accounts=AccountRules(), terms=())


async def _timed(service: Service, thread: str, repeats: int) -> dict[str, float]:
    who = patient(service)
    questions: dict[str, Callable[[], Awaitable[Any]]] = {
        "list of 20 threads": lambda: service.reader.search(who, EVERYTHING, below=None, limit=20),
        "search by subject": lambda: service.reader.search(who, Search(subject="naald"), below=None, limit=20),
        "one thread": lambda: service.reader.thread(who, thread),
    }
    return {name: await _p99(question, repeats) for name, question in questions.items()}


async def _p99(question: Callable[[], Awaitable[Any]], repeats: int) -> float:
    took = []
    for _ in range(repeats):
        began = time.perf_counter()
        await question()
        took.append(1000 * (time.perf_counter() - began))
    return sorted(took)[math.ceil(0.99 * len(took)) - 1]
