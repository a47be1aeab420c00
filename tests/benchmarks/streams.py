"""(g) Event streams: what one costs, how soon it tells, and how soon all are back after a kill -9 of the gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.codec import to_document
from messaging_service.application.collections import ALL, THREADS
from messaging_service.application.feed import Feed
from messaging_service.application.patients import Patients
from messaging_service.application.threads import StoredThread
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.message import Identifier
from tests.benchmarks.children import child, script
from tests.benchmarks.figures import Figure
from tests.benchmarks.stream_clients import Plan
from tests.benchmarks.system import TENANT, environment, free_port, gateway_at, hospital

_AIM_SECONDS = 10
_A_SECOND = 100
"""So many events are written a second."""


class Writer:
    """Writes events into patients' feeds, as the notify step does."""

    def __init__(self, folder: Path) -> None:
        self._store = SqliteDocuments(folder / "documents.sqlite")
        self._keyring = folder / "keyring.json"
        self._people: list[tuple[str, str]] = []
        self.written: dict[str, float] = {}

    async def open(self, patients: int) -> None:
        """So many patients, each with a thread."""
        await self._store.open(ALL)
        known = Patients(self._store, Keyring.load(self._keyring))
        for start in range(0, patients, 250):
            numbers = range(start, min(start + 250, patients))
            made = await asyncio.gather(
                *(known.ensure(TENANT, (Identifier("local", _number(n)),), "P. de Vries") for n in numbers)
            )
            ids = [(patient.id, f"{n:026}") for n, patient in zip(numbers, made, strict=True)]
            threads = [StoredThread.opened(thread, TENANT, patient, 1, private=False) for patient, thread in ids]
            await self._store.insert(THREADS, [to_document(thread) for thread in threads])
            self._people += ids

    async def write(self, events: int) -> None:
        """So many, each for the next patient, evenly."""
        feed, begun = Feed(self._store), time.monotonic()
        for n in range(events):
            patient, thread = self._people[len(self.written) % len(self._people)]
            message, now = f"M{len(self.written):025}", time.time_ns() // 1_000_000
            told = {"tenant": TENANT, "type": "message.filed", "message": message, "thread": thread, "at": now}
            await feed.add(patient, f"{message}.filed", **told, now=now)  # type: ignore[arg-type]
            self.written[message] = time.monotonic()
            await asyncio.sleep(max(0.0, begun + (n + 1) / _A_SECOND - time.monotonic()))

    async def close(self) -> None:
        await self._store.close()


def measure(folder: Path, streams: int, events: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """`events` while all listen, as many while the gateway is gone, and as many again when all are back."""
    issuer = hospital(folder)
    settings = environment(folder, issuer, f"embedded:{folder}/queue.sqlite", f"sqlite:{folder}/documents.sqlite")
    tokens = [issuer.token(f"patient-{n}", name="P. de Vries", patient_number=_number(n)) for n in range(streams)]
    port, plan = free_port(), folder / "streams.json"
    plan.write_bytes(msgspec.json.encode(Plan("127.0.0.1", port, tokens, events, 3 * events)))
    with asyncio.Runner() as runner:
        writer = Writer(folder)
        runner.run(writer.open(streams))
        try:
            yield from _measured(runner, writer, folder, settings, port, plan, streams, events, say)
        finally:
            runner.run(writer.close())


def _measured(
    runner: asyncio.Runner,
    writer: Writer,
    folder: Path,
    settings: dict[str, str],
    port: int,
    plan: Path,
    streams: int,
    events: int,
    say: Callable[[str], None],
) -> Iterator[Figure]:
    named = f"{streams:,} streams"
    with gateway_at(port, folder, "gateway", settings) as first:
        alone, spent = first.resident_mb, first.cpu_seconds
        with child("streams", script("stream_clients", str(plan)), {}, folder) as clients:
            seconds = clients.says()["seconds"]
            say(f"{named} open after {seconds:.1f} s")
            yield Figure("g", f"{named}: memory of one", 1000 * (first.resident_mb - alone) / streams, "kB")
            yield Figure("g", f"{named}: processor time to open one", 1e6 * (first.cpu_seconds - spent) / streams, "µs")
            runner.run(writer.write(events))
            taken = _taken(writer, clients.says()["heard"])
            yield Figure("g", f"{named}: from written to heard, p50", taken[len(taken) // 2], "ms")
            yield Figure("g", f"{named}: from written to heard, p99", taken[len(taken) * 99 // 100], "ms")
            first.kill()
            runner.run(writer.write(events))
            begun = time.monotonic()
            with gateway_at(port, folder, "gateway-again", settings) as again:
                serves = time.monotonic()
                back = clients.says()
                say(f"served after {serves - begun:.1f} s; first back {back['first'] - begun:.1f} s after its start")
                yield Figure("g", f"{named}: all back after a restart", back["last"] - begun, "s", _AIM_SECONDS, True)
                spent = 1e6 * again.cpu_seconds / streams
                yield Figure("g", f"{named}: processor time until back", spent, "µs/stream")
                runner.run(writer.write(events))
                heard = clients.says()
    missed = len(writer.written.keys() - heard["heard"].keys())
    yield Figure("g", f"{named}: events missed", missed + heard["repeated"] + heard["reset"], "", 0, True)


def _taken(writer: Writer, heard: dict[str, float]) -> Sequence[float]:
    return sorted(1000 * (at - writer.written[message]) for message, at in heard.items())


def _number(patient: int) -> str:
    return str(100_000 + patient)
