"""The MLLP client against PyPI hl7's server (the sandbox EPD) and against peers that misbehave."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
import pytest

from messaging_service.adapters.mllp import MllpClient, MllpPool
from messaging_service.domain.errors import EpdDown
from messaging_service.epd.acknowledgement import AckCode, AckUnknown, Unanswered, parse_ack
from messaging_service.epd.document import FilingDocument
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.render import DocumentTemplate
from tests.parts.mllp_peer import ack, raw_peer, sandbox_epd
from tests.unit.epd.documents import DOCUMENT

TEMPLATE = DocumentTemplate.compile(EpdProfile())
RAW = b"MSH|^~\\&|M||EPD||20260105||MDM^T02|K1|P|2.5\r"
SANDBOX = Path(__file__).parents[2] / "deploy" / "sandbox" / "epd.py"


def document(number: int, body: str = "Goedemorgen") -> FilingDocument:
    return replace(DOCUMENT, message_id=f"{number:026d}", control_id=f"K{number}", body=body)


@asynccontextmanager
async def client_of(port: int, *, ack_timeout: float = 5.0, **more: object) -> AsyncIterator[MllpClient]:
    client = MllpClient("127.0.0.1", port, ack_timeout=ack_timeout, connect_timeout=5.0, **more)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        await client.close()


async def file(client: MllpClient, filing: FilingDocument) -> AckCode:
    raw = await client.exchange(TEMPLATE.render(filing), filing.control_id)
    return parse_ack(raw).code


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\x1c\r")


async def test_documents_reach_an_independent_epd_over_one_connection() -> None:
    """PyPI hl7's server files what was typed, hostile text included, in order, on a kept connection."""
    hostile = "a|b^c~d\\e&f \\F\\ 😀 \u202e\n\n\x00einde"
    async with sandbox_epd() as epd, client_of(epd.port) as client:
        for number in range(20):
            assert await file(client, document(number, f"{number} {hostile}")) is AckCode.AA
        assert [filed.body for filed in epd.inbox.values()] == [f"{number} {hostile}" for number in range(20)]
        assert epd.connections == 1


async def test_a_message_of_hundreds_of_kilobytes_passes() -> None:
    """Longer than hl7's own 64 KiB default, and than one read of ours."""
    body = "regel met tekst\n" * 20_000
    async with sandbox_epd() as epd, client_of(epd.port) as client:
        assert await file(client, document(1, body)) is AckCode.AA
        (filed,) = epd.inbox.values()
        assert filed.body == body


@pytest.mark.parametrize(("mode", "code"), [("refuse", AckCode.AE), ("reject", AckCode.AR)])
async def test_a_refusal_is_an_answer(mode: str, code: AckCode) -> None:
    """AE and AR come back as they are; the connection stays."""
    async with sandbox_epd(mode) as epd, client_of(epd.port) as client:
        assert await file(client, document(1)) is code
        await epd.set_mode("normal")
        assert await file(client, document(2)) is AckCode.AA
        assert epd.connections == 1
        assert list(epd.inbox) == [document(2).message_id]


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("lie", Unanswered.MISMATCH),
        ("garbage", Unanswered.GARBLED),
        ("hang", Unanswered.TIMEOUT),
        ("slow", Unanswered.TIMEOUT),
    ],
)
async def test_without_an_answer_of_its_own_the_outcome_is_unknown(mode: str, why: Unanswered) -> None:
    """The EPD has the document but we cannot know; the next exchange takes a new connection and succeeds."""
    async with sandbox_epd(mode) as epd, client_of(epd.port, ack_timeout=0.3) as client:
        with pytest.raises(AckUnknown) as raised:
            await file(client, document(1))
        assert raised.value.why is why
        await epd.set_mode("normal")
        assert await file(client, document(1)) is AckCode.AA
        assert epd.connections == 2
        (filed,) = epd.inbox.values()
        assert (filed.count, filed.control_ids) == (2, ["K1", "K1"])


async def test_an_epd_that_is_down_is_down_and_takes_up_again() -> None:
    """No connection is EpdDown, before anything is sent; once the EPD listens again the same client files."""
    async with sandbox_epd() as epd, client_of(epd.port) as client:
        assert await file(client, document(1)) is AckCode.AA
        await epd.set_mode("down")
        with pytest.raises(EpdDown):
            await file(client, document(2))
        with pytest.raises(EpdDown):
            await client.probe()
        await epd.set_mode("normal")
        await client.probe()
        assert await file(client, document(2)) is AckCode.AA
        assert [filed.count for filed in epd.inbox.values()] == [1, 1]


