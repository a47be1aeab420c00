"""What every document store does, alike on SQLite and on MongoDB through either driver."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from traceback import format_exception
from typing import Any, cast

import pytest

from messaging_service.adapters.document_rules import DocumentInvalid, IndexNotShardable, QueryInvalid
from messaging_service.adapters.mongodb import Driver, MongoDocuments
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.ports import Document, DocumentStore, Index
from messaging_service.domain.errors import StoreDown
from tests.parts.mongo import mongo_uri
from tests.parts.stores import NOTES, StorePlace, note

HERE = {"tenant": "spijkenisse"}
NEW = HERE | {"state": "new"}


@pytest.fixture(scope="session")
def document_store_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A MongoDB server for the whole run."""
    with mongo_uri(tmp_path_factory.mktemp("mongo")) as uri:
        yield uri


@pytest.fixture(params=["sqlite", "motor", "pymongo"])
async def document_store_place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StorePlace]:
    """An empty place of each kind."""
    kind: str = request.param
    if kind == "sqlite":
        place = StorePlace(lambda: SqliteDocuments(tmp_path / "store.db"))
    else:
        uri: str = request.getfixturevalue("document_store_uri")
        database, driver = f"test_{secrets.token_hex(6)}", cast(Driver, kind)
        place = StorePlace(lambda: MongoDocuments(uri, database, driver))
    yield place
    await place.close()


@pytest.fixture
async def document_store(document_store_place: StorePlace) -> DocumentStore:
    """An open, empty store."""
    return await document_store_place.open()


async def found(store: DocumentStore, index: str, equal: dict[str, Any], **asked: Any) -> list[str]:
    """The ids that a find gives, in its order."""
    return [one["id"] for one in await store.find(NOTES, index, equal, **asked)]


async def test_an_inserted_document_comes_back_as_it_was(document_store: DocumentStore) -> None:
    """Nested values, bytes, any text, null and 64-bit integers survive, type and all."""
    values: Document = {
        "bytes": bytes(range(256)),
        "text": "é 😀 line\u2028\x00 \\ ' \" $x.y",
        "none": None,
        "flags": [True, False, 0, 1],
        "numbers": [2**63 - 1, -(2**63), 2**31, -1],
        "deep": {"a.b": [{"$k": b"\x00"}, [[], {}]], "": "empty key", "id": "inner"},
        "empty": "",
    }
    document = note("A", at=1_763_800_000_000, **values)
    assert await document_store.insert(NOTES, [document]) == [True]
    back = await document_store.get(NOTES, "A")
    assert back == document
    assert back is not None
    assert [type(one) for one in back["numbers"]] == [int] * 4
    assert [type(one) for one in back["flags"]] == [bool, bool, int, int]
    assert type(back["bytes"]) is bytes
    assert type(back["at"]) is int


async def test_insert_starts_at_version_1(document_store: DocumentStore) -> None:
    """Whatever version the caller's document carries, the stored one is 1, and the caller's is not touched."""
    without = note("A", body=b"x")
    del without["version"]
    documents = [without, note("B") | {"version": 7}]
    before = deepcopy(documents)
    assert await document_store.insert(NOTES, documents) == [True, True]
    assert documents == before
    stored = await document_store.get_many(NOTES, ["A", "B"])
    assert {id: one["version"] for id, one in stored.items()} == {"A": 1, "B": 1}


async def test_a_taken_id_is_refused_and_nothing_changes(document_store: DocumentStore) -> None:
    """Within one call and across calls the first one stays, and the others of the call are inserted."""
    documents = [note("A", body="first"), note("A", slot=2, body="second"), note("B")]
    assert await document_store.insert(NOTES, documents) == [True, False, True]
    assert await document_store.insert(NOTES, [note("C"), note("B", slot=3)]) == [True, False]
    kept = await document_store.get(NOTES, "A")
    assert kept is not None
    assert kept["body"] == "first"
    assert await document_store.count(NOTES, "state", NEW) == 3


async def test_a_unique_index_holds_within_and_across_calls(document_store: DocumentStore) -> None:
    """Equal values in all its fields are refused; one field that differs is enough."""
    documents = [note("A", slot=1), note("B", slot=1), note("C", slot=1, tenant="sein")]
    assert await document_store.insert(NOTES, documents) == [True, False, True]
    assert await document_store.insert(NOTES, [note("D", slot=1), note("E", slot=2)]) == [False, True]
    assert sorted(await document_store.get_many(NOTES, list("ABCDE"))) == ["A", "C", "E"]


