"""Clinicians' replies out of the EPD: into the right thread, readable by its patient and nobody else."""

from __future__ import annotations

import pytest

from messaging_service.application.collections import (
    ACCESS_LOG,
    MESSAGES,
    RECEIVED,
    UNMATCHED,
)
from messaging_service.application.compose import Compose
from messaging_service.application.topology import notify_queue
from messaging_service.domain.errors import Conflict, SettingInvalid
from messaging_service.domain.events import ReplyReceived
from messaging_service.domain.message import Identifier
from messaging_service.domain.refusals import NotFound
from tests.parts.epd_sender import document, result
from tests.parts.receiving import Receiving
from tests.parts.service import Service, event_in

NOTIFY = notify_queue("spijkenisse")
LATER, LATEST = "20260528130000+0200", "20260528140000+0200"


@pytest.fixture
def receiving(service: Service) -> Receiving:
    """The receive step of Spijkenisse."""
    return Receiving(service)


async def test_a_reply_comes_into_its_thread(service: Service, receiving: Receiving) -> None:
    """TXA-13 names our message: the reply stands in its thread with clinician, role and time; the portal is told."""
    asked = await service.persisted()
    await receiving.taken(document("Komt u <maandag>?", parent=asked.id))
    reply = await receiving.reply_in(asked.thread)
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
    assert await receiving.events()
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


async def test_nobody_elses(service: Service, receiving: Receiving) -> None:
    """Another patient sees neither the reply nor its thread; another tenant's thread is not matched."""
    asked = await service.persisted()
    await service.persisted(patient="5678")
    await receiving.taken(document(parent=asked.id))
    reply = await receiving.reply_in(asked.thread)
    with pytest.raises(NotFound):
        await receiving.shown(asked.thread, "5678")
    with pytest.raises(NotFound):
        await receiving.reader.message(receiving.writer("5678"), reply.id)
    other = Receiving(service, "sein")
    await other.taken(document(parent=asked.id))
    assert [each.reason for each in await other.unmatched.listed()] == ["patient_unknown"]


async def test_an_answer_to_a_clinician_is_filed_under_their_document(service: Service, receiving: Receiving) -> None:
    """In a thread that a clinician began, TXA-13 names that document by the number that the EPD knows."""
    await service.persisted(department="internal")
    service.clock.minutes(1)
    await receiving.taken(document("Uw afspraak is verzet.", ward="cardiology", number="D77^EPD"))
    begun = (await receiving.threads())[0]
    answered = await service.persisted(service.accepted(thread=begun.id))
    compose = Compose(service.patients, service.threads)
    assert (await compose(receiving.tenant, answered, None, "K1", service.clock())).thread == "D77"


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
