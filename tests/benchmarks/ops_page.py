"""How long the operations page takes to load with much stored and much queued: python -m tests.benchmarks.ops_page

Embedded: SQLite for store and queue, gateway and workers in one process, the EPD down. What a load asks for is asked
over HTTP in a browser's order: page and files, the overview, the day.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import tempfile
import time
from pathlib import Path

from messaging_service.application.codec import outgoing, to_document
from messaging_service.application.collections import FILINGS, MESSAGES
from messaging_service.application.threads import StoredMessage
from messaging_service.application.topology import PARK_DEAD, file_queue
from messaging_service.domain.events import MessagePersisted
from messaging_service.domain.filing import Filing, FilingState
from messaging_service.domain.message import Lane
from messaging_service.domain.roles import Role, Scope
from tests.contract.http_service import HttpService, http_service

TENANT, SEALED, BATCH = "spijkenisse", secrets.token_bytes(600), 5_000


def message(id: str, at: int) -> StoredMessage:
    """A message that opens a thread of its own."""
    return StoredMessage(
        id=id,
        tenant=TENANT,
        patient=id,
        thread=id,
        place=1,
        lane=Lane.NORMAL,
        care_team="cardiology",
        department="",
        routed_by="relation",
        reply_by="2026-12-01",
        accepted_at=at,
        persisted_at=at,
        run="run",
        number=1,
        sealed=SEALED,
    )


async def fill(service: HttpService, messages: int, queued: int) -> None:
    """So many messages stored, so many of them still on the way into the EPD."""
    store, began = service.parts.store, service.parts.clock() - messages
    for start in range(0, messages, BATCH):
        numbers = range(start, min(start + BATCH, messages))
        ids = [f"{number:026}" for number in numbers]
        await store.insert(MESSAGES, [to_document(message(id, began + int(id))) for id in ids])
        states = [FilingState.WAITING if number >= messages - queued else FilingState.FILED for number in numbers]
        filings = zip(ids, states, strict=True)
        await store.insert(
            FILINGS, [to_document(Filing(id, TENANT, Lane.NORMAL, began + int(id), state)) for id, state in filings]
        )


async def enqueue(service: HttpService, number: int) -> None:
    """One that nobody takes: in the queue that has no worker."""
    id = f"{number:026}"
    event = MessagePersisted(id, TENANT, id, Lane.NORMAL, service.parts.clock())
    follows = outgoing(file_queue(TENANT, Lane.NORMAL), event)
    await service.parts.broker.publish(PARK_DEAD, follows.envelope)


async def enqueue_all(service: HttpService, messages: int, queued: int) -> None:
    """The last ones stored, in their order; many at once, as the broker batches them."""
    for start in range(messages - queued, messages, 500):
        await asyncio.gather(*(enqueue(service, number) for number in range(start, min(start + 500, messages))))


def load(service: HttpService, token: str) -> dict[str, float]:
    """Milliseconds of each part of one load."""
    parts = {"files": ("/ops", "/ops/style.css", "/ops/main.js", "/ops/overview.js", "/ops/words.js")}
    parts |= {"overview": ("/v1/ops/overview",), "day": ("/v1/ops/day",)}
    took = {}
    for name, paths in parts.items():
        began = time.perf_counter()
        for path in paths:
            assert service.send("GET", path, token=token).status == 200
        took[name] = 1000 * (time.perf_counter() - began)
    return took


def main() -> None:
    """Fill, load twenty times, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--messages", type=int, default=1_000_000)
    options.add_argument("--queued", type=int, default=100_000)
    options.add_argument("--loads", type=int, default=20)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, http_service(Path(folder)) as service:
        service.be("down")
        for work in (fill(service, asked.messages, asked.queued), enqueue_all(service, asked.messages, asked.queued)):
            asyncio.run_coroutine_threadsafe(work, service.loop).result()
        token = service.staff_token(Role.OPS, Scope.READ_OPERATIONS)
        loads = [load(service, token) for _ in range(asked.loads)]
        whole = sorted(sum(one.values()) for one in loads)
        print(f"{asked.messages:,} stored, {asked.queued:,} queued, {asked.loads} loads, milliseconds")
        for name in loads[0]:
            print(f"{name:9} median {statistics.median(one[name] for one in loads):6.1f}")
        print(f"{'whole':9} median {statistics.median(whole):6.1f}  worst {whole[-1]:6.1f}")


if __name__ == "__main__":
    main()