async def test_inserting_or_getting_nothing_is_allowed(document_store: DocumentStore) -> None:
    """Empty lists in, empty answers out; unknown ids are simply not there."""
    assert await document_store.insert(NOTES, []) == []
    assert await document_store.get_many(NOTES, []) == {}
    assert await document_store.get_many(NOTES, ["A", "A"]) == {}
    assert await document_store.get(NOTES, "A") is None


async def test_find_sorts_bounds_and_limits(document_store: DocumentStore) -> None:
    """Exclusive bounds on the next field, both directions, and documents equal in all fields by their ids."""
    times = {"A": 3, "B": 1, "C": 2, "D": 2, "E": 5, "F": -4}
    await document_store.insert(NOTES, [note(id, at=at) for id, at in times.items()])
    await document_store.insert(NOTES, [note("X", state="old"), note("Y", tenant="sein")])
    store = document_store
    assert await found(store, "state", NEW) == ["F", "B", "C", "D", "A", "E"]
    assert await found(store, "state", NEW, descending=True) == ["E", "A", "D", "C", "B", "F"]
    assert await found(store, "state", NEW, above=1, below=5) == ["C", "D", "A"]
    assert await found(store, "state", NEW, above=2) == ["A", "E"]
    assert await found(store, "state", NEW, below=1) == ["F"]
    assert await found(store, "state", NEW, above=1, descending=True, limit=2) == ["E", "A"]
    assert await found(store, "state", NEW | {"at": 2}, descending=True) == ["D", "C"]
    assert await found(store, "state", HERE, above="new") == ["X"]
    assert await found(store, "state", HERE, below="old", limit=1) == ["F"]
    assert await found(store, "state", NEW, limit=0) == []
    assert await found(store, "slot", HERE | {"slot": note("A")["slot"]}) == ["A"]


async def test_find_gives_more_than_a_first_batch(document_store: DocumentStore) -> None:
    """A limit of several hundred is honoured to the last document."""
    await document_store.insert(NOTES, [note(f"N{at:03}", at=at) for at in range(350)])
    assert await found(document_store, "state", NEW, limit=300) == [f"N{at:03}" for at in range(300)]
    assert len(await document_store.get_many(NOTES, [f"N{at:03}" for at in range(400)])) == 350


async def test_an_absent_value_is_found_as_none(document_store: DocumentStore) -> None:
    """None and a field that is not there are the same to an index, come first, and lie outside all bounds."""
    absent = note("C")
    del absent["at"]
    await document_store.insert(NOTES, [note("A", at=1), note("B", at=None), absent])
    assert await found(document_store, "state", NEW | {"at": None}) == ["B", "C"]
    assert await found(document_store, "state", NEW) == ["B", "C", "A"]
    assert await found(document_store, "state", NEW, below=9) == ["A"]


async def test_count(document_store: DocumentStore) -> None:
    """By any number of leading fields."""
    await document_store.insert(NOTES, [note("A"), note("B", state="old"), note("C", tenant="sein")])
    assert await document_store.count(NOTES, "state", HERE) == 2
    assert await document_store.count(NOTES, "state", NEW) == 1
    assert await document_store.count(NOTES, "state", {}) == 3
    assert await document_store.count(NOTES, "state", {"tenant": "elsewhere"}) == 0


async def test_replace_follows_the_version(document_store: DocumentStore) -> None:
    """The right version is replaced as a whole and raised by one; any other changes nothing."""
    await document_store.insert(NOTES, [note("A", dropped=b"x")])
    changed = note("A", state="old", body=b"\xff\x00")
    assert await document_store.replace(NOTES, changed)
    assert changed["version"] == 1
    assert await document_store.get(NOTES, "A") == changed | {"version": 2}
    assert not await document_store.replace(NOTES, changed)
    assert not await document_store.replace(NOTES, changed | {"version": 3})
    assert not await document_store.replace(NOTES, note("B"))
    assert await document_store.get(NOTES, "A") == changed | {"version": 2}
    assert await found(document_store, "state", HERE | {"state": "old"}) == ["A"]
    assert await found(document_store, "state", NEW) == []


