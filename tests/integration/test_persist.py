"""The persist step: an accepted message into the store, once, under its patient's key."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from messaging_service.application.codec import unpack
from messaging_service.application.collections import ACCESS_LOG, FILINGS, MESSAGES, THREADS
from messaging_service.application.park import Park
from messaging_service.application.ports import Envelope
from messaging_service.application.topology import deferrals_for_opener
from messaging_service.crypto.sealing import Place
from messaging_service.domain.errors import Deferred, MessageFault, StoreDown, UnsealFailed
from messaging_service.domain.events import MessagePersisted
from messaging_service.domain.message import Lane, Submission
from tests.parts.service import OPENER_DEFERRALS, SECRET_TEXT, STAFF, Service, enveloped, event_in, numbers


async def test_stored_sealed_routed_and_sent_on(service: Service) -> None:
    """Text goes in sealed under the patient's key, routed; what follows goes to the tenant's and lane's queue."""
    event = service.accepted(department="cardiology", lane=Lane.URGENT)
    (follows,) = await service.persist(enveloped(event))
    stored = await service.threads.message(event.message)
    assert stored is not None
    assert (stored.care_team, stored.routed_by, stored.lane) == ("cardiology", "department", "urgent")
    patient = await service.another().patients.load(stored.patient)
    assert unpack(patient.unseal(stored.id, "submission", stored.sealed), Submission).content.typed == SECRET_TEXT
    assert follows.queue == "file.spijkenisse.urgent"
    sent_on = event_in(follows.envelope, MessagePersisted)
    assert (sent_on.message, sent_on.thread, sent_on.lane) == (event.message, event.thread, Lane.URGENT)
    assert SECRET_TEXT.encode() not in follows.envelope.body


async def test_the_treating_team_gets_it(service: Service) -> None:
    """A relation that was loaded before is what the message is routed by."""
    tenant = service.tenants["spijkenisse"]
    await service.relations.begin(tenant, numbers("1234"), "A. Jansen", "internal", 0)
    stored = await service.persisted()
    assert (stored.care_team, stored.routed_by) == ("internal", "relation")


async def test_a_repeat_publishes_the_same_again(service: Service) -> None:
    """Redelivered after everything was done: the same event follows, and nothing else is stored."""
    event = service.accepted()
    first = await service.persist(enveloped(event))
    service.clock.minutes(5)
    again = await service.another().persist(enveloped(event))
    assert again == first
    assert len(await service.threads.messages_in(event.thread)) == 1
    assert await service.store.count(FILINGS, "by_state", {"state": "waiting"}) == 1


@pytest.mark.parametrize("collection", [THREADS, MESSAGES, FILINGS, ACCESS_LOG])
@pytest.mark.parametrize("done", [False, True])
async def test_a_store_that_fails_at_any_write(service: Service, collection: object, done: bool) -> None:
    """StoreDown comes out uncounted, and the repeat completes the message: stored, filed once, logged."""
    event = service.accepted()
    service.store.fail("insert", collection, done=done)  # type: ignore[arg-type]
    with pytest.raises(StoreDown):
        await service.persist(enveloped(event))
    await service.persist(enveloped(event))
    (stored,) = await service.threads.messages_in(event.thread)
    assert await service.threads.filing(stored.id) is not None
    logged = await service.all(ACCESS_LOG, "of_patient", patient=stored.patient)
    assert stored.id in {entry["object"] for entry in logged}


async def test_one_thread_keeps_the_order_of_the_queue(service: Service) -> None:
    """Twenty messages of one thread handled at once get their places in the order they were taken."""
    first = service.accepted()
    events = [first, *(service.accepted(thread=first.message) for _ in range(19))]
    await asyncio.gather(*(service.persist(enveloped(event)) for event in events))
    stored = await service.threads.messages_in(first.message)
    assert [each.id for each in stored] == [event.message for event in events]
    assert [each.place for each in stored] == list(range(1, 21))


async def test_two_processes_share_one_thread(service: Service) -> None:
    """Forty answers in one thread over two processes: places without a gap after the first."""
    first = service.accepted()
    await service.persist(enveloped(first))
    events = [service.accepted(thread=first.message) for _ in range(40)]
    workers = (service, service.another())
    await asyncio.gather(*(workers[n % 2].persist(enveloped(event)) for n, event in enumerate(events)))
    assert [each.place for each in await service.threads.messages_in(first.message)] == list(range(1, 42))


async def test_a_thread_of_another_patient(service: Service) -> None:
    """What slipped past the gateway while the store was down ends here: another's thread is not written in."""
    theirs = await service.persisted(patient="9999")
    with pytest.raises(MessageFault, match="thread_of_another") as raised:
        await service.persist(enveloped(service.accepted("1234", thread=theirs.thread)))
    assert raised.value.final
    assert len(await service.threads.messages_in(theirs.thread)) == 1


async def test_a_thread_that_was_never_this_patients(service: Service) -> None:
    """A thread that is not stored must at least bear an id issued to this patient at this tenant."""
    for made_up in ("made-up", service.message_id("9999"), service.message_id("1234", "sein")):
        with pytest.raises(MessageFault, match="thread_of_another"):
            await service.persist(enveloped(service.accepted("1234", thread=made_up)))
        assert await service.threads.thread(made_up) is None


