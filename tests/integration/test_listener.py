"""The MLLP listener against PyPI hl7's client and against senders that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hl7.client
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging_service.adapters.mllp_listener import Caps, MllpListener
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants import Listener
from tests.parts.epd_sender import code, document, sender
from tests.parts.receiving import Receiving
from tests.parts.service import Service, eventually
from workers.receive import server_tls

VT, END = b"\x0b", b"\x1c\r"


@asynccontextmanager
async def listening(
    answering: Any = None, tls: ssl.SSLContext | None = None, **caps: Any
) -> AsyncIterator[MllpListener]:
    """A listener that gives back what it is sent, or answers as a test wants."""

    async def echo(message: bytes) -> bytes:
        return message

    listener = MllpListener(answering or echo, Caps(**caps), tls=tls)
    await listener.open("127.0.0.1", 0)
    try:
        yield listener
    finally:
        await listener.close(5.0)


@asynccontextmanager
async def raw(listener: MllpListener) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def test_hl7s_own_clients_are_answered(service: Service) -> None:
    """Both of PyPI hl7's clients send replies; each is answered AA with its own control id, and shown."""
    receiving = Receiving(service)
    asked = await service.persisted()
    async with receiving.listening() as listener:
        async with sender(listener.port) as epd:
            for number in range(20):
                ack = await epd.send(document(f"{number}", parent=asked.id, number=f"D{number}", control=f"C{number}"))
                assert (code(ack), str(ack.segment("MSA")(2))) == ("AA", f"C{number}")

        def blocking() -> bytes:
            with hl7.client.MLLPClient("127.0.0.1", listener.port) as client:
                answer: bytes = client.send_message(document("20", parent=asked.id, number="D20", control="C20"))
                return answer

        assert b"MSA|AA|C20" in await asyncio.to_thread(blocking)
    assert await receiving.texts(asked.thread) == [str(number) for number in range(21)]


async def test_split_glued_and_noisy_frames() -> None:
    """Byte by byte, three glued together, noise before VT: each frame is answered once, in order."""
    async with listening() as listener, raw(listener) as (reader, writer):
        for byte in b"noise\r\n" + VT + b"one" + END:
            writer.write(bytes([byte]))
            await writer.drain()
        assert await reader.readuntil(END) == VT + b"one" + END
        writer.write(b"".join(VT + each + END for each in (b"two", b"three", b"four")))
        assert [await reader.readuntil(END) for _ in range(3)] == [VT + x + END for x in (b"two", b"three", b"four")]


@pytest.mark.parametrize("sent", [b"", b"x" * 900, VT + b"half", VT + b"whole" + END + VT + b"half"])
async def test_idle_and_slow_senders_are_cut_off(sent: bytes) -> None:
    """Silence, noise without a frame, and a frame that does not end: hung up on; what was whole is answered first."""
    async with listening(idle_timeout=0.2, frame_timeout=0.1) as listener, raw(listener) as (reader, writer):
        writer.write(sent)
        got = await asyncio.wait_for(reader.read(), 5)
        assert got == (VT + b"whole" + END if b"whole" in sent else b"")
        await eventually(lambda: listener.connections == 0)


async def test_a_trickle_does_not_keep_a_connection() -> None:
    """A byte now and then, noise or half a frame, moves no deadline."""
    async with listening(idle_timeout=0.3, frame_timeout=0.3) as listener:
        for beginning in (b"", VT):
            async with raw(listener) as (reader, writer):
                writer.write(beginning)
                hung_up = asyncio.ensure_future(reader.read())
                async with asyncio.timeout(5):
                    while not hung_up.done():
                        writer.write(b"x")
                        await asyncio.wait((hung_up,), timeout=0.02)
                assert hung_up.exception() is not None or hung_up.result() == b""


async def test_a_frame_beyond_the_cap_costs_the_connection_not_memory() -> None:
    """10 MB into a 1 MiB cap: hung up on within the cap's memory; another connection goes on."""
    chunk = b"x" * 65_536
    async with listening() as listener, raw(listener) as (_, writer), raw(listener) as (reader, other):
        tracemalloc.start()
        writer.write(VT)
        for _ in range(160):
            writer.write(chunk)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        await eventually(lambda: listener.connections == 1)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
        tracemalloc.stop()
        other.write(VT + b"still here" + END)
        assert await asyncio.wait_for(reader.readuntil(END), 5) == VT + b"still here" + END


async def test_a_message_of_the_full_cap_passes() -> None:
    """The cap is what it says: a frame of exactly so many bytes is answered."""
    content = b"x" * 1_048_576
    async with listening() as listener, raw(listener) as (reader, writer):
        writer.write(VT + content + END)
        assert await reader.readexactly(len(content) + 3) == VT + content + END


async def test_a_peer_that_does_not_read_its_answers_is_cut_off() -> None:
    """Answers pile up unread: the connection goes, not our memory."""

    async def wordy(_: bytes) -> bytes:
        return b"x" * 1_000_000

    async with listening(wordy, frame_timeout=0.2) as listener, raw(listener) as (_, writer):
        writer.write((VT + b"say" + END) * 50)
        await eventually(lambda: listener.connections == 0)


