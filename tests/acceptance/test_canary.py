"""What a patient wrote and who the patient is stand nowhere in the clear: not on the broker's disk, not in the
database, not in logs, metrics, traces, queue headers, alarms, alerts or events.
"""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from urllib.parse import quote

import aio_pika
import pytest

from tests.parts.collector import Collector
from tests.parts.mongo import MongoServer
from tests.parts.patient import ABUSE, URGENT, Answer, Patient
from tests.parts.rabbit import RabbitNode
from tests.parts.system import System
from tests.parts.traces import files_below, found_in
from tests.parts.waiting import until

BSN = "999911120"


async def waiting_headers(system: System, queue: str) -> bytes:
    """Everything the broker shows of what waits in a queue, put back as it was."""
    seen = b""
    connection = await aio_pika.connect(system.children.environment["MESSAGING_BROKER"])
    async with connection, connection.channel() as channel:
        there = await channel.get_queue(queue)
        while (message := await there.get(no_ack=False, fail=False)) is not None:
            seen += repr(message.properties).encode() + repr(message.headers).encode() + message.body
        return seen


async def post_everything(system: System, number: str, name: str, canary: str) -> dict[str, Answer]:
    """A message of every fate, each with the canary in subject and text."""
    patient = system.patient("spijkenisse", number, name, bsn=BSN)
    answers = {"filed": await patient.post(f"Over {canary}", f"Ik schrijf over {canary}.", key=f"key-{canary}")}
    await patient.until_is(answers["filed"].id, "filed")
    answers["html"] = await patient.post(canary, f"<p>Mijn <b>{canary}</b></p>", format="html")
    answers["urgent"] = await patient.post(canary, f"{URGENT} {canary}")
    answers["thread"] = await patient.post(canary, f"Nog iets over {canary}", thread=answers["filed"].id)
    answers["prohibited"] = await patient.post(canary, f"{ABUSE} {canary}")
    answers["malformed"] = await patient.send("POST", "/v1/messages", json={"subject": canary, "text": canary})
    answers["too-large"] = await patient.post(canary, canary * 2_000)
    for fate in ("html", "urgent", "thread"):
        await patient.until_is(answers[fate].id, "filed")
    await until(lambda: system.told.letters_of(answers["urgent"].id), "on-call is told by mail")
    answers["opened"] = await opened_by_on_call(system, answers["urgent"].id, canary, name)
    answers["held"] = await patient_without_a_second_factor(system, number, name).post(canary, f"{URGENT} {canary}")
    await system.epds["spijkenisse"].set_mode("refuse")
    answers["parked"] = await patient.post(canary, f"Dit wordt geweigerd: {canary}")
    await patient.until_is(answers["parked"].id, "parked")
    await system.epds["spijkenisse"].set_mode("reject")
    answers["retried"] = await patient.post(canary, f"Dit wordt opnieuw geprobeerd: {canary}")
    await patient.until_is(answers["retried"].id, "parked")
    await system.epds["spijkenisse"].set_mode("normal")
    await patient.get("/v1/threads")
    await patient.get(f"/v1/messages/{canary}")
    return answers


async def opened_by_on_call(system: System, id: str, reason: str, name: str) -> Answer:
    """On-call opens the urgent message and gives the canary as the reason."""
    token = system.staff["spijkenisse"].token(name, role="on-call", scope="alarms:open", name=name)
    patient = system.patient("spijkenisse", "0")
    headers = {"Authorization": f"Bearer {token}"}
    answer = await patient.send("POST", f"/v1/alarms/{id}/opening", json={"reason": reason}, headers=headers)
    assert (answer.status, reason in answer.body["body"]) == (200, True)
    return answer


def patient_without_a_second_factor(system: System, number: str, name: str) -> Patient:
    """Whose urgent message is refused, and held for on-call."""
    return system.patient("spijkenisse", number, name, bsn=BSN, acr=None, amr=None)


@pytest.mark.asyncio(loop_scope="session")
async def test_nothing_is_readable_outside_the_processes(
    system: System, spans: Collector, rabbit_node: RabbitNode, mongo: MongoServer, number: str
) -> None:
    """Canary, numbers, name and token are found by no grep in any form, while message ids are: the grep does look."""
    canary, name = f"kanarie{secrets.token_hex(8)}", f"Zwaluw{secrets.token_hex(6)}"
    number = f"{number}{secrets.randbelow(10**9):09}"
    answers = await post_everything(system, number, name, canary)
    await system.children.stop("persist")
    patient = system.patient("spijkenisse", number, name, bsn=BSN)
    waiting = await patient.post(canary, f"Dit bericht gaat over de wachtrij: {canary}")
    headers = await waiting_headers(system, "persist.normal")
    assert waiting.id.encode() in headers
    async with system.http.get(f"{system.url}/metrics") as page:
        metrics = await page.read()
    await until(lambda: answers["parked"].id.encode() in b"".join(spans.raw), "its spans are told")
    listed = await system.children.command("parked", "list", "--json")
    (shown := Path(system.folder / "shown")).mkdir(exist_ok=True)
    for file, content in {
        "headers": headers,
        "metrics": metrics,
        "told": b"\n".join(system.told.raw),
        "parked": listed.out.encode(),
        "spans": b"\n".join(spans.raw),
    }.items():
        (shown / file).write_bytes(content)
    places = files_below(rabbit_node.folder, mongo.folder, system.folder / "logs", shown)
    secret = [canary, number, BSN, name, patient.token.rpartition(".")[2], f"key-{canary}"]
    assert found_in(secret, places) == []
    for folder, id in (
        (rabbit_node.folder, waiting.id),
        (mongo.folder, answers["filed"].id),
        (system.folder / "logs", answers["parked"].id),
        (shown, answers["urgent"].id),
    ):
        assert found_in([id], files_below(folder)), f"{id} is not found in {folder}, so neither would the canary be"
    await system.start("persist")
    await patient.until_is(waiting.id, "filed")
    shown_again = (await patient.get(f"/v1/messages/{waiting.id}")).body
    assert canary in shown_again["body"]


def test_the_grep_finds_what_is_hidden(tmp_path: Path) -> None:
    """A text inside base64 at any alignment, UTF-16, hex, JSON or a URL is found; without it nothing is."""
    text = "geheim é kanarie"
    for number, hidden in enumerate(
        [
            *(base64.b64encode(b"x" * shift + text.encode() + b"yz") for shift in range(3)),
            base64.urlsafe_b64encode(b"xx" + text.encode("utf-16-le") + b"y"),
            text.encode("utf-16-be"),
            text.encode().hex().encode(),
            b"voor" + quote(text).encode() + b"na",
        ]
    ):
        (tmp_path / f"{number}").write_bytes(b"iets " + hidden + b" meer")
        assert found_in([text], [tmp_path / f"{number}"]), hidden
    assert found_in(["geheim ê kanarie"], files_below(tmp_path)) == []
