"""A release goes on where the one before was stopped: its store, its queues and its keyring, as it left them.

And what it then writes has all that the samples of the one before have, so that one can go back.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from aiohttp import web

from deploy.sandbox.epd import SandboxEpd
from messaging_service.application.codec import from_document, outgoing, read_event
from messaging_service.application.collections import FILINGS
from messaging_service.bootstrap import Parts, open_parts
from messaging_service.bootstrap.operating import make_ledger
from messaging_service.config import Settings
from messaging_service.domain.events import Event
from messaging_service.domain.filing import Filing
from messaging_service.domain.message import Step
from tests.deployment.written import Documents, documents, envelopes, objects, relied_on
from workers.process import run_steps

ROOT = Path(__file__).parents[2]
SAMPLES = sorted(path for path in (ROOT / "contracts" / "samples").iterdir() if path.is_dir())
WAITING = {
    "0.1.0": {"Wacht op het dossier 0", "Wacht op het dossier 1", "Wacht op de opslag 0", "Wacht op de opslag 1"}
}
URGENT = "Drukkende pijn op de borst, uitstralend naar mijn arm"


def restored(sample: Path, folder: Path) -> Settings:
    """Settings of a service on a copy of what the release left."""
    for name in ("documents", "queue"):
        with sqlite3.connect(folder / f"{name}.sqlite") as connection:
            connection.executescript((sample / f"{name}.sql").read_text("utf-8"))
        connection.close()
    keyring = folder / "keyring.json"
    keyring.write_bytes((sample / "keyring.json").read_bytes())
    keyring.chmod(0o600)
    (folder / "jwks.json").write_text('{"keys": []}')
    return Settings(
        broker=f"embedded:{folder}/queue.sqlite",
        store=f"sqlite:{folder}/documents.sqlite",
        keyring=keyring,
        tenants=ROOT / "deploy" / "tenants",
        public_url="http://127.0.0.1:1",
    )


@asynccontextmanager
async def hospital(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[SandboxEpd, list[str]]]:
    """A sandbox EPD for both tenants, and their on-call system; the alarms that it took."""
    alarms: list[str] = []

    async def take(request: web.Request) -> web.Response:
        alarms.append(await request.text())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    epd = SandboxEpd()
    await epd.start()
    for tenant in ("SPIJKENISSE", "SEIN"):
        for name in ("ISSUER", "STAFF_ISSUER"):
            monkeypatch.setenv(f"{tenant}_{name}", f"https://{name}.{tenant}.invalid".lower())
            monkeypatch.setenv(f"{tenant}_{name.replace('ISSUER', 'JWKS')}", f"file:{folder}/jwks.json")
        monkeypatch.setenv(f"{tenant}_EPD", f"mllp://127.0.0.1:{epd.port}")
        monkeypatch.setenv(f"{tenant}_ON_CALL", f"http://127.0.0.1:{runner.addresses[0][1]}/")
        monkeypatch.setenv(f"{tenant}_ON_CALL_SECRET", "whsec_bm90IGEgc2VjcmV0IGF0IGFsbCwgYnV0IGxvbmcgZW5vdWdo")
    yield epd, alarms
    await epd.close()
    await runner.cleanup()


async def settled(parts: Parts) -> None:
    """Wait until the queues are empty and every filing has ended."""
    async with asyncio.timeout(60):
        while True:
            depths = await parts.broker.depths(parts.queues)
            waiting = await parts.store.count(FILINGS, "by_state", {"state": "waiting"})
            if not waiting and not any(depth.ready for name, depth in depths.items() if not name.startswith("park.")):
                return
            await asyncio.sleep(0.05)  # between two looks at a service that works by itself


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: str(path.name))
async def test_it_finishes_what_the_release_before_began(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every message that waited is filed once, the alarm rings, nothing is lost, and what was stored can be read."""
    settings = restored(sample, tmp_path)
    before = documents(tmp_path)
    async with hospital(tmp_path, monkeypatch) as (epd, alarms), open_parts(settings, "upgrade") as parts:
        stop = asyncio.Event()
        working = asyncio.create_task(run_steps(parts, list(Step), stop))
        try:
            await settled(parts)
        finally:
            stop.set()
            await working
        bodies = [document.body for document in epd.inbox.values()]
        assert sorted(bodies) == sorted([*WAITING[sample.name], URGENT])
        assert [document.count for document in epd.inbox.values()] == [1] * len(bodies)
        assert len(alarms) == 1
        assert (await make_ledger(parts).check()).lost == []
    after = documents(tmp_path)
    written = {key: document for key, document in after.items() if document != before.get(key)}
    assert {"messages", "filings", "threads", "alarms"} <= {collection for collection, _ in written}
    assert amiss(relied_on(before), written) == []


def amiss(known: dict[str, dict[str, set[type]]], written: Documents) -> list[str]:
    """The members that a reader of the release before relies on, and that are missing or of another type."""
    return sorted(
        f"{path}.{name}"
        for (collection, _), document in written.items()
        for path, each in objects(document, collection)
        for name, types in known.get(path, {}).items()
        if name not in each or type(each[name]) not in types
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: str(path.name))
def test_the_release_before_finds_its_events_in_todays(sample: Path, tmp_path: Path) -> None:
    """Each event in its queues, written by the present code: every member of it is there, with the same value."""
    restored(sample, tmp_path)
    kinds = {kind.__name__: kind for kind in get_args(Event)}
    waiting = envelopes(tmp_path)
    assert {envelope.kind for envelope in waiting} == {"MessageAccepted", "MessagePersisted"}
    for envelope in waiting:
        again = outgoing(str(envelope.headers["queue"]), read_event(envelope, kinds[envelope.kind])).envelope
        assert (again.message_id, again.kind, again.headers["queue"]) == (
            envelope.message_id,
            envelope.kind,
            envelope.headers["queue"],
        )
        todays, old = json.loads(again.body), json.loads(envelope.body)
        assert {name: todays.get(name) for name in old} == old


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: str(path.name))
def test_members_that_a_reader_does_not_know_are_let_pass(sample: Path, tmp_path: Path) -> None:
    """An event and a document with a member that a later release added are read as if it were not there."""
    restored(sample, tmp_path)
    kinds = {kind.__name__: kind for kind in get_args(Event)}
    for envelope in envelopes(tmp_path):
        later = replace(envelope, body=json.dumps({**json.loads(envelope.body), "later": [1]}).encode())
        assert read_event(later, kinds[envelope.kind]) == read_event(envelope, kinds[envelope.kind])
    for (collection, _), document in documents(tmp_path).items():
        if collection == "filings":
            assert from_document({**document, "later": {"a": 1}}, Filing) == from_document(document, Filing)
