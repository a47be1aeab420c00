"""Patients' keys under a new KEK: while the service runs, stopped half-way, and checked before a key is given up."""

from __future__ import annotations

from pathlib import Path

import pytest

from messaging_service.application import rewrap
from messaging_service.application.collections import PATIENTS
from messaging_service.application.patients import Patients
from messaging_service.application.rewrap import Rewrap
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import Conflict, StoreDown
from tests.parts.service import Service, numbers


@pytest.fixture
async def deks(service: Service) -> dict[str, bytes]:
    """Seven patients of one hospital and one of another, by internal id, and their keys."""
    made = [await service.patients.ensure("spijkenisse", numbers(str(n)), "A. Jansen") for n in range(7)]
    made.append(await service.patients.ensure("sein", numbers("1"), "B. Jansen"))
    return {patient.id: patient.dek for patient in made}


@pytest.fixture
def renewed(tmp_path: Path, deks: dict[str, bytes], service: Service) -> Keyring:
    """The keyring with a second KEK for Spijkenisse, as a command loads it; the service keeps its own."""
    path = tmp_path / "keyring.json"
    service.keyring.with_new_kek("spijkenisse").save(path)
    return Keyring.load(path)


async def test_every_key_moves_and_stays_the_same(service: Service, deks: dict[str, bytes], renewed: Keyring) -> None:
    """All of one tenant stand under the new KEK, the other's are untouched, and a running process opens all."""
    command = Rewrap(service.store, renewed)
    assert await command.waiting("spijkenisse") == 7
    assert sum([done async for done in command.run("spijkenisse")]) == 7
    assert (await command.used("spijkenisse"), await command.used("sein")) == ({2: 7}, {1: 1})
    running = Patients(service.store, service.keyring)
    assert {id: (await running.load(id)).dek for id in deks} == deks


async def test_killed_half_way_it_goes_on(
    service: Service, deks: dict[str, bytes], renewed: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store dies under the second batch; every key opens meanwhile, and the next run does the rest only."""
    monkeypatch.setattr(rewrap, "_AT_ONCE", 3)
    service.store.fail("replace", PATIENTS, passing=4)
    command = Rewrap(service.store, renewed)
    with pytest.raises((StoreDown, ExceptionGroup)):
        [done async for done in command.run("spijkenisse")]
    running = Patients(service.store, service.keyring)
    assert {id: (await running.load(id)).dek for id in deks} == deks
    left = await command.waiting("spijkenisse")  # what was under way when the store died may still come through
    assert 0 < left < 7
    assert 0 < sum([done async for done in command.run("spijkenisse")]) <= left
    assert await command.used("spijkenisse") == {2: 7}


async def test_a_kek_in_use_is_not_given_up(service: Service, deks: dict[str, bytes], renewed: Keyring) -> None:
    """Refused with the number of patients under it; allowed once nobody is."""
    command = Rewrap(service.store, renewed)
    with pytest.raises(Conflict, match="7 patients"):
        await command.require_unused("spijkenisse", 1)
    [done async for done in command.run("spijkenisse")]
    await command.require_unused("spijkenisse", 1)


async def test_a_lost_kek_is_found(service: Service, deks: dict[str, bytes], renewed: Keyring, tmp_path: Path) -> None:
    """A keyring without a version in use, and one with another key under its number, are both named."""
    assert await Rewrap(service.store, renewed).missing("spijkenisse") == []
    Keyring.drop_kek(tmp_path / "keyring.json", "spijkenisse", 1)
    (lost,) = await Rewrap(service.store, Keyring.load(tmp_path / "keyring.json")).missing("spijkenisse")
    assert "KEK 1 of 7 patients" in lost
    other = Keyring.create(tmp_path / "other.json", ["spijkenisse"])
    (wrong,) = await Rewrap(service.store, other).missing("spijkenisse")
    assert "does not open" in wrong
