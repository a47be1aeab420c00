"""Destruction by a medical-records decision: what goes, what is spared, and that it stays gone after a restore."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from messaging_service.adapters.destroyed_list import DestroyedList
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.actors import OPERATIONS
from messaging_service.application.collections import (
    ACCESS_LOG,
    ACCOUNTS,
    ALL,
    AWAITED,
    FILINGS,
    IDENTIFIERS,
    MESSAGES,
    PARKED,
    PATIENTS,
)
from messaging_service.application.destroy import Decision, Destroy, Destroyed, Receipt
from messaging_service.application.escalate import Escalate
from messaging_service.application.park import Park
from messaging_service.application.remove_message import RemoveMessage
from messaging_service.application.threads import StoredMessage
from messaging_service.domain.errors import MessageFault, SettingInvalid
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Lane
from tests.parts.faulty import FaultyStore
from tests.parts.service import Service, enveloped, numbers

DECISION = Decision("spijkenisse", "MD-2026-17", "A. de Vries, medical records", "2026-11-20")


def destroying(service: Service) -> Destroy:
    log = service.access_log
    remove = RemoveMessage(store=service.store, threads=service.threads, access_log=log)
    return Destroy(
        store=service.store,
        threads=service.threads,
        remove_message=remove,
        access_log=log,
        clock=service.clock,
    )


@pytest.fixture
def listed(tmp_path: Path) -> DestroyedList:
    return DestroyedList(tmp_path / "destroyed.jsonl")


async def filed(service: Service, **accepted: Any) -> StoredMessage:
    message = await service.persisted(**accepted)
    filing = await service.threads.filing(message.id)
    assert filing is not None
    await service.threads.change(replace(filing, state=FilingState.FILED))
    return message


async def given_up(service: Service) -> str:
    """The id of a message that could not be stored, and waits for a person."""
    envelope = enveloped(service.accepted(), reason="conflict")
    await Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)(envelope)
    return envelope.message_id


async def closed(service: Service, id: str) -> None:
    """A person gave it up for good."""
    parked = await service.store.get(PARKED, f"{id}.persist")
    assert parked is not None
    await service.store.replace(PARKED, {**parked, "state": "closed"})


async def a_whole_record(service: Service) -> StoredMessage:
    """A filed message, an account, a held message, and one that a person closed unfiled."""
    message = await filed(service)
    await service.account()
    station = Escalate(duties={}, store=service.store, clock=service.clock)
    await station._hold(service.accepted(lane=Lane.URGENT))
    await closed(service, await given_up(service))
    return message


def of(receipt: Receipt, place: str) -> tuple[int, int]:
    (found,) = [each for each in receipt.places if each.place == place]
    return found.destroyed, found.spared


async def test_a_record_goes_with_its_key(service: Service, listed: DestroyedList) -> None:
    """Every place that held something is on the receipt; proof of filing, who looked, and others' messages stay."""
    message, other = await a_whole_record(service), await filed(service, patient="77")
    receipt = await destroying(service).record(DECISION, message.patient, OPERATIONS, listed.add)
    assert (receipt.key_destroyed, receipt.messages, receipt.spared) == (True, [message.id], [])
    for place in ("store: messages", "store: held", "store: parked", "store: threads", "store: accounts", "key"):
        assert of(receipt, place) == (1, 0), place
    assert {"queues", "backups", "EPD"} <= {each.place for each in receipt.places}
    for collection, id in ((MESSAGES, message.id), (PATIENTS, message.patient), (ACCOUNTS, message.patient)):
        assert await service.store.get(collection, id) is None
    assert not await service.all(IDENTIFIERS, "of_own", own=message.patient)
    assert await service.store.get(FILINGS, message.id) is not None
    with pytest.raises(MessageFault):
        await service.another().patients.load(message.patient)
    entries = await service.all(ACCESS_LOG, "of_patient", patient=message.patient)
    assert [each["object"] for each in entries if each["action"] == "delete"] == [message.id, message.patient]
    assert await service.threads.message(other.id) is not None
    at = service.clock()
    rest = ("spijkenisse", DECISION.reference, DECISION.by, DECISION.on, at)
    assert listed.read() == [Destroyed("message", message.id, *rest), Destroyed("record", message.patient, *rest)]


async def test_what_is_not_filed_is_spared_with_its_key(service: Service, listed: DestroyedList) -> None:
    """Filed ones go; one under way, and one that waits for a person, stay; carried out again all goes."""
    gone = await filed(service)
    stays, parked = await service.persisted(thread=gone.thread), await given_up(service)
    receipt = await destroying(service).record(DECISION, gone.patient, OPERATIONS, listed.add)
    assert (receipt.key_destroyed, receipt.messages, receipt.spared) == (False, [gone.id], [stays.id, parked])
    patient = await service.another().patients.load(gone.patient)
    assert patient.unseal(stays.id, "submission", stays.sealed)
    filing = await service.threads.filing(stays.id)
    assert filing is not None
    await service.threads.change(replace(filing, state=FilingState.FILED))
    await closed(service, parked)
    assert (await destroying(service).record(DECISION, gone.patient, OPERATIONS, listed.add)).key_destroyed


