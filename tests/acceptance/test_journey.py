"""The journey of a message from the portal's post to the EPD inbox, over RabbitMQ and MongoDB."""

from __future__ import annotations

import asyncio

import pytest

from tests.parts.patient import ABUSE, URGENT
from tests.parts.system import System
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = (
    '<p>Mijn <b>wond</b> is <a href="javascript:alert(1)">rood</a>.</p><script>alert(1)</script>'
    '<img src=x onerror=alert(1)><p style="position:fixed">Moet ik langskomen?</p>'
)


async def test_an_ordinary_message_is_filed_for_the_care_team_that_treats(system: System, number: str) -> None:
    """202 with everything the portal needs; AA; the text as typed, the care team in the profile's fields."""
    await system.relation("spijkenisse", number, "cardiology")
    patient = system.patient("spijkenisse", number)
    text = "Kan ik mijn afspraak verzetten?\nDonderdag lukt niet; à 10 uur wél."
    answer = await patient.post("Afspraak verzetten", text)
    assert answer.status == 202
    assert answer.body["status"] == "accepted"
    assert answer.body["thread"] == answer.id
    assert answer.body["status_url"] == f"{system.url}/v1/messages/{answer.id}" == answer.headers["Location"]
    assert not answer.body["urgent"]
    assert "notice" not in answer.body
    await patient.until_is(answer.id, "filed")
    document = system.filed("spijkenisse", answer.id)
    assert document.body == text
    assert document.attending.split("^")[:2] == ["cardiology", "Cardiologie poli"]
    assert document.count == 1
    assert not document.urgent
    assert f"{number}^^^ZKH^PI" in document.patient_ids
    shown = (await patient.get(f"/v1/messages/{answer.id}")).body
    assert (shown["body"], shown["subject"], shown["care_team"]) == (text, "Afspraak verzetten", "cardiology")
    assert shown["reply_by"] == answer.body["reply_by"]
    await until(lambda: "message.filed" in system.told.events_of(answer.id), "the portal is told")


async def test_a_patient_nobody_treats_reaches_the_desk_or_the_department_asked_for(
    system: System, number: str
) -> None:
    """Without a relation the triage desk reads it; with a department asked for, that department's team."""
    patient = system.patient("spijkenisse", number)
    to_desk = await patient.post("Vraag", "Bij wie moet ik zijn?")
    to_department = await patient.post("Vraag", "Is mijn verwijzing binnen?", department="gynaecology")
    await patient.until_is(to_desk.id, "filed")
    await patient.until_is(to_department.id, "filed")
    assert system.filed("spijkenisse", to_desk.id).attending.startswith("triage^")
    assert system.filed("spijkenisse", to_department.id).attending.startswith("gynaecology^")


async def test_the_proof_of_filing_is_kept(system: System, number: str) -> None:
    """The one attempt holds control id, time, AA, MSA-2 and a digest; the EPD saw that very control id."""
    patient = system.patient("sein", number)
    answer = await patient.post("Recept", "Graag een herhaalrecept.")
    await patient.until_is(answer.id, "filed")
    filing = await system.command("filing", "show", answer.id)
    (attempt,) = filing["attempts"]
    assert (filing["state"], attempt["code"], attempt["error"]) == ("filed", "AA", "")
    assert system.filed("sein", answer.id).control_ids == [attempt["control_id"]] == [attempt["acknowledged"]]
    assert filing["accepted_at"] <= attempt["sent_at"] <= attempt["acknowledged_at"]
    assert len(bytes.fromhex(attempt["ack_digest"])) == 32


async def test_hostile_markup_is_filed_clean(system: System, number: str) -> None:
    """What can act is gone from the EPD's text and from what the patient is shown; the words stay."""
    patient = system.patient("sein", number)
    answer = await patient.post("Vraag over wond", HOSTILE, format="html")
    await patient.until_is(answer.id, "filed")
    body = system.filed("sein", answer.id).body
    assert "Mijn wond is rood." in body
    assert "Moet ik langskomen?" in body
    shown = (await patient.get(f"/v1/messages/{answer.id}")).body["body"]
    for evil in ("script", "alert", "onerror", "javascript:", "style"):
        assert evil not in body
        assert evil not in shown


