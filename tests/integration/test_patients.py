"""Patients: found by number, made once, each with a key of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from messaging_service.application.collections import IDENTIFIERS, PATIENTS
from messaging_service.application.patients import Patients
from messaging_service.domain.errors import Conflict, MessageFault, StoreDown, UnsealFailed
from messaging_service.domain.message import Identifier
from tests.parts.service import Service, numbers

BOTH = (Identifier("local", "1234"), Identifier("bsn", "999911120"))


async def test_made_once_and_found_again(service: Service) -> None:
    """The same number is the same patient afterwards, also for another process; another number is another."""
    made = await service.patients.ensure("spijkenisse", numbers("1234"), "A. Jansen")
    again = await service.another().patients.ensure("spijkenisse", numbers("1234"), "A. Jansen")
    other = await service.patients.ensure("spijkenisse", numbers("1235"), "B. Jansen")
    assert (again.id, again.dek) == (made.id, made.dek)
    assert other.id != made.id


async def test_workers_that_meet_end_with_one_patient(service: Service) -> None:
    """Ten workers make the same patient at once: all go on with one id and one key, and nothing is left over."""
    workers = [Patients(service.store, service.keyring) for _ in range(10)]
    made = await asyncio.gather(*(each.ensure("spijkenisse", BOTH, "A. Jansen") for each in workers))
    assert len({patient.id for patient in made}) == 1
    assert len({patient.dek for patient in made}) == 1
    (kept,) = {patient.id for patient in made}
    inserted = [call for call in service.store.calls if call == ("insert", PATIENTS.name)]
    assert len(inserted) > 1, "the workers did not meet, so this proves nothing"
    assert service.store.calls.count(("delete", PATIENTS.name)) == len(inserted) - 1
    assert await service.store.get(PATIENTS, kept) is not None


async def test_tenants_share_no_patient(service: Service) -> None:
    """One number at two hospitals is two patients."""
    here = await service.patients.ensure("spijkenisse", numbers("1234"), "A. Jansen")
    there = await service.patients.ensure("sein", numbers("1234"), "A. Jansen")
    assert here.id != there.id
    assert here.dek != there.dek


async def test_every_identifier_leads_to_the_patient(service: Service) -> None:
    """The first identifier finds the patient, and so does each of the others on its own."""
    made = await service.patients.ensure("spijkenisse", BOTH, "A. Jansen")
    for identifier in BOTH:
        assert await service.patients.find("spijkenisse", [identifier]) == made.id
    assert await service.patients.identity(made.id) == (BOTH, "A. Jansen")


async def test_a_crash_between_the_identifiers_is_mended(service: Service) -> None:
    """The store fails after the first identifier; the repeat ends with the same patient, found by all of them."""
    service.store.fail("insert", IDENTIFIERS, passing=1)
    with pytest.raises(StoreDown):
        await service.patients.ensure("spijkenisse", BOTH, "A. Jansen")
    mended = await service.another().patients.ensure("spijkenisse", BOTH, "A. Jansen")
    assert [await service.patients.find("spijkenisse", [i]) for i in BOTH] == [mended.id, mended.id]


async def test_an_identifier_that_is_new_is_added(service: Service) -> None:
    """A patient first known by one number is later found by the other one as well."""
    made = await service.patients.ensure("spijkenisse", BOTH[:1], "A. Jansen")
    await service.another().patients.ensure("spijkenisse", BOTH, "A. Jansen")
    assert await service.patients.find("spijkenisse", BOTH[1:]) == made.id


async def test_the_answer_to_the_first_write_is_lost(service: Service) -> None:
    """The identifier was written and the answer lost: the repeat takes what is there."""
    service.store.fail("insert", IDENTIFIERS, done=True)
    with pytest.raises(StoreDown):
        await service.patients.ensure("spijkenisse", numbers("1234"), "A. Jansen")
    found = await service.patients.find("spijkenisse", numbers("1234"))
    assert (await service.patients.ensure("spijkenisse", numbers("1234"), "A. Jansen")).id == found


async def test_a_winner_that_is_not_visible_yet_is_a_conflict(service: Service) -> None:
    """The identifier is taken and gone again: neither maker can go on, so the message is tried again."""
    key = service.patients.key("spijkenisse", numbers("1234"))
    taken = {"id": key, "tenant": "spijkenisse", "patient": "x"}

    async def take() -> None:
        await service.store.inner.insert(IDENTIFIERS, [taken])
        service.store.meanwhile("get", IDENTIFIERS, lambda: service.store.inner.delete(IDENTIFIERS, key))

    service.store.meanwhile("insert", IDENTIFIERS, take)
    with pytest.raises(Conflict):
        await service.patients.ensure("spijkenisse", numbers("1234"), "A. Jansen")


async def test_the_key_opens_after_a_reload(service: Service) -> None:
    """What one process sealed another opens: the key comes out of the store, unwrapped."""
    made = await service.patients.ensure("spijkenisse", numbers("1234"), "A. Jansen")
    sealed = made.seal("m", "submission", "tekst")
    loaded = await service.another().patients.load(made.id)
    assert loaded.unseal("m", "submission", sealed) == made.unseal("m", "submission", sealed)
    with pytest.raises(UnsealFailed):
        loaded.unseal("another", "submission", sealed)


async def test_an_unknown_patient_is_final(service: Service) -> None:
    """After a destruction or a restore there is no patient: no retry brings one back."""
    for attempt in (service.patients.load("nobody"), service.patients.identity("nobody")):
        with pytest.raises(MessageFault, match="patient_unknown") as raised:
            await attempt
        assert raised.value.final


async def test_numbers_and_names_are_nowhere_to_be_read(service: Service, tmp_path: Path) -> None:
    """Neither the database's files nor the patient's repr show number, name or key."""
    patient = await service.patients.ensure("spijkenisse", BOTH, "A. Jansen")
    files = await asyncio.to_thread(lambda: list(tmp_path.glob("documents.sqlite*")))
    written = b"".join([await asyncio.to_thread(path.read_bytes) for path in files])
    for secret in (b"999911120", b"A. Jansen", patient.dek):
        assert secret not in written
        assert secret not in repr(patient).encode()
