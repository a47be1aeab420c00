"""One open MLLP connection, as the sending side sees it."""

from __future__ import annotations

import asyncio
import select
from collections import deque
from typing import cast

from messaging_service.adapters.mllp_frames import FrameBroken, FrameDecoder
from messaging_service.domain.errors import EpdDown


class Session(asyncio.Protocol):
    """Sees at once when the peer hangs up, or speaks without having been asked."""

    def __init__(self, max_frame: int) -> None:
        self._decoder = FrameDecoder(max_frame)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._early: deque[bytes] = deque()
        self._due = 0
        self._unread = select.poll()
        self._usable = True
        self._deadline = 0.0
        self._watch: asyncio.TimerHandle | None = None

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
        asked = self._due > 0
        for frame in frames:
            self._take(frame)
        if not asked or (self._due == 0 and not self._decoder.idle):
            self._usable = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._usable = False
        if self._watch is not None:
            self._watch.cancel()
        self._fail(EOFError())

    def is_fit(self) -> bool:
        """Open, with nothing unread on it: neither the stream's end nor a late answer to another message."""
        if not self._usable or self._transport is None or self._transport.is_closing():
            return False
        return not self._unread.poll(0)

    async def ask(self, sent: bytes, timeout: float, *, answers: int = 1) -> bytes:
        """Send what is framed already and wait at most `timeout` seconds for the next frame.

        `answers` frames may come in all; what comes beyond makes the connection unfit.

        Raises:
            EpdDown: the peer hung up before anything was sent.
            EOFError: it hung up after that.
            FrameBroken: it sent more than the cap without ending a frame.
            TimeoutError: nothing came.
        """
        if self._transport is None or not self._usable:
            raise EpdDown("hung up at once")
        self._due = answers
        self._transport.write(sent)
        return await self._next(timeout)

    async def another(self, timeout: float) -> bytes:
        """The answer after the first, of those that were asked for. Raises as `ask` does once it has sent."""
        if self._early:
            return self._early.popleft()
        if not self._usable:
            raise EOFError
        return await self._next(timeout)

    def tell(self, framed: bytes) -> None:
        """Send what no answer is expected to."""
        if self._transport is not None and self._usable:
            self._transport.write(framed)

    def expect_no_more(self) -> None:
        """Of the answers asked for no other is to come."""
        self._due = 0
        if self._early:
            self._usable = False

    def abort(self) -> None:
        """Close at once, without waiting for what is unsent; safe to repeat."""
        self._usable = False
        if self._transport is not None:
            self._transport.abort()

    async def _next(self, timeout: float) -> bytes:
        """One timer watches over all answers: one for each would cost a tenth of an exchange."""
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._deadline = loop.time() + timeout
        if self._watch is None or self._watch.when() > self._deadline:
            self._watch_from_now(loop)
        return await self._answer

    def _watch_from_now(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = loop.call_at(self._deadline, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """The deadline of some answer is over: of the one that is awaited now, or of one that came."""
        self._watch = None
        if self._answer is None or self._answer.done():
            return
        if loop.time() >= self._deadline:
            self._fail(TimeoutError())
        else:
            self._watch_from_now(loop)

    def _take(self, frame: bytes) -> None:
        if self._due == 0:
            self._usable = False
            return
        self._due -= 1
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(frame)
        else:
            self._early.append(frame)

    def _fail(self, why: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(why)
