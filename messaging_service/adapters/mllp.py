"""The sending side of MLLP, over TCP or TLS: one message in flight on each connection."""

from __future__ import annotations

import asyncio
import select
import ssl
import zlib
from contextlib import suppress

from messaging_service.adapters.mllp_frames import MAX_FRAME, FrameBroken, FrameDecoder, framed
from messaging_service.domain.errors import EpdDown
from messaging_service.epd.acknowledgement import AckUnknown, AckUnreadable, Unanswered, parse_ack

_CHUNK = 65_536


class _Session:
    """One open connection. A read is always pending, so a peer that closed or spoke out of turn is seen."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_frame: int) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = FrameDecoder(max_frame)
        self._read = asyncio.ensure_future(reader.read(_CHUNK))
        self._spoke_out_of_turn = False

    def is_fit(self) -> bool:
        """Open, with nothing unread on it: neither the stream's end nor a late answer to another message."""
        if self._read.done() or self._writer.is_closing() or self._spoke_out_of_turn:
            return False
        socket = self._writer.get_extra_info("socket")
        poll = select.poll()
        poll.register(socket.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    async def send(self, framed_content: bytes) -> None:
        self._writer.write(framed_content)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """The next frame; EOFError when the peer closed first."""
        while True:
            chunk = await self._read
            if not chunk:
                raise EOFError
            self._read = asyncio.ensure_future(self._reader.read(_CHUNK))
            frames = self._decoder.feed(chunk)
            if frames:
                self._spoke_out_of_turn = len(frames) > 1 or not self._decoder.idle
                return frames[0]

    def abort(self) -> None:
        """Close at once, without waiting for what is unsent; safe to repeat."""
        self._read.cancel()
        self._writer.transport.abort()

    async def close(self) -> None:
        self._read.cancel()
        self._writer.close()
        with suppress(OSError, ssl.SSLError):
            await self._writer.wait_closed()


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
            if self._session is not None:
                session, self._session = self._session, None
                await session.close()

    async def _answered(self, session: _Session, sent: bytes, control_id: str) -> bytes:
        try:
            async with asyncio.timeout(self._ack_timeout):
                await session.send(sent)
                answer = await session.receive()
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
                reader, writer = await asyncio.open_connection(host, port, ssl=self._tls, limit=_CHUNK)
        except (OSError, TimeoutError) as exc:
            raise EpdDown(f"{host}:{port}, {type(exc).__name__}") from exc
        return _Session(reader, writer, self._max_frame)

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
