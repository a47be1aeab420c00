"""The receiving side of MLLP, over TCP or TLS: one message at a time on a connection, answered before the next.

Whoever connects can cost no more than a connection, a frame within the cap and the frame's time: bytes without a
frame, idle and slow senders and peers that do not read their answers are cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from messaging_service.adapters.mllp_frames import MAX_FRAME, FrameBroken, FrameDecoder, framed

log = structlog.get_logger()

_READ = 65_536
_HANDSHAKE_SECONDS = 10.0
Answering = Callable[[bytes], Awaitable[bytes]]
"""A message to its acknowledgement, both without frame."""


@dataclass(frozen=True, slots=True)
class Caps:
    """Bytes of a frame's content; seconds between frames, and from a frame's first byte to its last.

    `connections` at once, of which `at_once` are being answered.
    """

    max_frame: int = MAX_FRAME
    idle_timeout: float = 3_600.0
    frame_timeout: float = 30.0
    connections: int = 32
    at_once: int = 16


class MllpListener:
    """Listens until it is closed; `port` is known once it is open."""

    def __init__(
        self, answering: Answering, caps: Caps, *, tenant: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        """`tls` is the server's context, made to demand client certificates where they are wanted."""
        self._answering = answering
        self._caps = caps
        self._tenant = tenant
        self._tls = tls
        self._turns = asyncio.Semaphore(caps.at_once)
        self._server: asyncio.Server | None = None
        self._talks: dict[asyncio.Task[None], _Talk] = {}
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Begin to listen; port 0 takes a free one. Raises OSError when it cannot."""
        handshake = _HANDSHAKE_SECONDS if self._tls else None
        self._server = await asyncio.start_server(
            self._connected,
            host,
            port,
            ssl=self._tls,
            ssl_handshake_timeout=handshake,
            reuse_port=port != 0,
            limit=_READ,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self, drain: float) -> None:
        """Stop listening; messages in hand are finished and answered, for at most `drain` seconds."""
        if self._server is not None:
            self._server.close()
        for talk in self._talks.values():
            talk.stop()
        if self._talks:
            await asyncio.wait(self._talks, timeout=drain)
        for task in self._talks:
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._talks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._talks) >= self._caps.connections:
            log.warning("too_many_connections", tenant=self._tenant)
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        talk = _Talk(reader, writer, self._caps, self._answer)
        self._talks[task] = talk
        try:
            why = await talk.run()
            if why:
                log.warning("sender_cut_off", tenant=self._tenant, reason=why)
        except Exception:
            log.exception("listener_failed", tenant=self._tenant)
        finally:
            del self._talks[task]
            writer.transport.abort()

    async def _answer(self, message: bytes) -> bytes:
        async with self._turns:
            return await self._answering(message)


class _Talk:
    """One connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, caps: Caps, answering: Answering
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._caps = caps
        self._answering = answering
        self._decoder = FrameDecoder(caps.max_frame)
        self._deadline = 0.0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the message in hand, and read no other."""
        self._stopping.set()

    async def run(self) -> str:
        """Talk until one side ends it; returns why the peer was cut off, or nothing."""
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + self._caps.idle_timeout
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                chunk = await self._read(stopping)
                if not chunk:
                    return ""
                await self._take(chunk)
        except TimeoutError:
            return "idle" if self._decoder.idle else "slow"
        except FrameBroken:
            return "frame_too_long"
        except (OSError, ssl.SSLError):
            return ""
        finally:
            stopping.cancel()
        return ""

    async def _read(self, stopping: asyncio.Task[bool]) -> bytes:
        """The next bytes; none when the peer hung up or we stop. Raises TimeoutError at the deadline."""
        reading = asyncio.ensure_future(self._reader.read(_READ))
        try:
            async with asyncio.timeout_at(self._deadline):
                await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else b""
        finally:
            if not reading.done():
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading

    async def _take(self, chunk: bytes) -> None:
        """Answer the frames that a chunk ends. Only a frame, begun or answered, moves the deadline, never noise."""
        was_idle = self._decoder.idle
        frames = self._decoder.feed(chunk)
        for frame in frames:
            await self._answer(frame)
        now = asyncio.get_running_loop().time()
        if not self._decoder.idle and (was_idle or frames):
            self._deadline = now + self._caps.frame_timeout
        elif frames:
            self._deadline = now + self._caps.idle_timeout

    async def _answer(self, frame: bytes) -> None:
        if self._stopping.is_set():
            return
        answer = await self._answering(frame)
        async with asyncio.timeout(self._caps.frame_timeout):
            self._writer.write(framed(answer))
            await self._writer.drain()
