"""Replies that change, are replaced or withdrawn, in whatever order they come."""

from __future__ import annotations

import asyncio
import random

import pytest

from messaging_service.application.collections import (
    ACCESS_LOG,
    MESSAGES,
    RECEIVED,
    REPLACEMENTS,
    REPLY_VERSIONS,
    UNMATCHED,
)
from messaging_service.application.receive_readers import ReplyNotFound, readers
from messaging_service.application.topology import notify_queue
from messaging_service.domain.events import ReplyChanged, ReplyWithdrawn
from messaging_service.domain.refusals import NotFound
from tests.parts.epd_sender import code, document
from tests.parts.receiving import Receiving
from tests.parts.service import Service, event_in

NOTIFY = notify_queue("spijkenisse")
LATER, LATEST = "20260528130000+0200", "20260528140000+0200"


@pytest.fixture
def receiving(service: Service) -> Receiving:
    """The receive step of Spijkenisse."""
    return Receiving(service)


@pytest.mark.parametrize(
    "change",
    [
        document("beter", trigger="T08", control="C2", at=LATER),
        document("beter", trigger="T10", control="C2", at=LATER, number="D2", parent="D1"),
        document("beter", control="C2", at=LATER),
    ],
)
async def test_a_changed_reply_reads_otherwise(service: Service, receiving: Receiving, change: str) -> None:
    """T08, T10 and another T02 under the same number replace what is shown; the old version stays, sealed."""
    asked = await service.persisted()
    await receiving.taken(document("eerst", parent=asked.id), change)
    assert await receiving.texts(asked.thread) == ["beter"]
    reply = await receiving.reply_in(asked.thread)
    versions = await service.all(REPLY_VERSIONS, "of_message", message=reply.id)
    assert len(versions) == 2
    assert not any(b"eerst" in version["sealed"] for version in versions)
    assert await receiving.events() == [("ReplyReceived", reply.id), ("ReplyChanged", reply.id)]
    assert event_in((await service.queued(NOTIFY))[1], ReplyChanged).changed_at == 1_779_966_000_000


async def test_a_withdrawn_reply_is_gone_at_once(service: Service, receiving: Receiving) -> None:
    """T11: not in the thread, not in the list, not by its id; the portal is told; T11 on a replacement counts too."""
    asked = await service.persisted()
    await receiving.taken(
        document("voor een ander", parent=asked.id),
        document("nog steeds", trigger="T10", control="C2", number="D2", parent="D1", at=LATER),
    )
    reply = await receiving.reply_in(asked.thread)
    await receiving.taken(document(trigger="T11", control="C3", number="D2", patient="5678^^^ZKH^PI", at=LATEST))
    assert await receiving.texts(asked.thread) == []
    assert (await receiving.threads())[0].messages[0].id == asked.id
    with pytest.raises(NotFound):
        await receiving.reader.message(receiving.writer(), reply.id)
    told = (await service.queued(NOTIFY))[-1]
    assert event_in(told, ReplyWithdrawn).message == reply.id


async def test_a_thread_of_nothing_but_a_withdrawn_reply_is_gone(service: Service, receiving: Receiving) -> None:
    """A clinician began it for the wrong patient: the thread is not there any more, and holds nothing in the list."""
    await service.persisted(department="internal")
    service.clock.minutes(1)
    await receiving.taken(document("voor een ander", ward="cardiology"))
    begun = (await receiving.threads())[0]
    assert begun.messages
    await receiving.taken(document(trigger="T11", control="C2", at=LATER))
    with pytest.raises(NotFound):
        await receiving.shown(begun.id)
    assert [thread.messages for thread in await receiving.threads() if thread.id == begun.id] == [()]