async def test_a_message_that_comes_meanwhile_keeps_the_key(
    service: Service, listed: DestroyedList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker had the record in hand and stores under it: the numbers lead there again, and nothing is shredded.

    Nor does the list name the record: applied to an older store it would take the message, which nobody has filed.
    """
    message = await filed(service)
    stored = replace(message, id=service.message_id(), place=2)
    destroy = destroying(service)

    async def mark(record: str, *, destroying: bool) -> None:
        if destroying:
            await service.document(stored, MESSAGES)
        await Destroy._mark(destroy, record, destroying=destroying)

    monkeypatch.setattr(destroy, "_mark", mark)
    receipt = await destroy.record(DECISION, message.patient, OPERATIONS, listed.add)
    assert (receipt.key_destroyed, receipt.spared) == (False, [stored.id])
    assert await service.patients.find("spijkenisse", numbers("1234")) == message.patient
    assert await service.patients.is_kept(message.patient)
    assert [line.kind for line in listed.read()] == ["message"]


async def test_a_message_stored_too_late_is_stored_again(
    service: Service, listed: DestroyedList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker looks the record up, stands still while it is destroyed, then stores: the retry has a new record."""
    old = await filed(service)
    ensure, event = service.patients.ensure, service.accepted()

    async def slow(*given: Any) -> Any:
        found = await ensure(*given)
        await destroying(service.another()).record(DECISION, old.patient, OPERATIONS, listed.add)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(service.patients, "ensure", slow)
        with pytest.raises(MessageFault, match="record_destroyed"):
            await service.persist(enveloped(event))
    assert await service.threads.message(event.message) is None
    assert await service.store.get(AWAITED, event.message) is None, "an answer is awaited to what is not stored"
    stored = await service.persisted(event)
    assert stored.patient != old.patient
    patient = await service.another().patients.load(stored.patient)
    assert patient.unseal(stored.id, "submission", stored.sealed)


async def test_nothing_goes_that_is_not_on_the_list(service: Service, listed: DestroyedList, tmp_path: Path) -> None:
    """The list cannot be written: an error, and the message is still there."""
    message = await filed(service)
    with pytest.raises(SettingInvalid, match="nowhere"):
        await destroying(service).record(
            DECISION, message.patient, OPERATIONS, DestroyedList(tmp_path / "nowhere" / "list").add
        )
    assert await service.threads.message(message.id) is not None


async def test_it_stays_destroyed_after_a_restore(service: Service, listed: DestroyedList, tmp_path: Path) -> None:
    """An older store, in which the message was not even filed, comes back: applying the list destroys it all again.

    What was written after the destruction is spared, filed or not, and with it the key.
    """
    message = await service.persisted()
    younger = await service.persisted(patient="77")
    backup = tmp_path / "backup.sqlite"
    shutil.copy(tmp_path / "documents.sqlite", backup)
    shutil.copy(tmp_path / "documents.sqlite-wal", tmp_path / "backup.sqlite-wal")
    for each in (message, younger):
        filing = await service.threads.filing(each.id)
        assert filing is not None
        await service.threads.change(replace(filing, state=FilingState.FILED))
        await destroying(service).record(DECISION, each.patient, OPERATIONS, listed.add)
    restored = FaultyStore(SqliteDocuments(backup))
    await restored.open(ALL)
    again = Service(restored, service.broker, service.tenants, service.keyring, service.clock)
    service.clock.minutes(60)
    kept = await filed(again, patient="77")
    receipts = [await destroying(again).again(line, OPERATIONS) for line in listed.read()]
    assert await again.threads.message(message.id) is None
    assert await restored.get(PATIENTS, message.patient) is None
    assert (await restored.get(FILINGS, message.id) or {})["state"] == FilingState.FILED
    assert [receipt.spared for receipt in receipts] == [[], [], [], [kept.id]]
    assert await restored.get(PATIENTS, younger.patient) is not None
    assert await again.threads.message(younger.id) is None
    await restored.close()


async def test_single_messages(service: Service, listed: DestroyedList) -> None:
    """One goes, the other and the key stay; another tenant's id is not found."""
    one, other = await filed(service), await filed(service)
    ids = [one.id, (await filed(service, tenant="sein")).id]
    receipt = await destroying(service).messages(DECISION, ids, OPERATIONS, listed.add)
    assert (receipt.messages, receipt.key_destroyed, of(receipt, "key")) == ([one.id], False, (0, 1))
    assert set(await service.threads.messages([*ids, other.id])) == {ids[1], other.id}


def test_a_line_that_was_cut_short(listed: DestroyedList, tmp_path: Path) -> None:
    """A crash while writing leaves half a line, before which nothing was destroyed; what is none of ours is refused."""
    listed.add([Destroyed("message", "A", "sein", "r", "b", "2026-11-20", 1)])
    path = tmp_path / "destroyed.jsonl"
    path.write_bytes(path.read_bytes() + b'{"kind":"mess')
    assert [line.id for line in listed.read()] == ["A"]
    listed.add([Destroyed("message", "B", "sein", "r", "b", "2026-11-20", 1)])
    assert [line.id for line in listed.read()] == ["A", "B"]
    path.write_bytes(b"{}\n")
    with pytest.raises(SettingInvalid, match="destroyed"):
        listed.read()