async def test_an_answer_waits_for_the_message_it_answers(service: Service) -> None:
    """The opening message is still to come: an answer waits, uncounted, and an urgent one does not."""
    first = service.accepted()
    answer = service.accepted(thread=first.message)
    with pytest.raises(Deferred):
        await service.persist(enveloped(answer))
    assert await service.threads.thread(first.message) is None
    urgent = service.accepted(thread=first.message, lane=Lane.URGENT)
    for event in (urgent, first, answer):
        await service.persist(enveloped(event))
    stored = await service.threads.messages_in(first.message)
    assert [each.id for each in stored] == [urgent.message, first.message, answer.message]


async def test_an_answer_to_what_was_parked_does_not_wait(service: Service) -> None:
    """The opening message was given up and may never come: its answer opens the thread."""
    first = service.accepted()
    park = Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)
    await park(replace(enveloped(first), headers={"queue": "persist.normal", "reason": "transit_seal"}))
    answer = service.accepted(thread=first.message)
    await service.persist(enveloped(answer))
    assert [each.id for each in await service.threads.messages_in(first.message)] == [answer.message]


async def test_an_answer_does_not_wait_for_ever(service: Service) -> None:
    """The opening message is nowhere, as after a restore: when all its retries could be over the answer goes on."""
    first = service.accepted()
    answer = service.accepted(thread=first.message)
    with pytest.raises(Deferred):
        await service.persist(enveloped(answer, deferred=OPENER_DEFERRALS - 1))
    await service.persist(enveloped(answer, deferred=OPENER_DEFERRALS))
    assert [each.id for each in await service.threads.messages_in(first.message)] == [answer.message]
    assert deferrals_for_opener((5_000, 60_000, 600_000)) == 10 + 167


async def test_an_account_that_the_gateway_could_not_check(service: Service) -> None:
    """An urgent message let through while the store was down, of a blocked account, goes to a person."""
    await service.administer.block(service.tenants["spijkenisse"], await service.account(), STAFF)
    unchecked = service.accepted(lane=Lane.URGENT, checked=False)
    with pytest.raises(MessageFault, match="account_blocked") as raised:
        await service.persist(enveloped(unchecked))
    assert raised.value.final
    assert await service.threads.message(unchecked.message) is None
    await service.persist(enveloped(service.accepted(lane=Lane.URGENT)))  # blocked after it was accepted: it stands


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tenant": "elsewhere"}, "tenant_unknown"),
        ({"tenant": "sein"}, "transit_seal"),
        ({"message": "01JZ8Q4Y5VTHX3S3M2T7C9N0KD"}, "transit_seal"),
        ({"sealed": b""}, "transit_seal"),
        ({"sealed": b"MSS\x01 cut"}, "transit_seal"),
    ],
)
async def test_an_event_that_does_not_open(service: Service, changes: dict[str, object], reason: str) -> None:
    """Another tenant's, another message's or a damaged body is the message's own fault; nothing is stored."""
    event = replace(service.accepted(), **changes)  # type: ignore[arg-type]
    with pytest.raises(MessageFault, match=reason):
        await service.persist(enveloped(event))
    assert await service.threads.message(event.message) is None


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b'{"message": 1}', b'{"message": "\xff"}', b"[" * 10_000])
async def test_a_malformed_event_is_final(service: Service, body: bytes) -> None:
    """What is no MessageAccepted is parked at once, and the fault says nothing of what it held."""
    with pytest.raises(MessageFault, match="unreadable_event") as raised:
        await service.persist(Envelope("m", "MessageAccepted", body))
    assert raised.value.final
    assert raised.value.detail == "unreadable_event: MessageAccepted"


async def test_content_that_is_no_submission_is_final(service: Service) -> None:
    """Sealed rightly, packed wrongly: an older or newer format is parked, not retried."""
    event = service.accepted()
    sealed = service.keyring.seal_transit(b"\x00", Place(event.tenant, "", event.message, "submission"))
    with pytest.raises(MessageFault, match="unreadable_content") as raised:
        await service.persist(enveloped(replace(event, sealed=sealed)))
    assert raised.value.final


async def test_every_message_is_in_the_access_log(service: Service) -> None:
    """Storing is logged with patient, message and basis, and with none of the text."""
    stored = await service.persisted()
    (entry,) = await service.all(ACCESS_LOG, "of_patient", patient=stored.patient)
    assert (entry["action"], entry["object"], entry["basis"]) == ("create", stored.id, "triage_desk")
    assert SECRET_TEXT not in repr(entry)


async def test_another_patients_key_does_not_open_it(service: Service) -> None:
    """Sealed for one patient, it opens under no other's key."""
    mine, theirs = await service.persisted(patient="1234"), await service.persisted(patient="9999")
    stranger = await service.patients.load(theirs.patient)
    with pytest.raises(UnsealFailed):
        stranger.unseal(mine.id, "submission", mine.sealed)
