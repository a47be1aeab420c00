"""Issuers' key sets at rest: what an earlier gateway was given, and nothing that anybody else put there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from messaging_service.application.collections import KEY_SETS
from messaging_service.application.kept_key_sets import KEPT_FOR_MS, KeptKeySets
from messaging_service.application.ports import Document
from tests.parts.service import Service

ISSUER, RAW = "https://login.example", b'{"keys": []}'
Change = Callable[[Document], Document]


@pytest.fixture
def kept(service: Service) -> KeptKeySets:
    return KeptKeySets(service.store, service.keyring, service.clock)


async def stored(service: Service, kept: KeptKeySets) -> Document:
    document = await service.store.get(KEY_SETS, service.keyring.digest("sein", "key set", ISSUER))
    assert document is not None
    return document


async def test_by_tenant_and_issuer(service: Service, kept: KeptKeySets) -> None:
    """The last one published, by any process, for this tenant's issuer alone."""
    for raw in (b"first", RAW):
        await kept.keep("sein", ISSUER, raw)
    another = KeptKeySets(service.store, service.keyring, service.clock)
    assert await another.find("sein", ISSUER) == RAW
    assert await another.find("spijkenisse", ISSUER) is None
    assert await another.find("sein", "https://staff.example") is None


async def test_not_for_ever(service: Service, kept: KeptKeySets) -> None:
    """A week after the issuer was last heard of its keys open nothing; whenever it answers the week begins anew."""
    await kept.keep("sein", ISSUER, RAW)
    for _ in range(3):
        service.clock.now += 3_600_000
        await kept.keep("sein", ISSUER, RAW)
    service.clock.now += KEPT_FOR_MS - 1
    assert await kept.find("sein", ISSUER) == RAW
    service.clock.now += 1
    assert await kept.find("sein", ISSUER) is None


async def test_one_write_an_hour(service: Service, kept: KeptKeySets) -> None:
    """The same set published again within the hour is not written again."""
    await kept.keep("sein", ISSUER, RAW)
    await kept.keep("sein", ISSUER, RAW)
    assert (await stored(service, kept))["version"] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda d: {**d, "raw": b'{"keys": ["mine"]}'},
        lambda d: {**d, "at": d["at"] + 1},
        lambda d: {**d, "issuer": "https://evil.example"},
        lambda d: {**d, "tenant": "spijkenisse"},
        lambda d: {**d, "proof": ""},
        lambda d: {**d, "proof": "0" * 64},
    ],
)
async def test_what_was_put_there(service: Service, kept: KeptKeySets, change: Change) -> None:
    """Somebody who writes to the store puts a key of their own there: it is as if nothing were; ours replaces it."""
    await kept.keep("sein", ISSUER, RAW)
    assert await service.store.replace(KEY_SETS, change(await stored(service, kept)))
    service.clock.now += 1_000
    assert await kept.find("sein", ISSUER) is None
    await kept.keep("sein", ISSUER, RAW)
    assert await kept.find("sein", ISSUER) == RAW


async def test_another_tenants_put_in_its_place(service: Service, kept: KeptKeySets) -> None:
    """A set that is truly kept for one issuer does not count in the place of another's."""
    await kept.keep("spijkenisse", "https://other.example", b"other")
    other = await service.store.get(KEY_SETS, service.keyring.digest("spijkenisse", "key set", "https://other.example"))
    assert other is not None
    moved = {**other, "id": service.keyring.digest("sein", "key set", ISSUER)}
    await service.store.insert(KEY_SETS, [moved])
    assert await kept.find("sein", ISSUER) is None
