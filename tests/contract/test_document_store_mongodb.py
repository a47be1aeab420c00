"""What the MongoDB store does when its server dies or hangs, and how it tells who won a bulk of replaces."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from messaging_service.adapters.mongodb import Driver, MongoDocuments
from messaging_service.adapters.write_verdicts import Seen, Write, by_code, by_marks, together, turn
from messaging_service.application.ports import DocumentStore
from messaging_service.domain.errors import SettingInvalid, StoreDown
from tests.parts.mongo import MongoServer, mongo_server
from tests.parts.stores import NOTES, StorePlace, note

SOON = 3.2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """A server of our own, to be killed."""
    with mongo_server(tmp_path_factory.mktemp("mongo")) as server:
        yield server


@pytest.fixture(params=["motor", "pymongo"])
async def document_store(request: pytest.FixtureRequest, server: MongoServer) -> AsyncIterator[DocumentStore]:
    """An open store with document A in a database of its own."""
    driver: Driver = request.param
    database = f"db_{abs(hash(request.node.name))}"
    place = StorePlace(lambda: MongoDocuments(server.uri, database, driver))
    store = await place.open()
    await store.insert(NOTES, [note("A")])
    yield store
    await place.close()


async def all_fail_soon(store: DocumentStore) -> None:
    """Every kind of call raises StoreDown, all of them within SOON seconds."""
    calls = [
        store.ping(),
        store.get(NOTES, "A"),
        store.insert(NOTES, [note("B")]),
        store.replace(NOTES, note("A", state="old")),
        store.delete(NOTES, "C"),
        store.find(NOTES, "state", {"tenant": "spijkenisse"}),
        store.count(NOTES, "state", {"tenant": "spijkenisse"}),
    ]
    began = time.monotonic()
    faults = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(fault) for fault in faults] == [StoreDown] * len(calls)
    assert time.monotonic() - began < SOON


async def test_a_killed_server_is_store_down_until_it_is_back(
    document_store: DocumentStore, server: MongoServer
) -> None:
    """Every call fails in time; after a restart the same store works again and what was written is there."""
    server.kill()
    try:
        await all_fail_soon(document_store)
    finally:
        server.start()
    assert await document_store.get(NOTES, "A") == note("A")
    assert await document_store.insert(NOTES, [note("B")]) == [True]


async def test_a_frozen_server_is_store_down_until_it_goes_on(
    document_store: DocumentStore, server: MongoServer
) -> None:
    """A server that keeps its connections and answers nothing is found out in the same time."""
    server.freeze()
    try:
        await all_fail_soon(document_store)
    finally:
        server.thaw()
    assert await document_store.insert(NOTES, [note("Z")]) == [True]
    assert await document_store.get(NOTES, "Z") == note("Z")


async def test_a_store_can_be_opened_once_its_server_is_there(server: MongoServer) -> None:
    """Opening fails with StoreDown while the server is away; the next try succeeds."""
    store = MongoDocuments(server.uri, "late")
    server.kill()
    try:
        with pytest.raises(StoreDown):
            await store.open([NOTES])
    finally:
        server.start()
    await store.open([NOTES])
    assert await store.insert(NOTES, [note("A")]) == [True]
    await store.close()


def test_a_given_password_is_never_repeated() -> None:
    """A malformed URI is a wrong setting, and its text stays out of the message."""
    with pytest.raises(SettingInvalid) as raised:
        asyncio.run(MongoDocuments("mongodb://user:se/cret@host/", "db").open([]))
    assert "cret" not in str(raised.value)
    with pytest.raises(SettingInvalid):
        MongoDocuments("mongodb://host", "db", "asyncpg")  # type: ignore[arg-type]


def writes(*ids: str) -> list[Write]:
    """Replaces of version 1, each with its id as its mark."""
    return [Write(id, 1, b"", id) for id in ids]


@pytest.mark.parametrize(
    ("matched", "seen", "verdicts"),
    [
        (1, {"A": Seen(2, "A"), "B": Seen(2, "other")}, [True, False]),
        (1, {"A": Seen(1, None), "B": Seen(2, "B")}, [False, True]),
        (1, {"A": Seen(2, "A"), "B": Seen(9, "other")}, [True, False]),
        (1, {"A": Seen(2, "A")}, [True, False]),
        (1, {"A": Seen(3, "later"), "B": Seen(2, "other")}, [True, False]),
        (1, {"B": Seen(1, None)}, [True, False]),
        (2, {"A": Seen(3, "later")}, [True, True]),
        (0, {"A": Seen(9, "other")}, [False, False]),
    ],
)
def test_the_winner_of_a_bulk_is_known(matched: int, seen: dict[str, Seen], verdicts: list[bool]) -> None:
    """By its mark, or, where another mark lies on top or the document is gone, by the number of matches."""
    assert by_marks(writes("A", "B"), matched, seen) == verdicts


def test_where_nobody_can_tell_nobody_is_told() -> None:
    """Two replaces in doubt of which one succeeded: both say that the outcome is unknown, the clear one does not."""
    seen = {"A": Seen(3, "later"), "B": Seen(5, "later"), "C": Seen(2, "C")}
    doubt, other, clear = by_marks(writes("A", "B", "C"), 2, seen)
    assert isinstance(doubt, StoreDown)
    assert isinstance(other, StoreDown)
    assert clear is True


def test_writes_of_one_document_take_turns() -> None:
    """The first of each document goes; when it is judged, the next."""
    several = writes("A", "B", "A", "A")
    assert turn(several, {}) == [0, 1]
    assert turn(several, {0: True, 1: False}) == [2]
    assert turn(several, {0: True, 1: False, 2: True}) == [3]


def test_an_error_code_is_a_verdict() -> None:
    """A duplicate key is False, any other code is a fault of the server, and a fault outweighs the rest."""
    assert (by_code(None), by_code(11000)) == (True, False)
    fault = by_code(14031)
    assert isinstance(fault, StoreDown)
    assert together([True, False]) == [True, False]
    assert together([True, fault]) is fault
