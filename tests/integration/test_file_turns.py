"""What is written down of a message while it waits for its turn on its patient's connection."""

from __future__ import annotations

import asyncio

import pytest

from messaging_service.adapters.mllp import MllpClient, MllpPool
from messaging_service.application.ports import AtTurn
from messaging_service.domain.errors import EpdDown, MessageFault
from messaging_service.domain.filing import FilingState
from tests.integration.test_file import PATIENCE_MS, Filer
from tests.integration.test_mllp import read_frame
from tests.parts.mllp_peer import ack, raw_peer
from tests.parts.service import Service, eventually


class AskedPool(MllpPool):
    """Counts the exchanges that were asked for, under way or waiting."""

    asked = 0

    async def exchange(
        self, frame: bytes, control_id: str, partition: str, urgent: bool, at_turn: AtTurn | None = None
    ) -> bytes:
        self.asked += 1
        return await super().exchange(frame, control_id, partition, urgent, at_turn)


async def test_one_that_waits_for_its_connection_is_not_under_way(service: Service) -> None:
    """However long the EPD takes over the first, the second is still waiting, and is never called unknown for it."""
    answer = asyncio.Event()
    seen: list[str] = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append((await read_frame(reader)).split(b"|")[9].decode())
            await answer.wait()
            writer.write(ack(seen[-1]))

    first, second = await service.persisted(), await service.persisted()
    async with raw_peer(slow) as port:
        pool = AskedPool((MllpClient("127.0.0.1", port),), MllpClient("127.0.0.1", port))
        file = Filer(service)
        file.line.epd = pool
        under_way = asyncio.create_task(file(first))
        await eventually(lambda: len(seen) == 1)
        waits = asyncio.create_task(file(second))
        await eventually(lambda: pool.asked == 2)
        service.clock.now += PATIENCE_MS
        assert (await file.filing(first)).state is FilingState.SENDING
        assert (await file.filing(second)).state is FilingState.WAITING
        answer.set()
        await asyncio.gather(under_way, waits)
        await pool.close()
    (attempt,) = (await file.filing(second)).attempts
    assert (attempt.code, attempt.sent_at) == ("AA", service.clock())
    assert seen == [(await file.filing(each)).attempts[0].control_id for each in (first, second)]


async def test_a_silent_epd_is_down_for_all_that_wait(service: Service) -> None:
    """After three silences those behind go back unsent and uncounted; the next trial is sent all the same."""
    received: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while frame := await read_frame(reader):
            received.append(frame)

    messages = [await service.persisted(patient=str(number)) for number in range(6)]
    async with raw_peer(silent) as port:
        client = MllpClient("127.0.0.1", port, ack_timeout=0.2)
        file = Filer(service)
        file.line.epd = pool = MllpPool((client,), MllpClient("127.0.0.1", port))
        ends = await asyncio.gather(*(file(message) for message in messages), return_exceptions=True)
        assert [type(end) for end in ends] == [MessageFault] * 2 + [EpdDown] * 4
        assert len(received) == 3
        states = [(await file.filing(message)).state for message in messages]
        assert states == [FilingState.UNKNOWN] * 3 + [FilingState.WAITING] * 3
        with pytest.raises(EpdDown):
            await file(messages[3])
        assert len(received) == 4
        await pool.close()
