"""Clinicians' replies out of the EPD: into the right thread, once, readable by its patient, and away again."""

from __future__ import annotations

import asyncio

import pytest

from messaging_service.application.collections import (
    ACCESS_LOG,
    MESSAGES,
    RECEIVED,
    REPLY_VERSIONS,
    THREADS,
    UNMATCHED,
)
from messaging_service.application.read import MessageView
from messaging_service.application.receive_readers import ReplyNotFound, readers
from messaging_service.application.topology import notify_queue
from messaging_service.domain.errors import Conflict, SettingInvalid
from messaging_service.domain.events import ReplyChanged, ReplyReceived, ReplyWithdrawn
from messaging_service.domain.message import Identifier
from messaging_service.domain.refusals import NotFound
from tests.parts.epd_sender import code, document, msh, place, result
from tests.parts.receiving import Receiving
from tests.parts.service import Service, event_in

NOTIFY = notify_queue("spijkenisse")
LATER, LATEST = "20260528130000+0200", "20260528140000+0200"


@pytest.fixture
def receiving(service: Service) -> Receiving:
    """The receive step of Spijkenisse."""
    return Receiving(service)


async def reply_in(receiving: Receiving, thread: str) -> MessageView:
    """The one reply shown in a thread."""
    (reply,) = [view for view in await receiving.shown(thread) if view.reply]
    return reply


async def events(service: Service) -> list[tuple[str, str]]:
    """What the portal is to be told: kind and message."""
    return [(envelope.kind, envelope.message_id) for envelope in await service.queued(NOTIFY)]


async def test_a_reply_comes_into_its_thread(service: Service, receiving: Receiving) -> None:
    """TXA-13 names our message: the reply stands in its thread with clinician, role and time; the portal is told."""
    asked = await service.persisted()
    await receiving.taken(document("Komt u <maandag>?", parent=asked.id))
    reply = await reply_in(receiving, asked.thread)
    assert reply.reply is not None
    assert (reply.reply.content.clean, reply.reply.name, reply.reply.role) == (
        "Komt u <maandag>?",
        "dr. Anna de Vries",
        "MD",
    )
    assert (await receiving.threads())[0].messages[0].id == reply.id
    (envelope,) = await service.queued(NOTIFY)
    assert event_in(envelope, ReplyReceived) == ReplyReceived(reply.id, "spijkenisse", asked.thread, service.clock())
    (entry,) = [
        e for e in await service.all(ACCESS_LOG, "of_patient", patient=asked.patient) if e["object"] == reply.id
    ]
    assert (entry["action"], entry["object_kind"], entry["basis"]) == ("create", "reply", "parent")


@pytest.mark.parametrize(
    "message",
    [
        document(trigger="T06", parent="{id}"),
        document(parent="{id}^MESSAGING"),
        document(placer="{id}"),
        document(placer="{id}", parent="ELDERS"),
        result(placer="{id}"),
        document(ward="cardiology"),
        document(ward="cardiology", parent="NEVERSENT"),
    ],
)
async def test_every_way_to_name_the_thread(service: Service, receiving: Receiving, message: str) -> None:
    """By parent with or without authority, by placer, as a result, else by patient and department."""
    asked = await service.persisted(department="cardiology")
    await receiving.taken(message.replace("{id}", asked.id))
    assert len(await receiving.texts(asked.thread)) == 1


async def test_a_clinician_begins_a_thread(service: Service, receiving: Receiving) -> None:
    """Without a parent, for a known patient in a known department: a thread of its own, and an answer goes into it."""
    await service.persisted(department="internal")
    service.clock.minutes(1)
    await receiving.taken(document("Uw afspraak is verzet.", ward="cardiology"))
    newest = (await receiving.threads())[0]
    assert newest.messages[0].reply is not None
    answered = await service.persisted(service.accepted(thread=newest.id))
    assert answered.place == 2
    assert await service.threads.predecessor(answered) is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (document(parent="NEVERSENT"), "parent_unknown"),
        (document(), "department_unknown"),
        (document(patient="777^^^ZKH^PI", parent="{id}"), "patient_unknown"),
        (document(patient="5678^^^ZKH^PI", parent="{id}"), "patient_differs"),
        (document(patient="1234^^^ZKH^PI~999911120^^^NLMINBIZA^NNNLD", parent="{id}"), "identifiers_differ"),
        (document(trigger="T11"), "nothing_to_withdraw"),
    ],
)
async def test_what_belongs_nowhere_for_certain_is_listed(
    service: Service, receiving: Receiving, message: str, reason: str
) -> None:
    """Answered AA, shown to nobody, sealed, listed with its reason, told to operations once."""
    asked = await service.persisted(department="internal")
    await service.persisted(patient="5678")
    await service.patients.ensure("spijkenisse", (Identifier("bsn", "999911120"),), "B")
    ward = "cardiology" if reason == "parent_unknown" else "NOWHERE"
    await receiving.taken(*[message.replace("{id}", asked.id).replace("|CARD\r", f"|{ward}\r")] * 2)
    (listed,) = await receiving.unmatched.listed()
    assert (listed.reason, listed.document, listed.sender) == (reason, "D1", "EPD")
    assert b"maandag" not in listed.sealed
    assert [view.id for view in await receiving.shown(asked.thread)] == [asked.id]
    assert service.operations.keys == ["unmatched spijkenisse"]


