"""What a list, a search or a count of what is unread reads depends on one's own threads, never on the tenant's size."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from messaging_service.adapters.document_rules import Shape
from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.mongodb import MongoDocuments
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.adapters.sqlite_table import Find, Table
from messaging_service.application.behind import Asked, Number
from messaging_service.application.collections import ALL
from messaging_service.application.ports import Collection, Document, DocumentStore
from messaging_service.application.search import EVERYTHING, Search
from messaging_service.application.topology import topology
from messaging_service.crypto.keyring import Keyring
from messaging_service.tenants import Tenant
from tests.integration.test_behind import behind_numbers
from tests.parts.conversation import answered, lead, patient, wrote
from tests.parts.faulty import FaultyBroker, FaultyStore
from tests.parts.many import fill
from tests.parts.mongo import mongo_uri
from tests.parts.service import LADDER_MS, START, MovedClock, Service

FEW, MORE = 40, 1_000
THREADS, IN_EACH = 6, 4
MOST_BEHIND = 150
"""Documents for five of the messages behind a number that operations see."""


class CountingStore(FaultyStore):
    """Counts the documents that are read, and keeps every find."""

    def __init__(self, inner: DocumentStore) -> None:
        super().__init__(inner)
        self.read = 0
        self.finds: list[tuple[Collection, str, Mapping[str, Any], dict[str, Any]]] = []

    async def get(self, collection: Collection, id: str) -> Document | None:
        found = await super().get(collection, id)
        self.read += found is not None
        return found

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> dict[str, Document]:
        found = await super().get_many(collection, ids)
        self.read += len(found)
        return found

    async def find(self, collection: Collection, index: str, equal: Mapping[str, Any], **asked: Any) -> list[Document]:
        found = await super().find(collection, index, equal, **asked)
        self.read += len(found)
        self.finds.append((collection, index, equal, asked))
        return found


@pytest.fixture(params=["sqlite", "mongodb"])
async def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[CountingStore, str]]:
    """An open store, and where it is."""
    if request.param == "sqlite":
        where = str(tmp_path / "documents.sqlite")
        store = CountingStore(SqliteDocuments(where))
        await store.open(ALL)
        yield store, where
        await store.close()
        return
    monkeypatch.setattr("messaging_service.adapters.mongodb._ANSWER_MS", 60_000)  # a busy machine is no fault here
    with mongo_uri(tmp_path) as where:
        store = CountingStore(MongoDocuments(where, "bounded"))
        await store.open(ALL)
        yield store, where
        await store.close()


async def test_what_is_read_does_not_grow_with_the_tenant(
    place: tuple[CountingStore, str], tenants: dict[str, Tenant], tmp_path: Path
) -> None:
    """However many messages others have, every question of the conversation reads the same number of documents, within
    a bound of its own, and a list of operations within theirs; by the store's own explanation each find goes down an
    index and sorts nothing."""
    store, where = place
    keyring = Keyring.create(tmp_path / "keyring.json", list(tenants))
    broker = FaultyBroker(EmbeddedBroker(tmp_path / "queue.sqlite"))
    await broker.open()
    await broker.declare(topology(tenants, LADDER_MS))
    service = Service(store, broker, tenants, keyring, MovedClock(START))
    threads = [await wrote(service, subject="Naald" if n == 0 else "Vraag") for n in range(THREADS)]
    for thread in threads:
        last = [await answered(service, thread) for _ in range(IN_EACH - 1)][-1]
    await fill(store, FEW, START)
    bounds = {ask: bound for ask, (_, bound) in _asked(service, threads[-1], last.id).items()}
    await _counted(store, service, threads[-1], last.id)  # what is read and remembered by then
    among_few = await _counted(store, service, threads[-1], last.id)
    await fill(store, MORE if where.endswith(".sqlite") else MORE // 5, START, "y")
    store.finds.clear()
    among_more = await _counted(store, service, threads[-1], last.id)
    assert among_more == among_few
    assert {ask: read for ask, read in among_more.items() if read > bounds[ask]} == {}
    for number in Number:
        store.read = 0
        await behind_numbers(service)(Asked(number, "spijkenisse"), 5)
        assert store.read <= MOST_BEHIND, number
    for find in store.finds:
        explain = _explained_by_sqlite if where.endswith(".sqlite") else _explained_by_mongodb
        assert explain(where, *find) == "", find
    await broker.close()


def _asked(service: Service, thread: str, message: str) -> dict[str, tuple[Callable[[], Awaitable[Any]], int]]:
    """Every question, and how many documents it may read: who asks and their records, and so many a thread."""
    who, team, enter = patient(service), lead(service), 8
    every = THREADS * (3 + IN_EACH) + enter
    reader, converse = service.reader, service.converse

    def search(search: Search, limit: int = 20) -> Callable[[], Awaitable[Any]]:
        return lambda: reader.search(who, search, below=None, limit=limit)

    return {
        "list": (search(EVERYTHING), every),
        "first page": (search(EVERYTHING, 2), 2 * (3 + IN_EACH) + enter),
        "by subject": (search(Search(subject="naald")), 2 * THREADS + 3 + IN_EACH + enter),
        "by subject, none": (search(Search(subject="nergens")), 2 * THREADS + enter),
        "by status": (search(Search(status="closed")), THREADS + enter),
        "by day": (search(Search(since=START - 1, until=START + 1)), every),
        "by another day": (search(Search(until=START - 1)), enter),
        "thread": (lambda: reader.thread(who, thread), 3 * IN_EACH + enter),
        "page of a thread": (lambda: reader.thread(who, thread, above=1, limit=1), 4 + IN_EACH + enter),
        "message": (lambda: reader.message(who, message), 4 + enter),
        "read": (lambda: converse.read(who, thread, thread), 4 + IN_EACH + enter),
        "receipts": (lambda: converse.read_by_team(team, thread, message), 6),
        "recipients": (lambda: service.recipients(who), 4 + enter),
    }


async def _counted(store: CountingStore, service: Service, thread: str, message: str) -> dict[str, int]:
    found = {}
    for ask, (question, _) in _asked(service, thread, message).items():
        store.read = 0
        await question()
        found[ask] = store.read
    return found


def _explained_by_sqlite(
    where: str, collection: Collection, index: str, equal: Mapping[str, Any], asked: dict[str, Any]
) -> str:
    """What is wrong with the plan, "" when nothing is."""
    bounds = {name: asked.get(name) for name in ("above", "below")}
    query = Shape(collection).query(index, equal, bounded=any(value is not None for value in bounds.values()))
    find = Find(query, equal, **bounds, descending=asked.get("descending", False))
    sql, parameters = Table(collection).find(find)
    with sqlite3.connect(where) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    connection.close()
    down_an_index = len(plan) == 1 and plan[0].startswith("SEARCH") and f"{collection.name}.{index} " in plan[0]
    return "" if down_an_index else str(plan)


def _explained_by_mongodb(
    where: str, collection: Collection, index: str, equal: Mapping[str, Any], asked: dict[str, Any]
) -> str:
    """The same. The wire server of the tests scans whatever is asked, and says so: there the counter alone speaks."""
    bounds = {sign: asked[name] for sign, name in (("$gt", "above"), ("$lt", "below")) if asked.get(name) is not None}
    query = Shape(collection).query(index, equal, bounded=bool(bounds))
    wanted: dict[str, Any] = {f"document.{name}": value for name, value in equal.items()}
    wanted |= {f"document.{query.bounded}": bounds} if bounds else {}
    order = [(f"document.{name}", -1 if asked.get("descending") else 1) for name in query.order]
    with MongoClient[dict[str, Any]](where) as client:
        plan = client["bounded"][collection.name].find(wanted, sort=order or None).explain()
    stages = plan["queryPlanner"]["winningPlan"]
    if isinstance(stages, list):
        return ""
    return str(stages) if "COLLSCAN" in str(stages) or "'SORT'" in str(stages) else ""