async def test_who_read_a_reply_can_be_listed(service: Service, receiving: Receiving) -> None:
    """Readings between its coming and its withdrawal, by message, thread and list; none from elsewhere."""
    asked, other = await service.persisted(), await service.persisted()
    await receiving.shown(asked.thread)
    service.clock.minutes(1)
    await receiving.taken(document(parent=asked.id))
    service.clock.minutes(1)
    reply = await receiving.reply_in(asked.thread)
    await receiving.threads()
    await receiving.reader.message(receiving.writer(), reply.id)
    await receiving.shown(other.thread)
    service.clock.minutes(1)
    await receiving.taken(document(trigger="T11", control="C2", at=LATER))
    service.clock.minutes(1)
    await receiving.shown(asked.thread)
    found = await readers(service.store, service.threads, reply.id)
    assert [each.object_kind for each in found] == ["thread", "threads", "message"]
    assert {each.role for each in found} == {"patient"}
    with pytest.raises(ReplyNotFound):
        await readers(service.store, service.threads, asked.id)


async def test_another_patients_document_number_never_changes_a_reply(service: Service, receiving: Receiving) -> None:
    """The same number for another patient is no change of this one's reply: it goes on the list."""
    asked = await service.persisted()
    await service.persisted(patient="5678")
    await receiving.taken(document("eerst", parent=asked.id))
    await receiving.taken(document("van een ander", trigger="T08", control="C2", patient="5678^^^ZKH^PI", at=LATER))
    assert await receiving.texts(asked.thread) == ["eerst"]
    assert [each.reason for each in await receiving.unmatched.listed()] == ["patient_differs"]


async def test_a_document_sent_again_under_a_new_control_id_is_one_reply(
    service: Service, receiving: Receiving
) -> None:
    """TXA-12 is the key: one reply, and no second sort of event."""
    asked = await service.persisted()
    await receiving.taken(document(parent=asked.id), document(parent=asked.id, control="C2", at=LATER))
    assert len(await receiving.texts(asked.thread)) == 1
    assert {kind for kind, _ in await receiving.events()} == {"ReplyReceived"}


async def test_two_versions_at_once(service: Service, receiving: Receiving) -> None:
    """Original, change and repeat over two processes at the same moment: the newest is shown, in one place."""
    asked = await service.persisted()
    other = Receiving(service.another())
    first, second = (
        document("eerst", parent=asked.id),
        document("beter", trigger="T08", control="C2", parent=asked.id, at=LATER),
    )
    await asyncio.gather(*(each.taken(message) for each in (receiving, other) for message in (first, second)))
    assert await receiving.texts(asked.thread) == ["beter"]
    assert [message.place for message in await service.threads.messages_in(asked.thread)] == [1, 2]


@pytest.mark.parametrize(
    "order",
    [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)],
)
@pytest.mark.parametrize("last", ["T08", "T11"])
async def test_any_order_ends_the_same(
    service: Service, receiving: Receiving, order: tuple[int, ...], last: str
) -> None:
    """Original, replacement and last word in every order end as in order."""
    asked = await service.persisted()
    messages = [
        document("een", parent=asked.id),
        document("twee", trigger="T10", control="C2", number="D2", parent="D1", at=LATER),
        document("drie", trigger=last, control="C3", number="D1", parent=asked.id, at=LATEST),
    ]
    for number in order:
        assert code(await receiving.ack(messages[number])) == "AA"
    assert await receiving.texts(asked.thread) == ([] if last == "T11" else ["drie"])
    assert await receiving.unmatched.listed() == []


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("last", ["T08", "T10", "T11"])
async def test_what_replaced_a_replacement(
    service: Service, receiving: Receiving, order: tuple[int, ...], last: str
) -> None:
    """A document, its replacement, and the last word on the replacement, before that came or after it: the same end."""
    asked = await service.persisted()
    messages = [
        document("een", parent=asked.id),
        document("twee", trigger="T10", control="C2", number="D2", parent="D1", placer=asked.id, at=LATER),
        {
            "T08": document("drie", trigger="T08", control="C3", number="D2", placer=asked.id, at=LATEST),
            "T10": document("drie", trigger="T10", control="C3", number="D3", parent="D2", placer=asked.id, at=LATEST),
            "T11": document(trigger="T11", control="C3", number="D2", at=LATEST),
        }[last],
    ]
    await receiving.taken(*(messages[number] for number in order))
    assert await receiving.texts(asked.thread) == ([] if last == "T11" else ["drie"])
    assert await receiving.unmatched.listed() == []