async def test_replace_that_collides_changes_nothing(document_store: DocumentStore) -> None:
    """A unique index's value taken by another is False, also amid replaces that succeed."""
    await document_store.insert(NOTES, [note("A", slot=1), note("B", slot=2), note("C", slot=3)])
    wanted = [note("A", slot=2), note("B", slot=2, state="old"), note("C", slot=4)]
    verdicts = await asyncio.gather(*[document_store.replace(NOTES, one) for one in wanted])
    assert verdicts == [False, True, True]
    stored = await document_store.get_many(NOTES, ["A", "B", "C"])
    assert [(stored[id]["slot"], stored[id]["version"]) for id in "ABC"] == [(1, 1), (2, 2), (4, 2)]


async def test_of_two_replaces_one_wins(document_store_place: StorePlace) -> None:
    """Ten contenders for one version, over two connections: one True, and the store holds the winner's words."""
    stores = [await document_store_place.open(), await document_store_place.open()]
    await stores[0].insert(NOTES, [note("A"), note("B")])
    for version in (1, 2, 3):
        tries = [note("A", words=f"{version} {n}") | {"version": version} for n in range(10)]
        verdicts = await asyncio.gather(*[stores[n % 2].replace(NOTES, one) for n, one in enumerate(tries)])
        assert sorted(verdicts) == [False] * 9 + [True]
        stored = await stores[0].get(NOTES, "A")
        assert stored == tries[verdicts.index(True)] | {"version": version + 1}


async def test_stale_replaces_do_not_hide_good_ones(document_store: DocumentStore) -> None:
    """Replaces far behind, right, early and of nothing in the same moment each get their own verdict."""
    await document_store.insert(NOTES, [note("A"), note("B"), note("C")])
    for version in (1, 2, 3):
        assert await document_store.replace(NOTES, note("A") | {"version": version})
    tries = [note("A"), note("B", state="old"), note("C") | {"version": 2}, note("D")]
    verdicts = await asyncio.gather(*[document_store.replace(NOTES, one) for one in tries])
    assert verdicts == [False, True, False, False]


async def test_delete(document_store: DocumentStore) -> None:
    """True once; then the id and its unique values are free again."""
    await document_store.insert(NOTES, [note("A", slot=1)])
    assert await document_store.delete(NOTES, "A")
    assert not await document_store.delete(NOTES, "A")
    assert await document_store.get(NOTES, "A") is None
    assert await document_store.insert(NOTES, [note("B", slot=1)]) == [True]


async def test_two_hundred_at_the_same_moment(document_store: DocumentStore) -> None:
    """Mixed inserts, duplicates, replaces, reads and deletes together: each gets its own answer."""
    store, forty = document_store, range(40)
    await store.insert(NOTES, [note(f"{kind}{n:02}", at=n, state=kind) for n in forty for kind in "RD"])
    inserts = [store.insert(NOTES, [note(f"I{n:02}"), note(f"R{n:02}", slot=-n)]) for n in forty]
    tries = [note(f"R{n:02}", at=n, state="R", done=n) | {"version": 1 + n % 2} for n in forty]
    replaces = [store.replace(NOTES, one) for one in tries]
    deletes = [store.delete(NOTES, f"D{n:02}") for n in forty]
    gets = [store.get(NOTES, f"R{n:02}") for n in forty]
    finds = [store.find(NOTES, "state", HERE | {"state": "R", "at": n}) for n in forty]
    asked: list[Awaitable[Any]] = [*inserts, *replaces, *deletes, *gets, *finds]
    answers = await asyncio.gather(*asked)
    assert answers[:40] == [[True, False]] * 40
    assert answers[40:80] == [True, False] * 20
    assert answers[80:120] == [True] * 40
    assert [one["id"] for one in answers[120:160]] == [one["id"] for one in tries]
    assert [[one["id"] for one in hits] for hits in answers[160:]] == [[one["id"]] for one in tries]
    assert await store.count(NOTES, "state", HERE) == 80


async def test_one_that_cannot_be_stored_spoils_no_other(document_store: DocumentStore) -> None:
    """What no store takes is refused to its caller alone, without its content in the message."""
    refused = [
        note("B", at=True),
        note("C", at=1.5),
        note("D") | {"slot": None},
        note("E", at=2**63),
        note("F", body={"secret": object()}),
        note("G", body="secret \ud800"),
        note("H", body=b"secret" * 3_000_000),
        {**note("I"), "id": 5},
    ]
    calls = [document_store.insert(NOTES, [one]) for one in [note("A"), *refused, note("Z")]]
    first, *faults, last = await asyncio.gather(*calls, return_exceptions=True)
    assert (first, last) == ([True], [True])
    assert [type(fault) for fault in faults] == [DocumentInvalid] * len(refused)
    said = [line for fault in faults for line in format_exception(cast(BaseException, fault))]
    assert not [line for line in said if "secret" in line]
    assert await document_store.count(NOTES, "state", HERE) == 2


