"""Enhanced mode: a commit, and then the application acknowledgement on the same connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from messaging_service.adapters.mllp import MllpClient
from messaging_service.epd.acknowledgement import AckCode, AckUnknown, Unanswered, parse_ack
from tests.parts.mllp_peer import Talk, ack, raw_peer, sandbox_epd

RAW = b"MSH|^~\\&|M||EPD||20260105||MDM^T02|%b|P|2.5|||AL|AL\rTXA|1\r"


@asynccontextmanager
async def client_of(port: int, ack_timeout: float = 5.0) -> AsyncIterator[MllpClient]:
    client = MllpClient("127.0.0.1", port, ack_timeout=ack_timeout, answers_twice=True)
    try:
        yield client
    finally:
        await client.close()


async def code_of(client: MllpClient, control_id: str) -> AckCode:
    return parse_ack(await client.exchange(RAW % control_id.encode(), control_id)).code


def answering(*rounds: bytes) -> Talk:
    """A peer that answers each message with the next of these bytes, and notes what else it is told."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in rounds:
            await reader.readuntil(b"\x1c\r")
            writer.write(answer)
        await reader.read()

    return talk


@pytest.mark.parametrize("mode", ["commit", "normal"])
async def test_the_second_answer_counts(mode: str) -> None:
    """From an independent server: CA and then AA gives AA, message after message on one connection."""
    async with sandbox_epd(mode) as epd, client_of(epd.port) as client:
        found = [
            await client.exchange(RAW.replace(b"TXA|1", b"PID|||1\rPV1||O\rTXA|1|PN") % b"K1", "K1") for _ in range(2)
        ]
        assert [parse_ack(raw).code for raw in found] == [AckCode.AA] * 2
        assert epd.connections == 1


@pytest.mark.parametrize("second", ["AE", "AR"])
async def test_both_answers_in_one_go(second: str) -> None:
    """Glued or apart, the application's answer is the one that is returned."""
    glued = ack("K1", "CA") + ack("K1", second)
    async with raw_peer(answering(glued, ack("K2", "CA") + ack("K2", "AA"))) as port, client_of(port) as client:
        assert await code_of(client, "K1") is AckCode(second)
        assert await code_of(client, "K2") is AckCode.AA


@pytest.mark.parametrize("refused", ["CE", "CR"])
async def test_a_refused_commit_is_not_followed_by_anything(refused: str) -> None:
    """The client does not wait for a second answer, and the connection serves the next message."""
    async with raw_peer(answering(ack("K1", refused), ack("K2", refused))) as port, client_of(port) as client:
        assert await code_of(client, "K1") is AckCode(refused)
        assert await code_of(client, "K2") is AckCode(refused)


@pytest.mark.parametrize("after", [b"", ack("OTHER", "AA"), b"\x0bno HL7\x1c\r"])
async def test_without_the_second_answer_the_commit_is_what_is_known(after: bytes) -> None:
    """Silence, somebody else's answer or noise after CA: CA is returned and the connection is given up."""
    talks = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal talks
        talks += 1
        await answering(ack(f"K{talks}", "CA") + after)(reader, writer)

    async with raw_peer(talk) as port, client_of(port, ack_timeout=0.2) as client:
        assert await code_of(client, "K1") is AckCode.CA
        assert await code_of(client, "K2") is AckCode.CA
    assert talks == 2


async def test_an_acknowledgement_that_asks_for_a_commit_gets_one() -> None:
    """MSH-15 of the application acknowledgement is AL: it is answered CA under its own control id."""
    told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    asks = b"\x0bMSH|^~\\&|EPD||M||20260105||ACK^T02^ACK|E77|P|2.5|||AL|NE\rMSA|AA|K1\r\x1c\r"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")
        writer.write(ack("K1", "CA") + asks)
        told.set_result(await reader.readuntil(b"\x1c\r"))

    async with raw_peer(talk) as port, client_of(port) as client:
        assert await code_of(client, "K1") is AckCode.AA
        commit = parse_ack((await asyncio.wait_for(told, 5))[1:-2])
    assert (commit.code, commit.control_id) == (AckCode.CA, "E77")


async def test_a_third_answer_is_never_taken_for_the_next_messages() -> None:
    """More than two answers make the connection unfit: the next message goes over a new one."""
    talks = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal talks
        talks += 1
        same = f"K{talks}"
        await answering(ack(same, "CA") + ack(same, "AA") + ack("K2", "AE"))(reader, writer)

    async with raw_peer(talk) as port, client_of(port) as client:
        assert await code_of(client, "K1") is AckCode.AA
        assert await code_of(client, "K2") is AckCode.AA
    assert talks == 2


async def test_original_mode_knows_one_answer() -> None:
    """Without enhanced mode the CA was the answer: the AA behind it is not taken for the next message's, whose
    answer comes over a new connection (and is, from this peer, the first message's once more)."""
    async with raw_peer(answering(ack("K1", "CA") + ack("K1", "AA"))) as port:
        client = MllpClient("127.0.0.1", port, ack_timeout=0.3)
        assert await code_of(client, "K1") is AckCode.CA
        with pytest.raises(AckUnknown) as raised:
            await code_of(client, "K2")
        assert raised.value.why is Unanswered.MISMATCH
        await client.close()
