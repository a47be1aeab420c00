"""The sandbox EPD's moods, each through the file step that has to live with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import hl7
from aiohttp import web

from deploy.sandbox.epd import SandboxEpd, control_app
from messaging_service.domain.filing import FilingState
from tests.parts.filing import hospital
from tests.parts.mllp_peer import ack, raw_peer
from tests.parts.service import Service, enveloped, persisted_event


@asynccontextmanager
async def control_of(epd: SandboxEpd) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """The control surface over HTTP."""
    runner = web.AppRunner(control_app(epd))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as http:
            yield http, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_an_engine_says_aa_and_loses_it(service: Service) -> None:
    """Acknowledged, filed as far as its tenant believes engines, and in no inbox."""
    async with hospital(service, "engine") as at:
        message = await at.filed()
        assert (await at.filing(message.id)).state is FilingState.FILED
        assert at.epd.inbox == {}


async def test_a_slow_patient_slows_nobody_else(service: Service) -> None:
    """While the EPD sits on one patient's message, another patient's is filed over another connection."""
    async with hospital(service, connections=8) as at:
        at.epd.slow_seconds = 30.0
        at.epd.slow_patients.add("1")
        slow = await service.persisted(patient="1")
        waiting = asyncio.create_task(at.file(enveloped(persisted_event(slow))))
        await at.epd.until(lambda epd: len(epd.frames) == 1)
        done = 0
        for number in range(2, 6):
            other = await service.persisted(patient=str(number))
            try:
                await asyncio.wait_for(at.file(enveloped(persisted_event(other))), 0.5)
                done += 1
            except TimeoutError:
                continue  # of the same partition as the slow one
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert done >= 2


async def test_a_clinician_answers_a_message(service: Service) -> None:
    """POST /reply sends an MDM^T02 with PyPI hl7's client: TXA-13 is the message, hostile text is escaped."""
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.set_result((await reader.readuntil(b"\x1c\r"))[1:-2])
        writer.write(ack("R1"))
        await reader.read()

    async with hospital(service) as at, raw_peer(listener) as port, control_of(at.epd) as (http, url):
        message = await at.filed()
        asked = {"document": message.id, "text": "Ja | ^dat mag\\\nTot ziens", "to": f"127.0.0.1:{port}"}
        async with http.post(f"{url}/reply", json=asked) as answer:
            assert "MSA|AA|R1" in (await answer.json())["answer"]
        reply = hl7.parse((await got).decode())
        assert str(reply.segment("TXA")[13]) == message.id
        assert [reply.unescape(str(line)) for line in reply.segment("OBX")[5]] == ["Ja | ^dat mag\\", "Tot ziens"]
        async with http.post(f"{url}/reply", json={**asked, "document": "NONE"}) as answer:
            assert answer.status == 404


async def test_a_clinician_reads_a_message(service: Service) -> None:
    """POST /read sends an MDM^T04 about the message with the status that was agreed; not taken, it goes again."""
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.set_result((await reader.readuntil(b"\x1c\r"))[1:-2])
        writer.write(ack("R1"))
        await reader.read()

    async with hospital(service) as at, control_of(at.epd) as (http, url):
        message = await at.filed()
        async with raw_peer(listener) as port:
            nobody = {"document": message.id, "to": "127.0.0.1:1"}
            async with http.post(f"{url}/read", json=nobody) as answer:
                assert answer.status == 502
            assert (at.epd.inbox[message.id].read, at.epd.inbox[message.id].receipt) == (True, "")
            async with http.post(f"{url}/read", json={**nobody, "to": f"127.0.0.1:{port}"}) as answer:
                assert "MSA|AA|R1" in (await answer.json())["answer"]
        receipt = hl7.parse((await got).decode())
        assert str(receipt.segment("MSH")[9]) == "MDM^T04^MDM_T01"
        assert [str(receipt.segment("TXA")[place]) for place in (12, 17)] == [message.id, "AU"]
        assert at.epd.inbox[message.id].receipt == "AA"


async def test_the_control_surface_tells_what_became_of_documents(service: Service) -> None:
    """The inbox over HTTP shows a withdrawn document as such, and /slow names the patients."""
    async with hospital(service) as at, control_of(at.epd) as (http, url):
        message = await at.filed()
        await at.correct.withdraw(message.id, "wrong-patient")
        await at.carry_out()
        async with http.get(f"{url}/inbox") as answer:
            (shown,) = json.loads(await answer.text())["documents"]
        assert (shown["document"], shown["withdrawn"]) == (message.id, True)
        async with http.post(f"{url}/slow", json={"patient": "1234"}) as answer:
            assert (await answer.json()) == {"slow": ["1234"]}
