"""What a clinician writes in the EPD, and what the EPD knows, over the wire into a running service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.parts.epd_sender import admission, code, document, sender
from tests.parts.system import TOGETHER, System, running
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def conversation(system: System, number: str) -> None:
    """A question, its reply, the patient's answer to that, the reply's withdrawal; relations by admission."""
    patient, cx = system.patient("spijkenisse", number), f"{number}^^^ZKH^PI"
    how: dict[str, Any] = {"patient": cx, "number": f"D{number}"}
    async with sender(system.listener("spijkenisse")) as epd:
        admitted = await epd.send(
            admission("A01", control=f"A{number}", patient=cx, ward="cardiology", visit=f"V{number}")
        )
        assert code(admitted) == "AA"
        asked = await patient.post("Vraag", "Mag ik sporten?")
        await patient.until_is(asked.id, "filed")
        assert system.filed("spijkenisse", asked.id).attending.startswith("cardiology^")
        reply = document("Ja, rustig aan.", control=f"R{number}", parent=asked.id, **how)
        assert code(await epd.send(reply)) == code(await epd.send(reply)) == "AA"
        shown = (await patient.get(f"/v1/threads/{asked.id}")).body["messages"]
        assert [(each["written_by"], each["body"]) for each in shown] == [
            ("patient", "Mag ik sporten?"),
            ("clinician", "Ja, rustig aan."),
        ]
        assert (shown[1]["name"], shown[1]["role"]) == ("dr. Anna de Vries", "MD")
        await until(lambda: "reply.received" in system.told.events_of(shown[1]["id"]), "the portal is told")
        after = await patient.post("Vraag", "Dank u.", thread=asked.id)
        await patient.until_is(after.id, "filed")
        assert system.filed("spijkenisse", after.id).parent == asked.id
        withdrawn = document(trigger="T11", control=f"W{number}", at="20260529", **how)
        assert code(await epd.send(withdrawn)) == "AA"
        assert len((await patient.get(f"/v1/threads/{asked.id}")).body["messages"]) == 2
        assert (await patient.get(f"/v1/messages/{shown[1]['id']}")).status == 404
        await until(lambda: "reply.withdrawn" in system.told.events_of(shown[1]["id"]), "the portal is told")
    readers = await system.command("replies", "readers", shown[1]["id"])
    assert [each["object_kind"] for each in readers] == ["thread"]


async def test_a_conversation(system: System, number: str) -> None:
    """Over RabbitMQ and MongoDB, each step a process of its own; and the ledger is in order after it."""
    await conversation(system, number)
    await system.ledger()


async def test_a_conversation_in_one_process(tmp_path: Path) -> None:
    """`serve` listens too; what belongs nowhere is listed, bound and closed by command; it stops in good order."""
    store, broker = f"sqlite:{tmp_path}/documents.sqlite", f"embedded:{tmp_path}/queue.sqlite"
    async with running(tmp_path, broker=broker, store=store, plan=TOGETHER) as system:
        await conversation(system, "1234")
        patient = system.patient("spijkenisse", "1234")
        asked = await patient.post("Vraag", "Nog iets.")
        await patient.until_is(asked.id, "filed")
        async with sender(system.listener("spijkenisse")) as epd:
            for number in ("1", "2"):
                lost = document("Waarheen?", parent="X", control=f"L{number}", number=f"L{number}", ward="NOWHERE")
                assert code(await epd.send(lost)) == "AA"
            first, second = await system.command("unmatched", "list")
            bound = await system.children.command("unmatched", "bind", first["id"], asked.id)
            closed = await system.children.command("unmatched", "close", second["id"], "--remark", "sent twice")
            assert (bound.status, closed.status) == (0, 0), bound.err + closed.err
            assert await system.command("unmatched", "list") == []
            assert len((await patient.get(f"/v1/threads/{asked.id}")).body["messages"]) == 2
            assert code(await epd.send(admission("A40", control="M1", mrg="77^^^ZKH^PI", visit="", ward=""))) == "AA"
            merged = system.patient("spijkenisse", "77")
            assert len((await merged.get("/v1/threads")).body["threads"]) == 2
            parted = await system.children.command("records", "part", "spijkenisse", "--one", "1234", "--other", "77")
            assert parted.status == 0, parted.err
            assert (await merged.get("/v1/threads")).body["threads"] == []
            unknown = await system.children.command("records", "part", "spijkenisse", "--one", "1234", "--other", "8")
            assert (unknown.status, "not known here" in unknown.err) == (2, True)
            assert await system.children.stop("gateway") == 0
            with pytest.raises(EOFError):
                await epd.answer()