async def test_operations_bind_what_is_unmatched(service: Service, receiving: Receiving) -> None:
    """Bound to a thread, all versions of the document appear there at their newest; the alert ends."""
    asked = await service.persisted()
    await receiving.taken(
        document("eerst", parent="X"), document("beter", trigger="T08", control="C2", parent="X", at=LATER)
    )
    first, _ = await receiving.unmatched.listed()
    with pytest.raises(SettingInvalid):
        await receiving.bind(first, "elders")
    await receiving.bind(first, asked.thread)
    assert await events(service)
    assert await receiving.texts(asked.thread) == ["beter"]
    assert await receiving.unmatched.listed() == []
    assert service.operations.keys == ["unmatched spijkenisse"] * 2
    assert {each["sealed"] for each in await service.all(UNMATCHED, "by_state", state="bound")} == {b""}


async def test_operations_close_what_is_unmatched(service: Service, receiving: Receiving) -> None:
    """Closed with a remark it is off the list; settling what somebody else settled is a conflict."""
    await receiving.taken(document(parent="X"))
    (listed,) = await receiving.unmatched.listed()
    await receiving.unmatched.settle(listed, "closed", "belongs to another hospital")
    with pytest.raises(Conflict):
        await receiving.unmatched.settle(listed, "closed", "again")
    with pytest.raises(SettingInvalid):
        await receiving.unmatched.settle(await receiving.unmatched.show(listed.id), "closed", "again")
    assert await receiving.unmatched.listed() == []
    await receiving.taken(document(parent="X"))
    assert await receiving.unmatched.listed() == [], "the same message again opens nothing"


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
    reply = await reply_in(receiving, asked.thread)
    versions = await service.all(REPLY_VERSIONS, "of_message", message=reply.id)
    assert len(versions) == 2
    assert not any(b"eerst" in version["sealed"] for version in versions)
    assert await events(service) == [("ReplyReceived", reply.id), ("ReplyChanged", reply.id)]
    assert event_in((await service.queued(NOTIFY))[1], ReplyChanged).changed_at == 1_779_966_000_000


async def test_a_withdrawn_reply_is_gone_at_once(service: Service, receiving: Receiving) -> None:
    """T11: not in the thread, not in the list, not by its id; the portal is told; T11 on a replacement counts too."""
    asked = await service.persisted()
    await receiving.taken(
        document("voor een ander", parent=asked.id),
        document("nog steeds", trigger="T10", control="C2", number="D2", parent="D1", at=LATER),
    )
    reply = await reply_in(receiving, asked.thread)
    await receiving.taken(document(trigger="T11", control="C3", number="D2", patient="5678^^^ZKH^PI", at=LATEST))
    assert await receiving.texts(asked.thread) == []
    assert (await receiving.threads())[0].messages[0].id == asked.id
    with pytest.raises(NotFound):
        await receiving.reader.message(receiving.writer(), reply.id)
    told = (await service.queued(NOTIFY))[-1]
    assert event_in(told, ReplyWithdrawn).message == reply.id


async def test_who_read_a_reply_can_be_listed(service: Service, receiving: Receiving) -> None:
    """Readings between its coming and its withdrawal, by message, thread and list; none from elsewhere."""
    asked, other = await service.persisted(), await service.persisted()
    await receiving.shown(asked.thread)
    service.clock.minutes(1)
    await receiving.taken(document(parent=asked.id))
    service.clock.minutes(1)
    reply = await reply_in(receiving, asked.thread)
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


async def test_nobody_elses(service: Service, receiving: Receiving) -> None:
    """Another patient sees neither the reply nor its thread; another tenant's thread is not matched."""
    asked = await service.persisted()
    await service.persisted(patient="5678")
    await receiving.taken(document(parent=asked.id))
    reply = await reply_in(receiving, asked.thread)
    with pytest.raises(NotFound):
        await receiving.shown(asked.thread, "5678")
    with pytest.raises(NotFound):
        await receiving.reader.message(receiving.writer("5678"), reply.id)
    other = Receiving(service, "sein")
    await other.taken(document(parent=asked.id))
    assert [each.reason for each in await other.unmatched.listed()] == ["patient_unknown"]