async def test_withdrawn_at_the_moment_it_comes(service: Service, receiving: Receiving) -> None:
    """The withdrawal comes just before the reply is stored, when there is nothing to withdraw yet: never shown."""
    asked = await service.persisted()
    other = Receiving(service.another())

    async def withdrawn_meanwhile() -> None:
        await other.taken(document(trigger="T11", control="C2", at=LATER))

    service.store.meanwhile("insert", MESSAGES, withdrawn_meanwhile)
    await receiving.taken(document(parent=asked.id))
    assert await receiving.texts(asked.thread) == []


def a_correspondence(chance: random.Random, threads: list[str]) -> list[str]:
    """Documents in these threads: written, changed, replaced along a chain, some withdrawn in the end."""
    made: list[str] = []

    def say(text: str, **how: str) -> None:
        number = len(made)
        made.append(
            document(
                text,
                control=f"C{number}",
                ward="cardiology",
                at=f"2026052{number // 24}{number % 24:02}0000+0200",
                **how,
            )
        )

    for number in range(12):
        thread, last = threads[number % len(threads)], f"D{number}"
        say(f"{number} eerst", number=last, parent=thread)
        for version in range(chance.randrange(3)):
            if chance.random() < 0.5:
                say(f"{number} T08 {version}", trigger="T08", number=last, parent=thread)
            else:
                say(f"{number} T10 {version}", trigger="T10", number=f"{last}.{version}", parent=last)
                last = f"{last}.{version}"
        if chance.random() < 0.4:
            say("", trigger="T11", number=last)
    return made


FAULTS = [
    ("insert", REPLY_VERSIONS),
    ("insert", MESSAGES),
    ("replace", MESSAGES),
    ("insert", REPLACEMENTS),
    ("insert", UNMATCHED),
    ("replace", UNMATCHED),
    ("insert", ACCESS_LOG),
    ("insert", RECEIVED),
]


@pytest.mark.parametrize("seed", range(6))
async def test_any_order_with_faults_ends_as_in_order(service: Service, receiving: Receiving, seed: int) -> None:
    """A correspondence in random order, with repeats and faults, reads as it was written, and nothing is left over."""
    chance = random.Random(seed)
    threads = [(await service.persisted(department="cardiology")).id for _ in range(3)]
    told = a_correspondence(chance, threads)
    expected = _as_written(told)
    shuffled = [*told, *chance.sample(told, 5)]
    chance.shuffle(shuffled)
    for operation, collection in FAULTS:
        for done in (False, True):
            service.store.fail(operation, collection, done=done, passing=chance.randrange(8))
    for message in shuffled:
        async with asyncio.timeout(20):
            while code(await receiving.ack(message)) != "AA":
                pass
    assert {thread: sorted(await receiving.texts(thread)) for thread in threads} == {
        thread: sorted(expected.get(thread, [])) for thread in threads
    }
    assert await receiving.unmatched.listed() == []


def _as_written(told: list[str]) -> dict[str, list[str]]:
    """What is to be read in each thread, by a reckoning of its own: the last word on each document counts."""
    place: dict[str, str] = {}
    thread_of: dict[str, str] = {}
    said: dict[str, str | None] = {}
    for message in told:
        txa = next(line.split("|") for line in message.split("\r") if line.startswith("TXA"))
        trigger, number, parent = message.split("|")[8][4:7], txa[12], txa[13]
        text = next((line.split("|")[5] for line in message.split("\r") if line.startswith("OBX")), None)
        place[number] = place[parent] if trigger == "T10" else place.get(number, number)
        if trigger == "T02":
            thread_of[number] = parent
        said[place[number]] = text
    found: dict[str, list[str]] = {}
    for number, text in said.items():
        if text is not None:
            found.setdefault(thread_of[number], []).append(text)
    return found
