"""What the EPD answers decides: filed, sent again, or parked for a person; others' messages flow on."""

from __future__ import annotations

import pytest

from tests.parts.patient import Patient
from tests.parts.system import System
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def still_flows(patient: Patient) -> None:
    """A message of this patient is filed while something else is wrong elsewhere."""
    answer = await patient.post("Vraag", "Loopt het bij ons door?")
    await patient.until_is(answer.id, "filed", 10)


async def test_a_refused_message_is_parked_and_filed_after_mending(system: System, number: str) -> None:
    """AE: parked alone, the patient is told to call; `parked replay` files it under the same TXA-12."""
    patient = system.patient("spijkenisse", number)
    await system.epds["spijkenisse"].set_mode("refuse")
    answer = await patient.post("Uitslag", "Is de uitslag er al?")
    await patient.until_is(answer.id, "parked")
    shown = (await patient.get(f"/v1/messages/{answer.id}")).body
    assert "0181 658 658" in shown["advice"]
    await still_flows(system.patient("sein", number))
    await until(lambda: "message.parked" in system.told.events_of(answer.id), "the portal is told")
    parked = (await system.parked())[f"{answer.id}.file"]
    assert (parked.step, parked.reason, parked.owner) == ("file", "AE-204", "epd-integrator")
    await system.epds["spijkenisse"].set_mode("normal")
    replayed = await system.children.command("parked", "replay", parked.id)
    assert replayed.status == 0, replayed.err
    await patient.until_is(answer.id, "filed")
    assert system.filed("spijkenisse", answer.id).count == 1
    refused, accepted = await system.attempts(answer.id)
    assert (refused.code, refused.error, accepted.code) == ("AE", "204", "AA")
    assert refused.control_id != accepted.control_id
    await system.ledger()


async def test_a_rejected_message_is_sent_again(system: System, number: str) -> None:
    """AR says "not now": the ladder sends it again under a new control id until the EPD takes it."""
    patient = system.patient("spijkenisse", number)
    epd = system.epds["spijkenisse"]
    await epd.set_mode("reject")
    answer = await patient.post("Vraag", "Wanneer kan ik langskomen?")
    seen = len(epd.frames)
    await epd.until(lambda epd: len(epd.frames) >= seen + 2)
    await epd.set_mode("normal")
    await patient.until_is(answer.id, "filed")
    *rejected, accepted = await system.attempts(answer.id)
    assert {attempt.code for attempt in rejected} == {"AR"}
    assert accepted.code == "AA"
    assert len({attempt.control_id for attempt in (*rejected, accepted)}) == len(rejected) + 1
    assert system.filed("spijkenisse", answer.id).count == 1


async def test_a_message_that_is_rejected_for_good_is_parked_with_one_alert(system: System, number: str) -> None:
    """After the last rung it is parked; operations hear once that the EPD refuses, and once that it files again."""
    patient = system.patient("spijkenisse", number)
    await system.epds["spijkenisse"].set_mode("reject")
    answer = await patient.post("Vraag", "Blijft dit steken?")
    await patient.until_is(answer.id, "parked")
    assert [attempt.code for attempt in await system.attempts(answer.id)] == ["AR"] * 4
    key = "epd-refuses spijkenisse"
    await until(lambda: system.told.alerts_of(key), "operations are told")
    told = len(system.told.alerts_of(key))
    await system.epds["spijkenisse"].set_mode("normal")
    await still_flows(patient)
    await until(lambda: len(system.told.alerts_of(key)) == told + 1, "operations are told that it files again")
    closed = await system.children.command("parked", "close", f"{answer.id}.file", "--remark", "phoned")
    assert closed.status == 0, closed.err
    assert await patient.status(answer.id) == "closed"


@pytest.mark.parametrize("mode", ["garbage", "lie", "hang"])
async def test_without_a_proper_answer_it_is_sent_again_under_the_same_ids(
    system: System, number: str, mode: str
) -> None:
    """Garbage, a wrong MSA-2 or silence: outcome unknown; sent again with the same control id and TXA-12."""
    patient = system.patient("spijkenisse", number)
    epd = system.epds["spijkenisse"]
    await epd.set_mode(mode)
    answer = await patient.post("Vraag", f"Komt dit aan bij een EPD in stand {mode}?")
    await epd.until(lambda epd: answer.id in epd.inbox and epd.inbox[answer.id].count >= 2)
    assert await patient.status(answer.id) == "persisted"
    await still_flows(system.patient("sein", number))
    await epd.set_mode("normal")
    await patient.until_is(answer.id, "filed")
    assert len(set(system.filed("spijkenisse", answer.id).control_ids)) == 1
    assert [attempt.code for attempt in await system.attempts(answer.id)] == ["AA"]
    assert f"{answer.id}.file" not in await system.parked()


@pytest.mark.parametrize(("mode", "why"), [("garbage", "garbled"), ("lie", "mismatch"), ("hang", "timeout")])
async def test_where_the_hospital_says_so_an_unknown_outcome_is_parked(
    system: System, number: str, mode: str, why: str
) -> None:
    """SEIN's policy is to park: sent once, parked with its reason, the patient told; the other hospital's flow on."""
    client = system.patient("sein", number)
    await system.epds["sein"].set_mode(mode)
    answer = await client.post("Vraag", "Weet u of dit is aangekomen?")
    await client.until_is(answer.id, "parked")
    assert system.filed("sein", answer.id).count == 1
    assert [attempt.code for attempt in await system.attempts(answer.id)] == ["unknown"]
    parked = (await system.parked())[f"{answer.id}.file"]
    assert parked.reason == f"ack-unknown-{why}"
    await still_flows(system.patient("spijkenisse", number))
    await system.epds["sein"].set_mode("normal")
    await still_flows(client)


async def test_while_the_epd_is_down_the_backlog_waits(system: System, number: str) -> None:
    """One alert, nothing parked, no dead letter, no attempt counted; the other hospital flows; then all are filed."""
    patients = [system.patient("spijkenisse", f"{number}{n}") for n in range(6)]
    key, epd = "epd-down spijkenisse", system.epds["spijkenisse"]
    told, parked = len(system.told.alerts_of(key)), len(await system.parked())
    await epd.set_mode("down")
    answers = [await who.post("Vraag", "Ligt het EPD eruit?") for who in patients for _ in range(3)]
    await until(lambda: len(system.told.alerts_of(key)) > told, "operations are told")
    await still_flows(system.patient("sein", number))
    for who, answer in zip([who for who in patients for _ in range(3)], answers, strict=True):
        await who.until_is(answer.id, "persisted")
    assert len(system.told.alerts_of(key)) == told + 1
    metrics = await system.metrics()
    assert metrics['messaging_queue_oldest_seconds{queue="file.spijkenisse.normal"}'] > 0
    assert len(await system.parked()) == parked
    assert (await system.depths())["park.dead"].ready == 0
    await epd.set_mode("normal")
    await until(lambda: all(answer.id in epd.inbox for answer in answers), "the backlog is filed", 60)
    for who, answer in zip([who for who in patients for _ in range(3)], answers, strict=True):
        await who.until_is(answer.id, "filed")
        assert system.filed("spijkenisse", answer.id).count == 1
    await until(lambda: len(system.told.alerts_of(key)) == told + 2, "operations are told that it is back")
    assert "back" in system.told.alerts_of(key)[-1]
    assert len(await system.parked()) == parked
    await system.ledger()
