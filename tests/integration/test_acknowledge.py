"""The application acknowledgement that comes later, as a message of its own."""

from __future__ import annotations

import pytest

from messaging_service.application.topology import PARK, file_queue, notify_queue
from messaging_service.domain.errors import Conflict, MessageFault
from messaging_service.domain.events import MessageFiled
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Lane
from messaging_service.epd.acknowledgement import AckUnreadable
from messaging_service.tenants import Listener
from tests.parts.filing import Hospital, hospital
from tests.parts.service import Service, enveloped, event_in, persisted_event

ENHANCED = {"profile": {"enhanced": True, "accept_ack": "AL"}}
LATER = {**ENHANCED, "application_ack_on": "listener", "listener": Listener(listen="127.0.0.1:0")}
QUEUE = file_queue("spijkenisse", Lane.NORMAL)


def answer(control_id: str, code: str = "AA", error: str = "") -> bytes:
    err = f"ERR|||{error}^x^HL70357|E\r" if error else ""
    return f"MSH|^~\\&|EPD||M||20260101||ACK^T02|E1|P|2.5\rMSA|{code}|{control_id}\r{err}".encode()


async def control_id(at: Hospital, id: str) -> str:
    return (await at.filing(id)).attempts[-1].control_id


async def codes(at: Hospital, id: str) -> list[str]:
    return [attempt.code for attempt in (await at.filing(id)).attempts]


async def test_on_the_connection_both_answers_make_it_filed(service: Service) -> None:
    """CA and then AA on one connection: filed, by the application's own answer."""
    async with hospital(service, "commit", **ENHANCED) as at:
        message = await at.filed()
        assert ((await at.filing(message.id)).state, await codes(at, message.id)) == (FilingState.FILED, ["AA"])


async def test_a_commit_alone_is_a_delivery(service: Service) -> None:
    """CA and then silence: delivered, not sent again."""
    async with hospital(service, "commit-only", ack_timeout=0.2, **ENHANCED) as at:
        message = await at.filed()
        assert (await at.filing(message.id)).state is FilingState.DELIVERED
        assert len(at.epd.frames) == 1


async def test_a_commit_that_is_all_there_will_be_is_the_filing(service: Service) -> None:
    """With MSH-16 NE the site agreed that CA says it all."""
    profile = {"enhanced": True, "accept_ack": "AL", "application_ack": "NE"}
    async with hospital(service, "commit-only", profile=profile) as at:
        message = await at.filed()
        assert (await at.filing(message.id)).state is FilingState.FILED


async def test_it_comes_to_the_listener(service: Service) -> None:
    """CA: delivered. AA to the listener: filed, the portal is told; the same again changes nothing."""
    async with hospital(service, "commit-only", **LATER) as at:
        message = await at.filed()
        assert (await at.filing(message.id)).state is FilingState.DELIVERED
        raw = answer(await control_id(at, message.id))
        assert [await at.acknowledged(at.tenant, raw) for _ in range(2)] == [True, True]
        assert ((await at.filing(message.id)).state, await codes(at, message.id)) == (FilingState.FILED, ["CA", "AA"])
        (told,) = await service.queued(notify_queue("spijkenisse"))
        assert event_in(told, MessageFiled).message == message.id


async def test_a_refusal_that_comes_later_is_parked(service: Service) -> None:
    """AE 204 after CA: a person has it, with the code as the reason."""
    async with hospital(service, "commit-only", **LATER) as at:
        message = await at.filed()
        raw = answer(await control_id(at, message.id), "AE", "204")
        await at.acknowledged(at.tenant, raw)
        (parked,) = await service.queued(PARK)
        assert parked.headers["reason"] == "AE-204"
        assert await at.park_all() == [message.id]
        assert (await at.filing(message.id)).state is FilingState.PARKED
        assert await at.acknowledged(at.tenant, answer(await control_id(at, message.id)))
        assert (await at.filing(message.id)).state is FilingState.PARKED


async def test_a_refusal_for_now_is_sent_again_and_in_the_end_parked(service: Service) -> None:
    """AR after CA: again under a new control id and the same document; after four refusals a person is told."""
    async with hospital(service, "commit-only", **LATER) as at:
        message = await at.filed()
        used = []
        for _ in range(3):
            used.append(await control_id(at, message.id))
            await at.acknowledged(at.tenant, answer(used[-1], "AR"))
            assert (await at.filing(message.id)).state is FilingState.WAITING
            assert await at.carry_out(1) == [message.id]
        await at.acknowledged(at.tenant, answer(await control_id(at, message.id), "AR"))
        assert await at.park_all() == [message.id]
        assert len({*used, await control_id(at, message.id)}) == 4
        assert at.epd.inbox[message.id].count == 4
        next = await at.filed()
        assert service.operations.keys == ["epd-refuses spijkenisse"]  # CA is no filing
        service.clock.minutes(1)
        await at.acknowledged(at.tenant, answer(await control_id(at, next.id)))
        assert service.operations.told[1:] == [("epd-refuses spijkenisse", "spijkenisse: the EPD files again")]


async def test_a_crash_after_it_was_written_is_made_up_for(service: Service) -> None:
    """Written down but not queued: the EPD, unanswered, sends it again, and then it is queued."""
    async with hospital(service, "commit-only", **LATER) as at:
        message = await at.filed()
        raw = answer(await control_id(at, message.id), "AR")
        await at.acknowledged(at.tenant, raw)
        async with service.broker.inner.consume(QUEUE, 1) as deliveries:
            await (await anext(deliveries)).ack()
        await at.acknowledged(at.tenant, raw)
        assert await at.carry_out(1) == [message.id]
        assert await codes(at, message.id) == ["CA", "AR", "CA"]


async def test_it_settles_what_was_unknown(service: Service) -> None:
    """Sent and unanswered, and then AA at the listener: filed, and the copy in the queue sends nothing."""
    async with hospital(service, "hang", ack_timeout=0.1, **LATER) as at:
        message = await service.persisted()
        with pytest.raises(MessageFault, match="ack-unknown"):
            await at.file(enveloped(persisted_event(message)))
        await at.acknowledged(at.tenant, answer(await control_id(at, message.id)))
        assert ((await at.filing(message.id)).state, await codes(at, message.id)) == (FilingState.FILED, ["AA"])
        await at.file(enveloped(persisted_event(message)))
        assert len(at.epd.frames) == 1


async def test_while_it_is_being_sent_the_epd_is_to_come_back(service: Service) -> None:
    """The acknowledgement overtakes its commit: Conflict, and nothing is changed under the file step's hands."""
    async with hospital(service, **LATER) as at:
        message = await service.persisted()
        sending = await service.threads.change((await at.filing(message.id)).sending(service.clock()))
        with pytest.raises(Conflict):
            await at.acknowledged(at.tenant, answer(sending.last_control_id))


async def test_what_was_never_sent_is_not_acknowledged(service: Service) -> None:
    """An unknown control id, or one of another tenant's, is false; no HL7 is AckUnreadable."""
    async with hospital(service, **LATER) as at:
        message = await at.filed()
        raw = answer(await control_id(at, message.id))
        assert not await at.acknowledged(service.tenants["sein"], raw)
        assert not await at.acknowledged(at.tenant, answer("NEVER-SENT"))
        with pytest.raises(AckUnreadable):
            await at.acknowledged(at.tenant, b"no HL7")
