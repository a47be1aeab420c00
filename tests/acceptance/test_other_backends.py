"""The same journey over the other pairs of backends: RabbitMQ with SQLite documents, and all in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.parts.patient import ABUSE, URGENT
from tests.parts.rabbit import RabbitNode
from tests.parts.servers import virtual_host
from tests.parts.system import TOGETHER, TWO_OF_EACH, System, running
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session", params=["rabbitmq", "embedded"])
async def other(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[System]:
    """The service over SQLite documents: two processes a step over RabbitMQ, or one process for everything."""
    store = f"sqlite:{tmp_path}/documents.sqlite"
    if request.param == "embedded":
        async with running(tmp_path, broker=f"embedded:{tmp_path}/queue.sqlite", store=store, plan=TOGETHER) as system:
            yield system
        return
    node: RabbitNode = request.getfixturevalue("rabbit_node")
    async with running(tmp_path, broker=await virtual_host(node), store=store, plan=TWO_OF_EACH) as system:
        yield system


async def test_the_whole_journey(other: System) -> None:
    """Ordinary, HTML, urgent, prohibited, repeated, in a thread, refused and replayed, and across a kill -9."""
    await other.relation("spijkenisse", "1234", "cardiology")
    patient, client = other.patient("spijkenisse", "1234"), other.patient("sein", "77")
    ordinary = await patient.post("Afspraak", "Kan het een dag later?", key="a")
    assert (await patient.post("Afspraak", "Kan het een dag later?", key="a")).id == ordinary.id
    urgent = await client.post("Pijn op de borst", URGENT)
    html = await client.post("Vraag", "<p>Mag ik <b>sporten</b>?<script>alert(1)</script></p>", format="html")
    assert (await patient.post("Voor de dokter", ABUSE)).status == 422
    for who, answer in ((patient, ordinary), (client, urgent), (client, html)):
        await who.until_is(answer.id, "filed")
        assert other.filed(who.tenant, answer.id).count == 1
    assert other.filed("spijkenisse", ordinary.id).attending.startswith("cardiology^")
    assert "sporten" in other.filed("sein", html.id).body
    assert "112" in urgent.body["notice"]["telephone"]
    await until(lambda: other.told.alarms_of(urgent.id) and other.told.letters_of(urgent.id), "on-call is told")

    await other.epds["spijkenisse"].set_mode("refuse")
    refused = await patient.post("Afspraak", "Of toch de dag ervoor?", thread=ordinary.id)
    await patient.until_is(refused.id, "parked")
    await other.epds["spijkenisse"].set_mode("down")
    replay = await other.children.command("parked", "replay", f"{refused.id}.file")
    assert replay.status == 0, replay.err
    late = await patient.post("Afspraak", "Laat maar.", thread=ordinary.id)
    await patient.until_is(late.id, "persisted")
    for name in other.children.names:
        await other.children.kill(name)
    await other.epds["spijkenisse"].set_mode("normal")
    await other.start()
    for answer in (refused, late):
        await patient.until_is(answer.id, "filed", 60)
    arrivals = [other.filed("spijkenisse", answer.id).arrival for answer in (ordinary, refused, late)]
    assert arrivals == sorted(arrivals)
    await other.ledger()
