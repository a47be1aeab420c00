"""Correcting and withdrawing what the EPD has, through an EPD that nobody here wrote."""

from __future__ import annotations

import pytest

from messaging_service.application.changes import CorrectedText
from messaging_service.application.collections import ACCESS_LOG, CHANGES, PARKED
from messaging_service.application.correct import NotChangeable
from messaging_service.application.topology import file_queue, notify_queue
from messaging_service.domain.errors import MessageFault, SettingInvalid
from messaging_service.domain.filing import Change, FilingState
from messaging_service.domain.message import Lane
from messaging_service.tenants import Listener
from tests.parts.filing import Hospital, hospital
from tests.parts.receiving import Receiving
from tests.parts.service import SECRET_TEXT, Service

BETTER = CorrectedText("Vraag", "De tekst zoals die had moeten zijn")
QUEUE = file_queue("spijkenisse", Lane.NORMAL)


def body_of(at: Hospital, number: str) -> str:
    return at.epd.inbox[number].body


async def test_a_correction_that_replaces_the_document(service: Service) -> None:
    """T10: a document of its own under the message's number and .1, and the first one is obsolete."""
    async with hospital(service) as at:
        message = await at.filed()
        change = await at.correct.correct(message.id, BETTER, "typo")
        assert await at.carry_out() == [f"{message.id}.1"]
        assert (change.document, change.replaces) == (f"{message.id}.1", message.id)
        assert body_of(at, change.document) == BETTER.body
        assert at.epd.inbox[message.id].replaced_by == change.document
        filing = await at.filing(change.id)
        assert (filing.state, filing.attempts[-1].code) == (FilingState.FILED, "AA")
        assert (await at.filing(message.id)).state is FilingState.FILED


@pytest.mark.parametrize("profile", [{"correction": "T08"}, {"message": "ORU^R01"}])
async def test_a_correction_under_the_same_number(service: Service, profile: dict[str, str]) -> None:
    """T08, and a corrected result: one document, with the new text."""
    async with hospital(service, profile=profile) as at:
        message = await at.filed()
        await at.correct.correct(message.id, BETTER, "typo")
        await at.carry_out()
        assert list(at.epd.inbox) == [message.id]
        assert (body_of(at, message.id), at.epd.inbox[message.id].corrected) == (BETTER.body, 1)


@pytest.mark.parametrize("profile", [{}, {"correction": "T08"}, {"message": "ORU^R01"}])
async def test_a_withdrawal(service: Service, profile: dict[str, str]) -> None:
    """T11, or a result with status X: the EPD marks the document, and no text travels again."""
    async with hospital(service, profile=profile) as at:
        message = await at.filed()
        await at.correct.withdraw(message.id, "wrong-patient")
        await at.carry_out()
        assert at.epd.inbox[message.id].withdrawn
        assert SECRET_TEXT.encode() not in at.epd.frames[-1]


async def test_what_is_withdrawn_after_a_correction_is_the_last_document(service: Service) -> None:
    """The T11 names the replacement, and a second T10 replaces the first one."""
    async with hospital(service) as at:
        message = await at.filed()
        first = await at.correct.correct(message.id, BETTER, "typo")
        await at.carry_out()
        second = await at.correct.correct(message.id, CorrectedText("Vraag", "Nog beter"), "typo")
        await at.carry_out()
        assert (second.document, second.replaces) == (f"{message.id}.2", first.document)
        withdrawal = await at.correct.withdraw(message.id, "wrong-patient")
        await at.carry_out()
        assert withdrawal.document == second.document
        assert [filed.withdrawn for filed in at.epd.inbox.values()] == [False, False, True]


async def test_ordering_it_twice_is_ordering_it_once(service: Service) -> None:
    """The same again, before and after it is carried out: one change, one document in the EPD."""
    async with hospital(service) as at:
        message = await at.filed()
        changes = [await at.correct.correct(message.id, BETTER, "typo") for _ in range(2)]
        await at.carry_out()
        changes.append(await at.correct.correct(message.id, BETTER, "typo"))
        assert await at.carry_out() == []
        assert {change.id for change in changes} == {f"{message.id}.1"}
        assert at.epd.inbox[f"{message.id}.1"].count == 1


async def test_a_crash_before_the_event_is_made_up_for(service: Service) -> None:
    """Ordered and not queued: the same order again queues it, and it is filed under the same number."""
    async with hospital(service) as at:
        message = await at.filed()
        change = await at.correct.withdraw(message.id, "wrong-patient")
        async with service.broker.inner.consume(QUEUE, 1) as deliveries:
            await (await anext(deliveries)).ack()
        assert await at.correct.withdraw(message.id, "wrong-patient") == change
        assert await at.carry_out() == [change.id]


async def test_what_the_epd_does_not_have_cannot_be_changed(service: Service) -> None:
    """Waiting, withdrawn already, with a change under way, or never heard of: refused with the reason."""
    async with hospital(service) as at:
        waiting = await service.persisted()
        with pytest.raises(NotChangeable, match="does not have it"):
            await at.correct.withdraw(waiting.id, "wrong-patient")
        with pytest.raises(NotChangeable, match="no message"):
            await at.correct.withdraw("UNHEARD-OF", "wrong-patient")
        message = await at.filed(patient="2")
        await at.correct.correct(message.id, BETTER, "typo")
        with pytest.raises(NotChangeable, match="under way"):
            await at.correct.withdraw(message.id, "wrong-patient")
        await at.carry_out()
        await at.correct.withdraw(message.id, "wrong-patient")
        await at.carry_out()
        with pytest.raises(NotChangeable, match="was withdrawn"):
            await at.correct.correct(message.id, BETTER, "typo")