async def test_readers_do_not_share_what_they_got(document_store: DocumentStore) -> None:
    """Reads of the same document in the same moment give each their own copy."""
    await document_store.insert(NOTES, [note("A", deep={"list": [1]})])
    copies = await asyncio.gather(*[document_store.get(NOTES, "A") for _ in range(3)])
    assert copies[0] is not None
    copies[0]["deep"]["list"].append(2)
    assert copies[1] == copies[2] == note("A", deep={"list": [1]})


async def test_what_was_written_is_there_after_reopening(document_store_place: StorePlace) -> None:
    """A closed store answers StoreDown; another over the same place finds everything, versions included."""
    store = await document_store_place.open()
    await store.insert(NOTES, [note("A"), note("B")])
    await store.replace(NOTES, note("A", state="old"))
    await store.close()
    with pytest.raises(StoreDown):
        await store.get(NOTES, "A")
    with pytest.raises(StoreDown):
        await store.ping()
    again = await document_store_place.open()
    assert await again.get(NOTES, "A") == note("A", state="old") | {"version": 2}
    assert await found(again, "state", NEW) == ["B"]


async def test_close_finishes_what_was_begun(document_store_place: StorePlace) -> None:
    """Inserts asked for before the close are answered, and kept."""
    store = await document_store_place.open()
    asked = [asyncio.ensure_future(store.insert(NOTES, [note(f"N{n}")])) for n in range(20)]
    await asyncio.wait(asked, timeout=0)
    await store.close()
    assert await asyncio.gather(*asked) == [[True]] * 20
    assert await (await document_store_place.open()).count(NOTES, "state", NEW) == 20


async def test_a_second_connection_sees_what_the_first_wrote(document_store_place: StorePlace) -> None:
    """As soon as the write returned, and the other way round."""
    one, other = await document_store_place.open(), await document_store_place.open()
    for n in range(5):
        assert await one.insert(NOTES, [note(f"N{n}")]) == [True]
        assert await other.replace(NOTES, note(f"N{n}", state="old"))
        stored = await one.get(NOTES, f"N{n}")
        assert stored is not None
        assert stored["state"] == "old"


async def test_an_abandoned_call_harms_nobody(document_store: DocumentStore) -> None:
    """A caller who is cancelled while waiting takes no other's answer along."""
    calls = [asyncio.ensure_future(document_store.insert(NOTES, [note(f"N{n}")])) for n in range(10)]
    await asyncio.wait(calls, timeout=0)
    for call in calls[::2]:
        call.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert answers[1::2] == [[True]] * 5
    assert await document_store.insert(NOTES, [note("Z")]) == [True]


async def test_a_unique_index_without_the_shard_key_is_refused(document_store_place: StorePlace) -> None:
    """Found at open, before anything is created, on a store that could enforce it just as on one that could not."""
    wrong = replace(NOTES, indexes=(Index("slot", ("slot",), unique=True),))
    with pytest.raises(IndexNotShardable, match=r"notes\.slot"):
        await document_store_place.store().open([wrong])


async def test_a_new_index_finds_what_was_there_before(document_store_place: StorePlace) -> None:
    """Opening with one more index makes the old documents findable by it."""
    store = await document_store_place.open()
    await store.insert(NOTES, [note("A", kind="letter"), note("B", kind="note"), note("C")])
    wider = replace(NOTES, indexes=(*NOTES.indexes, Index("kind", ("tenant", "kind"))))
    again = await document_store_place.open(wider)
    assert [one["id"] for one in await again.find(wider, "kind", HERE)] == ["C", "A", "B"]
    assert await again.count(wider, "kind", HERE | {"kind": "note"}) == 1


async def test_a_unique_index_that_comes_too_late_is_refused(document_store_place: StorePlace) -> None:
    """Documents that already break it make the open fail; the store works on as it was."""
    loose = replace(NOTES, indexes=(NOTES.index("state"),))
    store = await document_store_place.open(loose)
    assert await store.insert(loose, [note("A", slot=1), note("B", slot=1)]) == [True, True]
    with pytest.raises(StoreDown):
        await store.open([NOTES])
    assert await store.insert(loose, [note("C", slot=1)]) == [True]
    assert await store.count(loose, "state", NEW) == 3