async def test_a_connection_that_the_peer_closed_while_idle_is_replaced_unnoticed() -> None:
    """Engines hang up on idle connections: nothing was sent on it, so nothing is unknown."""
    hung_up = asyncio.Queue[None]()

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_frame(reader)
        writer.write(ack("K1"))
        writer.close()
        await writer.wait_closed()
        hung_up.put_nowait(None)

    async with raw_peer(answer_once) as port, client_of(port) as client:
        for _ in range(5):
            assert parse_ack(await client.exchange(RAW, "K1")).code is AckCode.AA
            await hung_up.get()


async def test_a_late_answer_is_never_taken_for_the_next_message() -> None:
    """A second answer after the first, unasked: the connection is replaced and the next answer is its own."""
    spoke = asyncio.Event()
    connections = 0

    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        frame = await read_frame(reader)
        writer.write(ack("K1" if b"|K1|" in frame else "K2"))
        await writer.drain()
        writer.write(ack("K1"))
        await writer.drain()
        spoke.set()
        await reader.read()

    async with raw_peer(answer_twice) as port, client_of(port) as client:
        await client.exchange(RAW, "K1")
        await spoke.wait()
        answer = await client.exchange(RAW.replace(b"K1", b"K2"), "K2")
        assert parse_ack(answer).control_id == "K2"
        assert connections == 2


async def test_split_glued_and_noisy_answers_are_read() -> None:
    """Garbage before VT, an answer byte by byte, and one with a second frame glued to it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_frame(reader)
        for byte in b"noise\r\n" + ack("K1"):
            writer.write(bytes([byte]))
            await writer.drain()
        await read_frame(reader)
        writer.write(ack("K1") + ack("K0"))
        await reader.read()

    async with raw_peer(talk) as port, client_of(port) as client:
        assert parse_ack(await client.exchange(RAW, "K1")).code is AckCode.AA
        assert parse_ack(await client.exchange(RAW, "K1")).code is AckCode.AA


async def test_half_an_answer_too_much_costs_the_connection_not_the_next_message() -> None:
    """The first half of a second answer is glued to ours; its other half is never read as the next one's."""
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_frame(reader)
        writer.write(ack("K1") + ack("K0")[:20])
        await read_frame(reader)
        writer.write(ack("K0")[20:])

    async with raw_peer(talk) as port, client_of(port) as client:
        for number in (1, 2):
            assert parse_ack(await client.exchange(RAW, "K1")).code is AckCode.AA
            assert connections == number


async def test_a_connection_lost_before_sending_is_down_not_unknown() -> None:
    """Lost between connecting and sending: EpdDown, since not a byte went out."""
    async with sandbox_epd() as epd, client_of(epd.port) as client:
        await client.probe()
        session = client._session
        assert session is not None
        session.connection_lost(None)
        with pytest.raises(EpdDown, match="hung up at once"):
            await session.ask(b"", 1.0)
        assert await file(client, document(1)) is AckCode.AA
        assert epd.connections == 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", Unanswered.CLOSED),
        (b"\x0bMSH|half an answer", Unanswered.CLOSED),
        (b"\x0b" + b"x" * 20_000, Unanswered.GARBLED),
        (b"x" * 20_000, Unanswered.GARBLED),
        (b"\x0b\x1c\r", Unanswered.GARBLED),
    ],
)
async def test_a_peer_that_hangs_up_or_floods_leaves_the_outcome_unknown(answer: bytes, why: Unanswered) -> None:
    """Closing early, half an answer, more than the cap and an empty frame; memory stays within the cap."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_frame(reader)
        writer.write(answer)
        await writer.drain()

    async with raw_peer(talk) as port, client_of(port, max_frame=10_000) as client:
        with pytest.raises(AckUnknown) as raised:
            await client.exchange(RAW, "K1")
        assert raised.value.why is why


async def test_a_peer_that_drips_bytes_is_cut_off() -> None:
    """The time-out covers the whole answer: a byte now and then does not keep it alive."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_frame(reader)
        writer.write(b"\x0b")
        while not reader.at_eof():
            writer.write(b"x")
            await writer.drain()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.02)

    async with raw_peer(drip) as port, client_of(port, ack_timeout=0.3) as client:
        with pytest.raises(AckUnknown) as raised:
            await client.exchange(RAW, "K1")
        assert raised.value.why is Unanswered.TIMEOUT