async def test_no_more_connections_than_the_cap() -> None:
    """The third of two is hung up on at once; when one leaves there is room again."""
    async with listening(connections=2) as listener, raw(listener) as first, raw(listener):
        await eventually(lambda: listener.connections == 2)
        async with raw(listener) as (reader, _):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), 5)
        first[1].transport.abort()
        await eventually(lambda: listener.connections == 1)
        async with raw(listener) as (reader, writer):
            writer.write(VT + b"hello" + END)
            assert await asyncio.wait_for(reader.readuntil(END), 5) == VT + b"hello" + END


async def test_no_more_messages_at_once_than_the_cap() -> None:
    """Eight connections send; never more than two are worked on at the same time."""
    busy, most = 0, 0
    go = asyncio.Event()

    async def work(message: bytes) -> bytes:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await go.wait()
        busy -= 1
        return message

    async with listening(work, at_once=2) as listener:
        peers = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(8)]
        for _, writer in peers:
            writer.write(VT + b"x" + END)
        await eventually(lambda: busy == 2)
        go.set()
        for reader, writer in peers:
            assert await asyncio.wait_for(reader.readuntil(END), 5) == VT + b"x" + END
            writer.transport.abort()
    assert most == 2


async def test_stopping_finishes_what_is_in_hand() -> None:
    """A message being worked on when we stop is answered; idle connections end at once; nobody new gets in."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def work(message: bytes) -> bytes:
        begun.set()
        await go.wait()
        return message

    async with listening(work) as listener, raw(listener) as (reader, writer), raw(listener) as (idle, _):
        await eventually(lambda: listener.connections == 2)
        writer.write(VT + b"in hand" + END + VT + b"next" + END)
        await begun.wait()
        closing = asyncio.create_task(listener.close(5.0))
        assert await asyncio.wait_for(idle.read(), 5) == b""
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", listener.port)
        go.set()
        assert await asyncio.wait_for(reader.read(), 5) == VT + b"in hand" + END
        await closing


async def test_a_handler_that_fails_costs_its_connection_alone() -> None:
    """A fault in the handler hangs up, so that the sender sends again; others are served."""

    async def work(message: bytes) -> bytes:
        if message == b"bad":
            raise RuntimeError
        return message

    async with listening(work) as listener:
        async with raw(listener) as (reader, writer):
            writer.write(VT + b"bad" + END)
            assert await asyncio.wait_for(reader.read(), 5) == b""
        async with raw(listener) as (reader, writer):
            writer.write(VT + b"good" + END)
            assert await asyncio.wait_for(reader.readuntil(END), 5) == VT + b"good" + END


@given(noise=st.lists(st.binary(max_size=200), max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_sent_is_answered_or_hung_up_on(service: Service, noise: list[bytes]) -> None:
    """Frames of noise and bytes between them: each whole frame gets an AE, and a good message after them its AA."""
    receiving = Receiving(service)
    whole = [each.replace(b"\x1c\r", b"").rstrip(b"\x1c") for each in noise]
    async with receiving.listening() as listener, raw(listener) as (reader, writer):
        writer.write(b"".join(b"between" + VT + each + END for each in whole))
        writer.write(VT + document(parent="NEVERSENT").encode() + END)
        answers = [await asyncio.wait_for(reader.readuntil(END), 10) for _ in range(len(whole) + 1)]
        assert all(b"MSA" in answer and b"AE" in answer for answer in answers[:-1])
        assert b"MSA|AA|C1" in answers[-1]


async def test_over_tls_with_client_certificates(service: Service, certificate: Path) -> None:
    """Who shows a certificate is served over TLS; who shows none, or speaks in the clear, is not."""
    table = Listener(listen="0.0.0.0:2575", certificate=str(certificate), ca_file=str(certificate))
    trusting = ssl.create_default_context(cafile=str(certificate))
    nameless = ssl.create_default_context(cafile=str(certificate))
    trusting.load_cert_chain(certificate)
    async with Receiving(service).listening(server_tls(table)) as listener:
        async with sender(listener.port, trusting) as epd:
            assert code(await epd.send(document(parent="X"))) == "AA"
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            async with sender(listener.port, nameless) as epd:
                await epd.send(document(parent="X"))
        async with raw(listener) as (reader, writer):
            writer.write(VT + document().encode() + END)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readuntil(END), 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"listen": "0.0.0.0:2575"},
        {"listen": "127.0.0.1:2575", "ca_file": "/nowhere"},
        {"listen": "127.0.0.1:2575", "certificate": "/nowhere"},
        {"listen": "2575"},
        {"listen": "localhost:hl7"},
    ],
)
def test_settings_that_would_be_unsafe_or_wrong(changes: dict[str, Any]) -> None:
    """In the clear beyond loopback, a CA without a certificate, files that are not there, no port: refused by name."""
    with pytest.raises(SettingInvalid, match=r"\[epd.listener\]"):
        server_tls(Listener(**changes))


def test_loopback_and_a_network_of_its_own_need_no_tls() -> None:
    """Loopback as it is; elsewhere only when the tenant says so."""
    assert server_tls(Listener(listen="127.0.0.1:2575")) is None
    assert server_tls(msgspec.structs.replace(Listener(listen="10.0.0.1:2575"), unencrypted=True)) is None