@pytest.mark.parametrize(
    ("equal", "above"), [({"state": "new"}, None), ({"tenant": "x", "at": 1}, None), (NEW | {"at": 1}, 1)]
)
async def test_a_query_its_index_cannot_answer_is_refused(
    document_store: DocumentStore, equal: dict[str, Any], above: Any
) -> None:
    """A leading field left out, or a bound where no field is left: an error, never a full scan."""
    with pytest.raises(QueryInvalid):
        await document_store.find(NOTES, "state", equal, above=above)
    with pytest.raises(KeyError):
        await document_store.find(NOTES, "no-such-index", equal)


async def test_a_value_that_cannot_be_asked_for_is_refused(document_store: DocumentStore) -> None:
    """Half a surrogate pair or a boolean is the caller's error; others who ask meanwhile are answered."""
    await document_store.insert(NOTES, [note("A")])
    good, *bad = await asyncio.gather(
        document_store.get(NOTES, "A"),
        document_store.get(NOTES, "\ud800"),
        document_store.delete(NOTES, "\ud800"),
        document_store.find(NOTES, "state", {"tenant": True}),
        document_store.count(NOTES, "state", {"tenant": b"x"}),
        return_exceptions=True,
    )
    assert good == note("A")
    assert [type(one) for one in bad] == [QueryInvalid] * 4


class Model:
    """What the store should hold, as a dict, with the rules in a few lines."""

    def __init__(self) -> None:
        self.held: dict[str, Document] = {}

    def insert(self, document: Document) -> bool:
        if document["id"] in self.held or self._collides(document):
            return False
        self.held[document["id"]] = document | {"version": 1}
        return True

    def replace(self, document: Document) -> bool:
        held = self.held.get(document["id"])
        if held is None or held["version"] != document["version"] or self._collides(document):
            return False
        self.held[document["id"]] = document | {"version": held["version"] + 1}
        return True

    def find(self, state: str, above: int | None, below: int | None, descending: bool) -> list[Document]:
        hits = [one for one in self.held.values() if (one["tenant"], one["state"]) == ("spijkenisse", state)]
        hits = [one for one in hits if above is None or one["at"] > above]
        hits = [one for one in hits if below is None or one["at"] < below]
        return sorted(hits, key=lambda one: (one["at"], one["id"]), reverse=descending)

    def _collides(self, document: Document) -> bool:
        key = (document["tenant"], document["slot"])
        return any((one["tenant"], one["slot"]) == key for id, one in self.held.items() if id != document["id"])


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_random_history_agrees_with_a_dict(document_store: DocumentStore, seed: int) -> None:
    """A hundred and fifty random steps over few ids and slots, compared at each step with a plain model."""
    chance, model = random.Random(seed), Model()

    def some() -> Document:
        tenant = chance.choice(["spijkenisse", "spijkenisse", "sein"])
        state, at = chance.choice(["new", "old"]), chance.randrange(4)
        return note(chance.choice("ABCDEFGH"), tenant=tenant, slot=chance.randrange(9), state=state, at=at)

    for _ in range(150):
        step = chance.choice(["insert", "replace", "replace", "delete", "find", "get"])
        if step == "insert":
            several = [some() for _ in range(chance.randrange(1, 4))]
            assert await document_store.insert(NOTES, several) == [model.insert(one) for one in several]
        elif step == "replace":
            one = some()
            one["version"] = model.held.get(one["id"], one)["version"] + chance.choice([0, 0, 0, -1, 1])
            assert await document_store.replace(NOTES, one) == model.replace(one)
        elif step == "delete":
            id = chance.choice("ABCDEFGH")
            assert await document_store.delete(NOTES, id) == (model.held.pop(id, None) is not None)
        elif step == "find":
            state, way = chance.choice(["new", "old"]), chance.random() < 0.5
            above, below = chance.choice([None, 0, 1]), chance.choice([None, 2, 3])
            hits = await document_store.find(
                NOTES, "state", HERE | {"state": state}, above=above, below=below, descending=way
            )
            assert hits == model.find(state, above, below, way)
        else:
            assert await document_store.get_many(NOTES, list("ABCDEFGH")) == model.held
