"""What the EPD is answered: AA when durable, the same again for the same, AR while we cannot, AE for the rest."""

from __future__ import annotations

import pytest

from messaging_service.application.collections import (
    ACCESS_LOG,
    MESSAGES,
    RECEIVED,
    REPLY_VERSIONS,
    THREADS,
)
from tests.parts.epd_sender import code, document, msh, place
from tests.parts.receiving import Receiving
from tests.parts.service import Service


@pytest.fixture
def receiving(service: Service) -> Receiving:
    """The receive step of Spijkenisse."""
    return Receiving(service)


async def test_the_same_message_again_is_answered_the_same(service: Service, receiving: Receiving) -> None:
    """MSH-3, MSH-10 and bytes the same: the stored AA, byte for byte, and nothing twice."""
    asked = await service.persisted()
    first = await receiving.raw(document(parent=asked.id))
    service.clock.minutes(5)
    assert await receiving.raw(document(parent=asked.id)) == first
    assert len(await receiving.texts(asked.thread)) == len(await receiving.events()) == 1
    assert service.operations.keys == []


async def test_a_control_id_that_starts_over(service: Service, receiving: Receiving) -> None:
    """Other bytes under the same MSH-10 are a new message, and operations are warned."""
    asked = await service.persisted()
    await receiving.taken(document("een", parent=asked.id), document("twee", number="D2", parent=asked.id))
    assert await receiving.texts(asked.thread) == ["een", "twee"]
    assert service.operations.keys == ["control-id-reused spijkenisse"]


WRITES = [
    ("insert", THREADS),
    ("insert", MESSAGES),
    ("insert", REPLY_VERSIONS),
    ("insert", ACCESS_LOG),
    ("insert", RECEIVED),
    ("get", RECEIVED),
    ("find", REPLY_VERSIONS),
]


@pytest.mark.parametrize(("operation", "collection"), WRITES)
@pytest.mark.parametrize("done", [False, True])
async def test_ar_while_the_store_fails_and_the_repeat_mends(
    service: Service, receiving: Receiving, operation: str, collection: object, done: bool
) -> None:
    """Whichever write fails, before or after it was done: AR with 207, and the repeat ends with everything once."""
    asked = await service.persisted()
    service.store.fail(operation, collection, done=done)  # type: ignore[arg-type]
    ack = await receiving.ack(document(parent=asked.id))
    assert (code(ack), place(ack)) == ("AR", ("MSH^1", "207"))
    await receiving.taken(document(parent=asked.id))
    assert len(await receiving.texts(asked.thread)) == 1
    reply = await receiving.reply_in(asked.thread)
    assert set(await receiving.events()) == {("ReplyReceived", reply.id)}


async def test_ar_while_the_broker_is_down(service: Service, receiving: Receiving) -> None:
    """Nothing is acknowledged that the portal could not be told of; the repeat tells it."""
    asked = await service.persisted()
    service.broker.down = True
    assert code(await receiving.ack(document(parent=asked.id))) == "AR"
    service.broker.down = False
    await receiving.taken(document(parent=asked.id))
    assert [kind for kind, _ in await receiving.events()] == ["ReplyReceived"]


async def test_an_acknowledgement_of_its_own(service: Service, receiving: Receiving) -> None:
    """Enhanced mode's second answer on the listener: handed on; of nothing that was sent: AE with MSA-2."""
    ack = msh("ACK^T02^ACK", "K1") + "\rMSA|AA|OURS\r"
    await receiving.taken(ack, ack)
    assert receiving.acknowledgements == [ack.encode()]
    unknown = await receiving.ack(ack.replace("K1", "K2").replace("OURS", "OTHER"))
    assert (code(unknown), place(unknown)) == ("AE", ("MSA^1^2", "204"))


async def test_an_error_of_our_own_is_answered_and_told(
    service: Service, receiving: Receiving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault nobody foresaw: AE, so that the next message is not held up, and a person is told."""

    async def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(receiving.replies, "take", broken)
    ack = await receiving.ack(document())
    assert (code(ack), place(ack)) == ("AE", ("MSH^1", "207"))
    assert service.operations.keys == ["receive-fails spijkenisse"]