@pytest.mark.parametrize("reason", ["", "Mevrouw Jansen", "x" * 31, "a|b"])
async def test_a_reason_is_a_code(service: Service, reason: str) -> None:
    """What is shown in the EPD and kept in the clear can hold no sentence about anybody."""
    async with hospital(service) as at:
        message = await at.filed()
        with pytest.raises(SettingInvalid, match="code"):
            await at.correct.withdraw(message.id, reason)


async def test_a_refused_change_parks_alone_and_tells_no_patient(service: Service) -> None:
    """AE: the change is parked under its own id, the message stays filed, and the portal hears nothing of it."""
    async with hospital(service) as at:
        message = await at.filed()
        await at.correct.withdraw(message.id, "wrong-patient")
        await at.epd.set_mode("refuse")
        (envelope,) = await service.queued(QUEUE)
        with pytest.raises(MessageFault) as raised:
            await at.file(envelope)
        assert raised.value.final
        told = len(await service.queued(notify_queue("spijkenisse")))
        assert await at.park(envelope) == []
        (parked,) = await service.all(PARKED, "by_state", state="parked")
        assert (parked["id"], parked["step"]) == (f"{message.id}.1.file", "file")
        assert (await at.filing(f"{message.id}.1")).state is FilingState.PARKED
        assert (await at.filing(message.id)).state is FilingState.FILED
        assert len(await service.queued(notify_queue("spijkenisse"))) == told


async def test_a_change_is_sealed_and_logged(service: Service) -> None:
    """The corrected text lies sealed, and who changed what stands in the access log."""
    async with hospital(service) as at:
        message = await at.filed()
        await at.correct.correct(message.id, BETTER, "typo")
        (stored,) = await service.all(CHANGES, "of_message", message=message.id)
        assert BETTER.body.encode() not in stored["sealed"]
        assert BETTER.body not in repr(stored | {"sealed": b""})
        entries = await service.all(ACCESS_LOG, "of_patient", patient=message.patient)
        assert ("update", "corrected in the EPD") in {(entry["action"], entry["purpose"]) for entry in entries}


async def test_changes_tell_the_portal_nothing(service: Service) -> None:
    """A filed change is no filed message: no event follows."""
    async with hospital(service) as at:
        message = await at.filed()
        await at.correct.withdraw(message.id, "wrong-patient")
        (envelope,) = await service.queued(QUEUE)
        assert await at.file(envelope) == []
        assert (await at.changes.of(message.id))[0].kind is Change.WITHDRAWN


async def test_a_change_that_nobody_ordered_is_the_queues_own_fault(service: Service) -> None:
    """An event for a change without a filing is parked, and sends nothing."""
    async with hospital(service) as at:
        message = await at.filed()
        await at.correct.withdraw(message.id, "wrong-patient")
        (envelope,) = await service.queued(QUEUE)
        body = envelope.body.replace(b".1", b".9")
        sent = len(at.epd.frames)
        with pytest.raises(MessageFault) as raised:
            await at.file(type(envelope)(f"{message.id}.9", envelope.kind, body, envelope.headers))
        assert (raised.value.reason, len(at.epd.frames)) == ("not_in_store", sent)


@pytest.mark.parametrize("corrected", [False, True])
async def test_a_reply_to_a_correction_finds_its_thread(service: Service, corrected: bool) -> None:
    """There and back: the sandbox's clinician answers a document, or the one that replaced it, in the same thread."""
    async with hospital(service) as at:
        message = await at.filed()
        number = message.id
        if corrected:
            number = (await at.correct.correct(message.id, BETTER, "typo")).document
            await at.carry_out()
        back = Receiving(service)
        async with back.listening() as listener:
            said = await at.epd.reply(number, "Dat mag | gerust\nTot ziens", "127.0.0.1", listener.port)
        assert "MSA|AA|" in said
        assert await back.texts(message.id) == ["Dat mag | gerust\nTot ziens"]


async def test_both_second_answers_meet_in_the_receive_step(service: Service) -> None:
    """An ACK message at the listener, taken by the receive step as it is wired: AA, and the message is filed."""
    epd = {"profile": {"enhanced": True, "accept_ack": "AL"}, "application_ack_on": "listener"}
    async with hospital(service, "commit-only", listener=Listener(listen="127.0.0.1:0"), **epd) as at:
        message = await at.filed()
        back = Receiving(service)
        back.receive._acknowledged = at.acknowledged
        control_id = (await at.filing(message.id)).last_control_id
        header = "MSH|^~\\&|EPD||MESSAGING||20260101||ACK^T02^ACK|E1|P|2.5"
        assert b"MSA|AA|E1" in await back.raw(f"{header}\rMSA|AA|{control_id}\r")
        assert (await at.filing(message.id)).state is FilingState.FILED
        assert b"ERR||MSA^1^2|204" in await back.raw(f"{header.replace('E1', 'E2')}\rMSA|AA|NEVER-SENT\r")
