"""MLLP peers for tests: the sandbox EPD in process, and one that answers with whatever bytes a test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from deploy.sandbox.epd import SandboxEpd


@asynccontextmanager
async def sandbox_epd(mode: str = "normal") -> AsyncIterator[SandboxEpd]:
    """The sandbox EPD on a free port of loopback, on PyPI hl7's MLLP server."""
    epd = SandboxEpd()
    await epd.start()
    await epd.set_mode(mode)
    try:
        yield epd
    finally:
        await epd.close()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_peer(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A TCP server that runs `talk` on each connection and hangs up when it returns; yields its port."""
    talks: set[asyncio.Task[None]] = set()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            talks.discard(task)
            writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


def ack(control_id: str, code: str = "AA") -> bytes:
    """A framed acknowledgement."""
    return b"\x0b" + f"MSH|^~\\&|EPD||MESSAGING||20260105||ACK|1|P|2.5\rMSA|{code}|{control_id}\r".encode() + b"\x1c\r"
