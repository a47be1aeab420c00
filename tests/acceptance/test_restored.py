"""The rehearsal of a restore: the store comes back as it was at its backup, while queues and EPD have gone on."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.parts.mongo import MongoServer
from tests.parts.patient import Patient
from tests.parts.rabbit import RabbitNode
from tests.parts.servers import virtual_host
from tests.parts.system import System, running
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAN = {
    "gateway": ("gateway",),
    "worker": ("worker", "persist", "file", "escalate", "notify", "park", "receive"),
}
TENANT = "spijkenisse"
DECISION = ("--decision", "MR-1", "--by", "Medische administratie", "--on", "2026-11-20")


class SqliteFile:
    """Backed up while the service runs, as production.md says it: SQLite's own `.backup`."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "documents.sqlite"
        self.backup = folder / "backup.sqlite"
        self.url = f"sqlite:{self.file}"

    def back_up(self) -> None:
        with closing(sqlite3.connect(self.file)) as source, closing(sqlite3.connect(self.backup)) as copy:
            source.backup(copy)

    def restore(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
        self.backup.rename(self.file)


class MongoDatabase:
    """Read whole and written back whole, as `mongodump` and `mongorestore --drop` do, which the wire server has not."""

    def __init__(self, server: str) -> None:
        self.url = f"{server}/restored"
        self.backup: dict[str, list[Any]] = {}

    def back_up(self) -> None:
        with MongoClient[Any](self.url) as client:
            database = client.get_default_database()
            self.backup = {name: list(database[name].find()) for name in database.list_collection_names()}

    def restore(self) -> None:
        with MongoClient[Any](self.url) as client:
            database = client.get_default_database()
            client.drop_database(database.name)
            for name, documents in self.backup.items():
                if documents:
                    database[name].insert_many(documents)


@pytest.fixture(params=["mongodb", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteFile | MongoDatabase:
    """Each store that a hospital may have."""
    if request.param == "sqlite":
        return SqliteFile(tmp_path)
    server: MongoServer = request.getfixturevalue("mongo")
    return MongoDatabase(server.uri)


class Rehearsal:
    """One service, its store, and the list of the destroyed."""

    def __init__(self, system: System, store: SqliteFile | MongoDatabase, folder: Path) -> None:
        self.system = system
        self.store = store
        self.destroyed = folder / "destroyed.jsonl"

    async def lose_and_restore(self) -> None:
        """Every process dies, and the store is what it was at its backup."""
        for name in PLAN:
            if name in self.system.children:
                await self.system.children.kill(name)
        self.store.restore()

    async def destroy(self, number: str) -> None:
        """A medical-records decision about this patient."""
        told = ("destroyed", "carry-out", TENANT, *DECISION, "--patient", number, "--list", str(self.destroyed))
        done = await self.system.children.command(*told)
        assert done.status == 0, (done.out, done.err)

    async def hold_against_the_epd(self) -> dict[str, list[str]]:
        """What `restored` says, given what the EPD has."""
        listed = "\n".join(self.system.epds[TENANT].inbox)
        told = ("restored", TENANT, "-", "--destroyed", str(self.destroyed), "--json")
        done = await self.system.children.command(*told, given=listed)
        assert done.status == 0, (done.out, done.err)
        said: dict[str, list[str]] = json.loads(done.out)["restored"]
        return said


async def seen_by(patient: Patient) -> set[str]:
    """The ids of this patient's threads."""
    return {thread["id"] for thread in (await patient.get("/v1/threads")).body["threads"]}


@pytest.mark.timeout(360)
async def test_a_store_older_than_queues_and_epd_is_restored(
    rabbit_node: RabbitNode, store: SqliteFile | MongoDatabase, tmp_path: Path
) -> None:
    """Nothing comes a second time or under a second id, nothing that waits in the broker is lost, who is destroyed
    stays so; and the one kind of message that no one can bring back is named, and its writer told to call.
    """
    broker = await virtual_host(rabbit_node)
    async with running(tmp_path, broker=broker, store=store.url, plan=PLAN) as system:
        rehearsal, epd = Rehearsal(system, store, tmp_path), system.epds[TENANT]
        patient, leaving = system.patient(TENANT, "1234"), system.patient(TENANT, "99")

        filed = await patient.post("Vraag", "Dit was er al lang.")
        gone = await leaving.post("Vraag", "Dit wordt vernietigd.")
        await patient.until_is(filed.id, "filed")
        await leaving.until_is(gone.id, "filed")
        await epd.set_mode("down")
        on_its_way = await patient.post("Vraag", "Bij de back-up nog onderweg.")
        await patient.until_is(on_its_way.id, "persisted")
        store.back_up()

        await epd.set_mode("normal")
        await patient.until_is(on_its_way.id, "filed")
        in_epd_alone = await patient.post("Vraag", "Na de back-up gearchiveerd.", key="retried")
        await patient.until_is(in_epd_alone.id, "filed")
        await rehearsal.destroy("99")
        await epd.set_mode("down")
        stored_alone = await patient.post("Vraag", "Na de back-up opgeslagen, nog niet gearchiveerd.")
        await patient.until_is(stored_alone.id, "persisted")
        assert await system.children.stop("worker") == 0
        queued = await patient.post("Vraag", "Wacht in de broker.")
        follows = await patient.post("Vraag", "Vervolg.", thread=in_epd_alone.id)
        anew = await leaving.post("Vraag", "Een nieuw bericht, na de vernietiging.")
        documents = set(epd.inbox)
        await rehearsal.lose_and_restore()

        done = await rehearsal.hold_against_the_epd()
        assert (done["filed"], done["again"]) == ([on_its_way.id], [])
        assert done["not_here"] == [in_epd_alone.id]
        await epd.set_mode("normal")
        await system.start()
        again = await patient.post("Vraag", "Na de back-up gearchiveerd.", key="retried")
        assert again.id == in_epd_alone.id
        for who, answer in ((patient, queued), (patient, follows), (leaving, anew), (patient, again)):
            await who.until_is(answer.id, "filed", 60)
        await until(
            lambda: "message.parked" in system.told.events_of(stored_alone.id), "its writer is told to call", 60
        )
        assert (await system.parked())[f"{stored_alone.id}.file"].reason == "not_in_store"
        assert await patient.status(stored_alone.id) == "parked"

        assert set(epd.inbox) == documents | {queued.id, follows.id, anew.id}
        counts = {id: document.count for id, document in epd.inbox.items() if document.count != 1}
        assert counts == {in_epd_alone.id: 2}, "sent again by the portal's own retry, under the id it had"
        assert epd.inbox[follows.id].parent == in_epd_alone.id
        assert {filed.id, on_its_way.id, queued.id} <= await seen_by(patient)
        assert await seen_by(leaving) == {anew.id}
        assert (await leaving.get(f"/v1/messages/{gone.id}")).body.get("body") is None
        await system.ledger()