async def test_the_same_message_again_is_answered_the_same(service: Service, receiving: Receiving) -> None:
    """MSH-3, MSH-10 and bytes the same: the stored AA, byte for byte, and nothing twice."""
    asked = await service.persisted()
    first = await receiving.raw(document(parent=asked.id))
    service.clock.minutes(5)
    assert await receiving.raw(document(parent=asked.id)) == first
    assert len(await receiving.texts(asked.thread)) == len(await events(service)) == 1
    assert service.operations.keys == []


async def test_a_control_id_that_starts_over(service: Service, receiving: Receiving) -> None:
    """Other bytes under the same MSH-10 are a new message, and operations are warned."""
    asked = await service.persisted()
    await receiving.taken(document("een", parent=asked.id), document("twee", number="D2", parent=asked.id))
    assert await receiving.texts(asked.thread) == ["een", "twee"]
    assert service.operations.keys == ["control-id-reused spijkenisse"]


async def test_a_document_sent_again_under_a_new_control_id_is_one_reply(
    service: Service, receiving: Receiving
) -> None:
    """TXA-12 is the key: one reply, and no second sort of event."""
    asked = await service.persisted()
    await receiving.taken(document(parent=asked.id), document(parent=asked.id, control="C2", at=LATER))
    assert len(await receiving.texts(asked.thread)) == 1
    assert {kind for kind, _ in await events(service)} == {"ReplyReceived"}


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
    reply = await reply_in(receiving, asked.thread)
    assert set(await events(service)) == {("ReplyReceived", reply.id)}


async def test_ar_while_the_broker_is_down(service: Service, receiving: Receiving) -> None:
    """Nothing is acknowledged that the portal could not be told of; the repeat tells it."""
    asked = await service.persisted()
    service.broker.down = True
    assert code(await receiving.ack(document(parent=asked.id))) == "AR"
    service.broker.down = False
    await receiving.taken(document(parent=asked.id))
    assert [kind for kind, _ in await events(service)] == ["ReplyReceived"]


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
    for each in await receiving.unmatched.listed():
        if each.told == "changed":
            await receiving.bind(each, asked.thread)
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


async def test_an_acknowledgement_of_its_own(service: Service, receiving: Receiving) -> None:
    """Enhanced mode's second answer on the listener: handed on; of nothing that was sent: AE with MSA-2."""
    ack = msh("ACK^T02^ACK", "K1") + "\rMSA|AA|OURS\r"
    await receiving.taken(ack, ack)
    assert receiving.acknowledgements == [ack.encode()]
    unknown = await receiving.ack(ack.replace("K1", "K2").replace("OURS", "OTHER"))
    assert (code(unknown), place(unknown)) == ("AE", ("MSA^1^2", "204"))


async def test_withdrawn_at_the_moment_it_comes(service: Service, receiving: Receiving) -> None:
    """The withdrawal comes just before the reply is stored, when there is nothing to withdraw yet: never shown."""
    asked = await service.persisted()
    other = Receiving(service.another())

    async def withdrawn_meanwhile() -> None:
        await other.taken(document(trigger="T11", control="C2", at=LATER))

    service.store.meanwhile("insert", MESSAGES, withdrawn_meanwhile)
    await receiving.taken(document(parent=asked.id))
    assert await receiving.texts(asked.thread) == []


async def test_html_is_cleaned_and_text_stays_as_it_is(service: Service, receiving: Receiving) -> None:
    """Script goes, links stay; what was written is kept beside the clean form; plain text meets no cleaner."""
    asked = await service.persisted()
    html = "^TEXT^HTML^A^<b>Ja</b><script>alert(1)</script>"
    await receiving.taken(
        document(html, parent=asked.id).replace("OBX|1|TX|", "OBX|1|ED|"),
        document("a <script> b", parent=asked.id, number="D2", control="C2"),
    )
    one, two = [view.reply for view in await receiving.shown(asked.thread) if view.reply]
    assert (one.content.clean, "alert" in one.content.typed) == ("<b>Ja</b>", True)
    assert two.content.clean == "a <script> b"


async def test_nothing_lies_open(service: Service, receiving: Receiving) -> None:
    """Text, name and numbers of patient and document's text are nowhere readable in the store."""
    asked = await service.persisted()
    await receiving.taken(document("Zeer geheim", parent=asked.id), document("Zeer geheim", control="C2", parent="X"))
    found = []
    for collection, index, equal in (
        (MESSAGES, "in_thread", {"thread": asked.thread}),
        (UNMATCHED, "by_state", {"state": "open"}),
        (RECEIVED, "by_time", {"tenant": "spijkenisse"}),
    ):
        found += await service.all(collection, index, **equal)
    assert len(found) >= 4
    for private in ("geheim", "Vries", "1234", "Jansen"):
        assert private not in str(found)


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
