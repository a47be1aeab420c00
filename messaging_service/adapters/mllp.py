"""The sending side of MLLP, over TCP or TLS: one message in flight on each connection."""

from __future__ import annotations

import asyncio
import select
import ssl
import zlib
from typing import cast

from messaging_service.adapters.mllp_frames import MAX_FRAME, FrameBroken, FrameDecoder, framed
from messaging_service.domain.errors import EpdDown
from messaging_service.epd.acknowledgement import AckUnknown, AckUnreadable, Unanswered, parse_ack


class _Session(asyncio.Protocol):
    """One open connection. It sees at once when the peer hangs up, or speaks without having been asked."""

    def __init__(self, max_frame: int) -> None:
        self._decoder = FrameDecoder(max_frame)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._unread = select.poll()
        self._usable = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        socket = transport.get_extra_info("socket")
        self._unread.register(socket.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
        except FrameBroken as broken:
            self._fail(broken)
            self.abort()
            return
        asked = self._answer is not None and not self._answer.done()
        if frames and asked and self._answer is not None:
            self._answer.set_result(frames[0])
        too_much = len(frames) > asked or (bool(frames) and not self._decoder.idle)
        if too_much or not asked:
            self._usable = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._usable = False
        self._fail(EOFError())

    def is_fit(self) -> bool:
        """Open, with nothing unread on it: neither the stream's end nor a late answer to another message."""
        if not self._usable or self._transport is None or self._transport.is_closing():
            return False
        return not self._unread.poll(0)

    async def ask(self, sent: bytes) -> bytes:
        """Send what is framed already and wait for the next frame.

        Raises:
            EpdDown: the peer hung up before anything was sent.
            EOFError: it hung up after that.
            FrameBroken: it sent more than the cap without ending a frame.
        """
        if self._transport is None or not self._usable:
            raise EpdDown("hung up at once")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(sent)
        return await self._answer

    def abort(self) -> None:
        """Close at once, without waiting for what is unsent; safe to repeat."""
        self._usable = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, why: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(why)


class MllpClient:
    """One connection to an EPD: opened when needed, kept, one message at a time."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        connect_timeout: float = 5.0,
        ack_timeout: float = 30.0,
        max_frame: int = MAX_FRAME,
    ) -> None:
        """Time-outs in seconds: until connected (with TLS), and from first byte sent to answer complete."""
        self._address = (host, port)
        self._tls = tls
        self._connect_timeout = connect_timeout
        self._ack_timeout = ack_timeout
        self._max_frame = max_frame
        self._session: _Session | None = None
        self._turn = asyncio.Lock()

    async def exchange(self, frame: bytes, control_id: str) -> bytes:
        """Send `frame` (without VT and FS CR) and return the raw acknowledgement whose MSA-2 is `control_id`.

        Raises:
            EpdDown: no connection; nothing was sent.
            AckUnknown: sent, but no answer of its own in time. The connection is closed, so that a late
                answer can never be taken for the next message's.
        """
        sent = framed(frame)
        async with self._turn:
            session = await self._ready()
            try:
                return await self._answered(session, sent, control_id)
            except BaseException:
                self._drop()
                raise

    async def probe(self) -> None:
        """Raise EpdDown unless the EPD takes a connection (or the one that is open still stands)."""
        async with self._turn:
            await self._ready()

    async def close(self) -> None:
        """Close the connection after the exchange under way."""
        async with self._turn:
            self._drop()

    async def _answered(self, session: _Session, sent: bytes, control_id: str) -> bytes:
        try:
            async with asyncio.timeout(self._ack_timeout):
                answer = await session.ask(sent)
        except TimeoutError as exc:
            raise AckUnknown(Unanswered.TIMEOUT) from exc
        except (EOFError, OSError) as exc:
            raise AckUnknown(Unanswered.CLOSED) from exc
        except FrameBroken as exc:
            raise AckUnknown(Unanswered.GARBLED) from exc
        try:
            answered = parse_ack(answer).control_id
        except AckUnreadable as exc:
            raise AckUnknown(Unanswered.GARBLED, answer) from exc
        if answered != control_id:
            raise AckUnknown(Unanswered.MISMATCH, answer)
        return answer

    async def _ready(self) -> _Session:
        if self._session is not None and not self._session.is_fit():
            self._drop()
        if self._session is None:
            self._session = await self._connect()
        return self._session

    async def _connect(self) -> _Session:
        host, port = self._address
        try:
            async with asyncio.timeout(self._connect_timeout):
                _, session = await asyncio.get_running_loop().create_connection(
                    lambda: _Session(self._max_frame), host, port, ssl=self._tls
                )
        except (OSError, TimeoutError) as exc:
            raise EpdDown(f"{host}:{port}, {type(exc).__name__}") from exc
        return session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.abort()
            self._session = None


class MllpPool:
    """Connections to one EPD: several for the normal lane, one of its own for the urgent lane.

    A partition (a patient) always takes the same connection, so that its messages keep their order.
    """

    def __init__(self, clients: tuple[MllpClient, ...], urgent: MllpClient) -> None:
        """`clients` (at least one) share the normal lane."""
        self._clients = clients
        self._urgent = urgent

    async def exchange(self, frame: bytes, control_id: str, partition: str, urgent: bool) -> bytes:
        """As MllpClient.exchange, on the connection of `partition`, or at once on the urgent one."""
        return await self._of(partition, urgent).exchange(frame, control_id)

    async def probe(self) -> None:
        """Raise EpdDown unless the EPD takes a connection; a connection that is busy is not waited for."""
        await self._urgent.probe()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(client.close() for client in (*self._clients, self._urgent)))

    def _of(self, partition: str, urgent: bool) -> MllpClient:
        if urgent:
            return self._urgent
        return self._clients[zlib.crc32(partition.encode()) % len(self._clients)]
