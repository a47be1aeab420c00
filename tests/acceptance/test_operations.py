"""What operations look at and mend with: health, metrics and the commands."""

from __future__ import annotations

import json

import pytest

from tests.parts.patient import URGENT
from tests.parts.system import System, free_port
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_health_and_metrics_tell_what_waits_and_how_long(system: System, number: str) -> None:
    """Ready says which server answers; depth and age per queue and lane, totals by lane, the latency of filing."""
    patient = system.patient("spijkenisse", number)
    async with system.http.get(f"{system.url}/health/ready") as answer:
        assert await answer.json() == {"ready": True, "broker": True, "store": True}
    async with system.http.get(f"{system.url}/health/live") as answer:
        assert answer.status == 200
    before = await system.metrics()
    await system.children.stop("persist")
    posts = [("Vraag", "Wacht dit?", "normal"), ("Pijn op de borst", URGENT, "urgent")]
    ids = [(await patient.post(subject, body)).id for subject, body, _ in posts]
    for _, _, lane in posts:
        depth, age = (f'messaging_queue_{what}{{queue="persist.{lane}"}}' for what in ("depth", "oldest_seconds"))

        async def shown(depth: str = depth, age: str = age) -> bool:
            metrics = await system.metrics()
            return metrics[depth] == 1 and metrics[age] > 0

        await until(shown, f"depth and age of persist.{lane}")
        accepted = f'messaging_accepted_total{{lane="{lane}",tenant="spijkenisse"}}'
        assert (await system.metrics())[accepted] == before.get(accepted, 0) + 1
    waiting = await system.command("queues")
    for _, _, lane in posts:
        of_lane = waiting[f"persist.{lane}"]
        assert (of_lane["ready"], of_lane["consumers"]) == (1, 0)
        assert of_lane["oldest_ms"] > 0
    await system.start("persist")
    for id in ids:
        await patient.until_is(id, "filed")
    assert (await system.metrics())['messaging_queue_depth{queue="persist.normal"}'] == 0


async def test_a_workers_own_metrics(system: System, number: str) -> None:
    """`worker --listen` serves health and metrics of that process: filed in time, by answer of the EPD."""
    patient = system.patient("sein", number)
    await system.children.stop("file")
    listen = f"127.0.0.1:{free_port()}"
    await system.children.start("file-listening", "worker", "file", "--listen", listen)
    try:
        answer = await patient.post("Vraag", "Wie telt dit?")
        await patient.until_is(answer.id, "filed")
        async with system.http.get(f"http://{listen}/metrics") as page:
            text = await page.text()
        assert 'messaging_acknowledgements_total{code="AA",lane="normal",tenant="sein"} 1.0' in text
        assert 'messaging_filing_seconds_count{lane="normal",tenant="sein"} 1.0' in text
        assert 'messaging_handled_total{outcome="done",queue="file.sein.normal"} 1.0' in text
    finally:
        await system.children.stop("file-listening")
        await system.start("file")


async def test_parked_messages_are_listed_shown_replayed_and_closed(system: System, number: str) -> None:
    """The commands as a person uses them; none prints a body, replaying a closed one is refused."""
    patient = system.patient("spijkenisse", number)
    await system.epds["spijkenisse"].set_mode("refuse")
    ids = [(await patient.post("Vraag", "Geheime tekst over mij.")).id for _ in range(2)]
    for id in ids:
        await patient.until_is(id, "parked")
    await system.epds["spijkenisse"].set_mode("normal")
    listed = {one["id"]: one for one in await system.command("parked", "list", "--reason", "AE-204")}
    assert {f"{id}.file" for id in ids} <= set(listed)
    assert "body" not in listed[f"{ids[0]}.file"]
    table = await system.children.command("parked", "list")
    assert ids[0] in table.out
    shown = await system.children.command("parked", "show", f"{ids[0]}.file")
    assert "AE-204" in shown.out
    assert "epd-integrator" in shown.out
    for said in (table.out, shown.out, json.dumps(listed)):
        assert "Geheime" not in said
    assert (await system.children.command("parked", "replay", f"{ids[0]}.file")).status == 0
    await patient.until_is(ids[0], "filed")
    assert (await system.children.command("parked", "close", f"{ids[1]}.file", "--remark", "phoned")).status == 0
    assert await patient.status(ids[1]) == "closed"
    for id in ids:
        again = await system.children.command("parked", "replay", f"{id}.file")
        assert again.status == 2
        assert "parked list" in again.err
    assert ids[1] not in system.epds["spijkenisse"].inbox


async def test_the_ledger_and_the_proof_of_filing_are_for_people_too(system: System, number: str) -> None:
    """Without --json both print what a person needs; an unknown message is an error, not an empty page."""
    patient = system.patient("sein", number)
    answer = await patient.post("Vraag", "Waar is het bewijs?")
    await patient.until_is(answer.id, "filed")
    proof = await system.children.command("filing", "show", answer.id)
    assert "AA" in proof.out
    assert (await system.attempts(answer.id))[0].ack_digest[:16] in proof.out
    assert (await system.children.command("filing", "show", "0" * 26)).status != 0
    ledger = await system.children.command("ledger")
    assert (ledger.status, "nothing is lost" in ledger.out) == (0, True)