async def test_an_urgent_message_raises_the_alarm_and_overtakes_the_normal_lane(system: System, number: str) -> None:
    """The notice is in the 202; on-call is told by webhook and by mail, without content; it is filed first."""
    epd = system.epds["spijkenisse"]
    patient = system.patient("spijkenisse", number, "Van Dijk")
    epd.slow_seconds = 0.5
    await epd.set_mode("slow")
    waiting = [(await patient.post(f"Vraag {n}", f"Is de poli open op dag {n}?")).id for n in range(8)]
    answer = await patient.post("Pijn op de borst", URGENT)
    assert answer.body["urgent"]
    assert "112" in answer.body["notice"]["telephone"]
    await patient.until_is(answer.id, "filed")
    assert system.filed("spijkenisse", answer.id).urgent
    assert not set(waiting) <= set(epd.inbox), "the normal lane was empty before the urgent message came"
    await epd.set_mode("normal")
    await until(lambda: system.told.alarms_of(answer.id), "on-call is told by webhook")
    await until(lambda: system.told.letters_of(answer.id), "on-call is told by mail")
    for told in (*map(str, system.told.alarms_of(answer.id)), *system.told.letters_of(answer.id)):
        for private in ("borst", "linkerarm", number, "Van Dijk"):
            assert private not in told
    for id in waiting:
        await patient.until_is(id, "filed")


async def test_one_alarm_a_thread_at_a_time(system: System, number: str) -> None:
    """A second urgent message of the same thread rings nobody again, and is filed all the same."""
    patient = system.patient("sein", number)
    first = await patient.post("Pijn op de borst", URGENT)
    await until(lambda: system.told.alarms_of(first.id), "on-call is told")
    await patient.until_is(first.id, "filed")
    second = await patient.post("Pijn op de borst", f"{URGENT} Het wordt erger!", thread=first.id)
    await patient.until_is(second.id, "filed")
    await until(lambda: "message.escalated" in system.told.events_of(second.id), "its escalation is over")
    assert system.told.alarms_of(second.id) == []
    assert len(system.told.alarms_of(first.id)) == 1


@pytest.mark.parametrize(
    ("text", "number_told"),
    [
        ("Ik wil niet meer leven en heb mijn pillen al klaargelegd.", "0800-0113"),
        ("Mijn man heeft me net weer geslagen en zit nu beneden, ik durf niet naar huis te bellen.", "0800-2000"),
    ],
)
async def test_what_is_the_writers_alone_is_told_to_nobody(
    system: System, number: str, text: str, number_told: str
) -> None:
    """113 and Veilig Thuis stand in the 202; events, letters and alarms name neither them nor the topic."""
    answer = await system.patient("spijkenisse", number).post("Vraag", text)
    assert number_told in answer.body["notice"]["text"]
    await until(lambda: "message.filed" in system.told.events_of(answer.id), "the portal is told that it is filed")
    await until(lambda: system.told.alarms_of(answer.id), "on-call is told")
    events = [event for event in system.told.events if event["data"]["message"] == answer.id]
    told = (events, system.told.alarms_of(answer.id), system.told.letters_of(answer.id))
    for private in (number_told, "suicid", "domestic", "geweld"):
        assert private not in str(told)


async def test_a_prohibited_message_is_refused_with_its_reason(system: System, number: str) -> None:
    """422 with category, span and the general notice; nothing of it is stored."""
    patient = system.patient("spijkenisse", number)
    answer = await patient.post("Voor de dokter", f"\N{PILL} Hallo. {ABUSE}")
    assert answer.status == 422
    span = answer.body["span"]
    typed = f"\N{PILL} Hallo. {ABUSE}".encode("utf-16-le")
    assert typed[2 * span["start"] : 2 * span["end"]].decode("utf-16-le") in ABUSE
    assert span["end"] > span["start"]
    assert answer.body["category"]
    assert "112" in answer.body["notice"]["telephone"]
    assert (await patient.get("/v1/threads")).body["threads"] == []