async def test_a_cancelled_exchange_gives_up_its_connection() -> None:
    """A worker that stops mid-exchange leaves no connection on which a late answer could come."""
    async with sandbox_epd("hang") as epd, client_of(epd.port) as client:
        task = asyncio.create_task(file(client, document(1)))
        await epd.until(lambda peer: len(peer.frames) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await epd.set_mode("normal")
        assert await file(client, document(2)) is AckCode.AA
        assert epd.connections == 2


async def test_one_message_at_a_time_on_a_connection() -> None:
    """Exchanges asked for together go one after the other, each with its own answer."""
    async with sandbox_epd() as epd, client_of(epd.port) as client:
        await asyncio.gather(*(file(client, document(number)) for number in range(30)))
        assert list(epd.inbox) == [document(number).message_id for number in range(30)]
        assert epd.connections == 1


async def test_the_pool_keeps_a_patients_order_and_an_urgent_one_never_waits() -> None:
    """A partition stays on its connection; while every normal connection hangs, the urgent lane files."""

    async def hang_unless_urgent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            frame = await read_frame(reader)
            if b"|URGENT|" in frame:
                writer.write(ack("URGENT"))
                continue
            stuck.put_nowait(writer.get_extra_info("peername"))
            await reader.read()
            return

    stuck = asyncio.Queue[object]()
    async with raw_peer(hang_unless_urgent) as port:
        clients = tuple(MllpClient("127.0.0.1", port, ack_timeout=5.0) for _ in range(2))
        pool = MllpPool(clients, MllpClient("127.0.0.1", port, ack_timeout=5.0))
        waiting = [asyncio.create_task(pool.exchange(RAW, "K1", patient, False)) for patient in "aabbccdd"]
        first, second = await stuck.get(), await stuck.get()
        assert first != second
        answer = await pool.exchange(RAW.replace(b"K1", b"URGENT"), "URGENT", "a", True)
        assert parse_ack(answer).control_id == "URGENT"
        assert stuck.empty(), "one message in flight a connection"
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await pool.close()


async def test_order_within_a_patient_holds_over_several_connections() -> None:
    """Messages of one patient arrive in the order they were handed over, whatever other connections do."""
    async with sandbox_epd() as epd:
        pool = MllpPool(tuple(MllpClient("127.0.0.1", epd.port) for _ in range(4)), MllpClient("127.0.0.1", epd.port))
        filings = [(f"patient-{number % 7}", document(number)) for number in range(70)]
        await asyncio.gather(
            *(pool.exchange(TEMPLATE.render(d), d.control_id, patient, False) for patient, d in filings)
        )
        for patient in {patient for patient, _ in filings}:
            own = [d.message_id for who, d in filings if who == patient]
            assert [arrived for arrived in epd.inbox if arrived in own] == own
        assert 1 < epd.connections <= 4
        await pool.close()


async def test_over_tls_with_client_certificates(certificate: Path) -> None:
    """A peer that demands a certificate gets one; without trust or certificate nothing is filed."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate))
    server.load_cert_chain(certificate)
    server.verify_mode = ssl.CERT_REQUIRED
    trusting = ssl.create_default_context(cafile=str(certificate))
    trusting.load_cert_chain(certificate)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_frame(reader):
            writer.write(ack("K1"))

    async with raw_peer(talk, server) as port:
        async with client_of(port, tls=trusting) as client:
            for _ in range(3):
                assert parse_ack(await client.exchange(RAW, "K1")).code is AckCode.AA
        async with client_of(port, tls=ssl.create_default_context()) as client:
            with pytest.raises(EpdDown, match="SSLCertVerificationError"):
                await client.exchange(RAW, "K1")
        nameless = ssl.create_default_context(cafile=str(certificate))
        async with client_of(port, tls=nameless) as client:
            with pytest.raises((EpdDown, AckUnknown)):
                await client.exchange(RAW, "K1")


async def test_the_sandbox_runs_as_a_process_and_takes_orders() -> None:
    """The sandbox prints its ports, shows its inbox, goes down and comes back on the same port."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SANDBOX), "--port", "0", "--control-port", "0"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        ports = msgspec.json.decode(await process.stdout.readline())
        control = f"http://127.0.0.1:{ports['control_port']}"
        async with client_of(ports["port"]) as client, aiohttp.ClientSession() as session:
            assert await file(client, document(1)) is AckCode.AA
            assert (await session.post(f"{control}/mode", json={"mode": "down"})).status == 200
            with pytest.raises(EpdDown):
                await file(client, document(2))
            assert (await session.post(f"{control}/mode", json={"mode": "nonsense"})).status == 400
            assert (await session.post(f"{control}/mode", json={"mode": "normal"})).status == 200
            assert await file(client, document(2)) is AckCode.AA
            inbox = await (await session.get(f"{control}/inbox")).json()
        assert [filed["count"] for filed in inbox["documents"]] == [1, 1]
        assert inbox["documents"][0]["body"] == "Goedemorgen"
    finally:
        process.terminate()
        assert await process.wait() == 0
