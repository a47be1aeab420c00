"""What callers may still do, counted by several gateways over one store: the same promises on SQLite and on MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from messaging_service.adapters.mongodb import MongoDocuments
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application import allowances
from messaging_service.application.allowances import BLOCK, FREE, Allowances, ForgetAllowances
from messaging_service.application.collections import ALLOWANCES
from messaging_service.application.ports import DocumentStore
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.quota import Quota
from messaging_service.domain.refusals import TooMany
from tests.parts.faulty import FaultyStore
from tests.parts.mongo import MongoServer, mongo_server
from tests.parts.service import MovedClock
from tests.parts.stores import StorePlace

HOUR = Quota("messages", 60, 3600)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine, a store that answers is waited for."""
    monkeypatch.setattr(allowances, "_PATIENCE_SECONDS", 30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoServer]:
    """One MongoDB server for all."""
    with mongo_server(tmp_path_factory.mktemp("mongo")) as running:
        yield running


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """The keys that all gateways of a service have."""
    return Keyring.create(tmp_path_factory.mktemp("keys") / "keyring.json", ["spijkenisse"])


@pytest.fixture(params=["sqlite", "mongodb"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, server: MongoServer) -> AsyncIterator[StorePlace]:
    """One place, of which each gateway has a store of its own."""
    database = f"db_{abs(hash(request.node.name))}"

    def store() -> DocumentStore:
        if request.param == "sqlite":
            return SqliteDocuments(tmp_path / "documents.sqlite")
        return MongoDocuments(server.uri, database)

    place = StorePlace(store)
    yield place
    await place.close()


@pytest.fixture
async def gateways(place: StorePlace, keyring: Keyring) -> list[Allowances]:
    """Two of them, with one clock."""
    clock = MovedClock()
    return [Allowances(FaultyStore(await place.open(ALLOWANCES)), keyring, clock) for _ in range(2)]


def clock_of(gateway: Allowances) -> MovedClock:
    """The clock that a test moves."""
    clock = gateway._clock
    assert isinstance(clock, MovedClock)
    return clock


def store_of(gateway: Allowances) -> FaultyStore:
    """The store that a test breaks."""
    store = gateway._store
    assert isinstance(store, FaultyStore)
    return store


async def passed(gateway: Allowances, quota: Quota, tries: int, who: str = "patient", amount: int = 1) -> int:
    """How many of so many tries, all at once, are let through."""
    tried = [gateway.take("spijkenisse", who, quota, amount) for _ in range(tries)]
    done = await asyncio.gather(*tried, return_exceptions=True)
    refused = [each for each in done if isinstance(each, BaseException)]
    assert all(isinstance(each, TooMany) for each in refused), refused
    return tries - len(refused)


async def test_one_gateway_lets_through_so_many(gateways: list[Allowances]) -> None:
    """Exactly the allowance, however many come at once; each caller has their own; refusals cost nothing."""
    assert await passed(gateways[0], HOUR, 200) == 60
    assert await passed(gateways[0], HOUR, 5) == 0
    assert await passed(gateways[0], HOUR, 200, "another") == 60


async def test_two_gateways_share(gateways: list[Allowances]) -> None:
    """Together the allowance, at most their free parts more, at most one lease less; then nothing at either."""
    both = await asyncio.gather(*(passed(gateway, HOUR, 100) for gateway in gateways))
    assert HOUR.most - HOUR.most // BLOCK <= sum(both) <= HOUR.most + 2 * HOUR.most // FREE
    assert [await passed(gateway, HOUR, 3) for gateway in gateways] == [0, 0]


async def test_a_gateway_that_starts_later(gateways: list[Allowances]) -> None:
    """Who used all of it at one gateway finds no more than the free part at another, and not twice."""
    assert await passed(gateways[0], HOUR, 100) == 60
    assert await passed(gateways[1], HOUR, 100) == HOUR.most // FREE


async def test_all_of_it_is_back_when_told(gateways: list[Allowances]) -> None:
    """A refusal tells the seconds to wait; a second earlier nothing, then all again, at every gateway."""
    for gateway in gateways:
        await passed(gateway, HOUR, 100)
    clock_of(gateways[0]).minutes(10)
    with pytest.raises(TooMany) as refusal:
        await gateways[0].take("spijkenisse", "patient", HOUR)
    assert refusal.value.retry_after == 50 * 60
    clock_of(gateways[0]).now += refusal.value.retry_after * 1000 - 1000
    assert [await passed(gateway, HOUR, 3) for gateway in gateways] == [0, 0]
    clock_of(gateways[0]).now += 1000
    assert await passed(gateways[0], HOUR, 100) == 60


async def test_what_is_left(gateways: list[Allowances]) -> None:
    """Every taking says what is left, and a refusal that it is not enough; what is given back can be taken again."""
    quota = Quota("bytes", 1000, 60, "content-bytes")
    assert (await gateways[0].take("spijkenisse", "patient", quota, 600)).left == 400
    with pytest.raises(TooMany) as refusal:
        await gateways[0].take("spijkenisse", "patient", quota, 401)
    assert refusal.value.allowance is not None
    assert refusal.value.allowance.left == 400
    gateways[0].give_back("spijkenisse", "patient", quota, 600)
    assert (await gateways[0].take("spijkenisse", "patient", quota, 1000)).left == 0


async def test_what_it_costs_the_store(gateways: list[Allowances], monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand callers who stay within the free part cost no store call; a heavy one costs one write a lease."""
    calls: list[str] = []
    store = store_of(gateways[0])
    for name in ("get", "insert", "replace"):

        async def counted(*given: object, _name: str = name, _call: object = getattr(store, name)) -> object:
            calls.append(_name)
            return await _call(*given)  # type: ignore[operator]

        monkeypatch.setattr(store, name, counted)
    for number in range(1000):
        await gateways[0].take("spijkenisse", f"patient {number}", HOUR)
    assert calls == []
    heavy = Quota("requests", 1000, 60)
    for _ in range(1000):
        await gateways[0].take("spijkenisse", "heavy", heavy)
    assert len(calls) - calls.count("get") == (heavy.most - heavy.most // FREE) // (heavy.most // BLOCK)


@pytest.mark.parametrize("operation", ["get", "insert"])
async def test_the_store_is_down(gateways: list[Allowances], operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway counts for itself, and what it let through meanwhile counts for all once the store is back."""

    async def down(*_: object) -> None:
        raise StoreDown

    with monkeypatch.context() as patch:
        patch.setattr(store_of(gateways[0]), operation, down)
        assert await passed(gateways[0], HOUR, 40) == 40
    assert await passed(gateways[0], HOUR, 100) == 20
    assert await passed(gateways[1], HOUR, 100) == HOUR.most // FREE


async def test_the_store_hangs(gateways: list[Allowances], monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that says nothing is not waited for any longer than the patience."""
    monkeypatch.setattr(allowances, "_PATIENCE_SECONDS", 0.01)
    never = asyncio.Event()
    store_of(gateways[0]).meanwhile("get", ALLOWANCES, never.wait)
    assert await passed(gateways[0], Quota("requests", 5, 60), 1) == 1


async def test_nobody_is_named(gateways: list[Allowances], place: StorePlace) -> None:
    """The store is told a keyed digest of whose it is; it goes when its window is over, and not before."""
    await passed(gateways[0], HOUR, 100, who="auth0|jansen")
    store = await place.open(ALLOWANCES)
    forget = ForgetAllowances(store, ["spijkenisse"], clock_of(gateways[0]))
    (kept,) = await store.find(ALLOWANCES, "by_end", {"tenant": "spijkenisse"})
    assert "jansen" not in repr(kept)
    assert await forget() == 0
    clock_of(gateways[0]).minutes(61)
    assert await forget() == 1


async def test_memory_is_bounded(gateways: list[Allowances], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more callers than there is room for the one longest away is forgotten, not one who just called."""
    monkeypatch.setattr(allowances, "_WINDOWS", 3)
    quota = Quota("requests", 10, 60)
    for who in ("a", "b", "c", "a", "d"):
        await gateways[0].take("spijkenisse", who, quota)
    assert len(gateways[0]._windows) == 3
    assert (await gateways[0].take("spijkenisse", "a", quota)).left == 7
    assert (await gateways[0].take("spijkenisse", "b", quota)).left == 9