async def test_it_is_there_right_after_its_202(system: System, number: str) -> None:
    """With the persist worker stopped a GET answers 200 accepted, never 404; so does its thread."""
    patient = system.patient("spijkenisse", number)
    system.children.freeze("persist")
    try:
        answer = await patient.post("Vraag", "Is dit aangekomen?")
        found = await patient.get(f"/v1/messages/{answer.id}")
        assert (found.status, found.body["status"]) == (200, "accepted")
        assert (await patient.get(f"/v1/threads/{answer.id}")).status == 200
    finally:
        system.children.thaw("persist")
    await patient.until_is(answer.id, "filed")


async def test_other_patients_messages_do_not_exist(system: System, number: str) -> None:
    """Message and thread of somebody else are 404 before and after they are stored, also for another tenant."""
    patient, other = system.patient("spijkenisse", number), system.patient("spijkenisse", f"{number}9")
    stranger = system.patient("sein", number)
    answer = await patient.post("Vraag", "Wie mag dit lezen?")

    async def statuses() -> set[int]:
        paths = (f"/v1/messages/{answer.id}", f"/v1/threads/{answer.id}")
        return {(await who.get(path)).status for who in (other, stranger) for path in paths}

    assert await statuses() == {404}
    await patient.until_is(answer.id, "filed")
    assert await statuses() == {404}
    reply = await other.post("Vraag", "Mag ik meepraten?", thread=answer.id)
    assert reply.status == 404
    assert "112" in reply.body["notice"]["telephone"]
    assert (await other.get("/v1/threads")).body["threads"] == []


async def test_a_thread_is_filed_in_its_order(system: System, number: str) -> None:
    """Six messages posted one after the other keep their order on the way and in the EPD; TXA-13 is the first."""
    patient = system.patient("spijkenisse", number)
    first = await patient.post("Gesprek", "Bericht 0")
    ids = [first.id]
    for n in range(1, 6):
        ids.append((await patient.post("Gesprek", f"Bericht {n}", thread=first.id)).id)
    for id in ids:
        await patient.until_is(id, "filed")
    documents = [system.filed("spijkenisse", id) for id in ids]
    assert [document.arrival for document in documents] == sorted(document.arrival for document in documents)
    assert [document.parent for document in documents] == ["", *[first.id] * 5]
    thread = (await patient.get(f"/v1/threads/{first.id}")).body
    assert [message["id"] for message in thread["messages"]] == ids


async def test_nobody_passes_behind_an_urgent_message(system: System, number: str) -> None:
    """A message that is still being tried is filed before a later one, also when an urgent one came between."""
    patient, epd = system.patient("spijkenisse", number), system.epds["spijkenisse"]
    first = await patient.post("Gesprek", "Een.")
    await patient.until_is(first.id, "filed")
    seen = len(epd.frames)
    await epd.set_mode("reject")
    second = await patient.post("Gesprek", "Twee.", thread=first.id)
    await epd.until(lambda epd: len(epd.frames) == seen + 3)
    await epd.set_mode("normal")
    urgent = await patient.post("Gesprek", URGENT, thread=first.id)
    await patient.until_is(urgent.id, "filed")
    assert second.id not in epd.inbox, "the second was filed too soon for this test"
    last = await patient.post("Gesprek", "Drie.", thread=first.id)
    await patient.until_is(last.id, "filed")
    documents = [system.filed("spijkenisse", answer.id) for answer in (first, urgent, second, last)]
    assert [document.arrival for document in documents] == sorted(document.arrival for document in documents)


async def test_many_patients_at_once(system: System, number: str) -> None:
    """Sixty messages of twenty patients of both tenants, posted at once, are all filed once."""
    patients = [system.patient(tenant, f"{number}{n}") for tenant in system.epds for n in range(10)]
    answers = await asyncio.gather(*(who.post("Vraag", f"Bericht {n} van mij") for who in patients for n in range(3)))
    assert len({answer.id for answer in answers}) == 60

    def all_filed() -> bool:
        inboxes = {id: filed for epd in system.epds.values() for id, filed in epd.inbox.items()}
        return all(answer.id in inboxes and inboxes[answer.id].count == 1 for answer in answers)

    await until(all_filed, "all are filed once")
    report = await system.ledger()
    assert report["lost"] == report["late"] == []
