"""Whose turn it is on one connection, and what is written down ahead of the turns that come next."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from messaging_service.application.ports import AtTurn
from messaging_service.domain.errors import EpdDown

_AHEAD_SECONDS = 0.1
_SLOW_SECONDS = 0.5
_MOST_AHEAD = 16
_FRESH_SECONDS = 1.0


class Turns:
    """One exchange at a time, in the order in which they were asked for. One that finds the EPD down says so for all
    that wait: each would try in vain as long as it did.

    What an exchange does at its turn, before its first byte, is begun for the next one as well, and for as many as are
    expected to have their turn within a tenth of a second: the connection would otherwise wait for the store before
    each message. Of an EPD that takes more than half a second, or unknown time, only the one whose turn it is begins.
    """

    def __init__(self, most_ahead: int = _MOST_AHEAD, clock: Callable[[], float] = time.monotonic) -> None:
        """`most_ahead`: how many may have begun, the one whose turn it is included. `clock` counts seconds."""
        self._most_ahead = most_ahead
        self._clock = clock
        self._ahead = 1
        self._places: deque[_Place] = deque()

    def __len__(self) -> int:
        """How many have their turn or wait for it."""
        return len(self._places)

    @asynccontextmanager
    async def turn(self, at_turn: AtTurn | None = None) -> AsyncIterator[None]:
        """The block is the turn; `at_turn` is done before it.

        Raises:
            EpdDown: one whose turn was before said so.
            Whatever `at_turn` raises.
        """
        place = _Place(at_turn, self._clock)
        self._places.append(place)
        try:
            if self._places[0] is not place:
                await place.come.wait()
            if place.down is not None:
                raise EpdDown(*place.down.args)
            for each in list(self._places)[: self._ahead]:
                each.begin()
            await place.done()
            begun = self._clock()
            try:
                yield
            except BaseException as problem:
                self._ahead = 1
                for each in self._places:
                    each.told_of(problem)
                raise
            self._expect(self._clock() - begun)
        finally:
            place.leave()
            self._places.remove(place)
            if self._places:
                self._places[0].come.set()

    def _expect(self, seconds: float) -> None:
        ahead = 0 if seconds > _SLOW_SECONDS else math.ceil(_AHEAD_SECONDS / max(seconds, 1e-6))
        self._ahead = min(1 + ahead, self._most_ahead)


class _Place:
    """One exchange in the row."""

    def __init__(self, at_turn: AtTurn | None, clock: Callable[[], float]) -> None:
        self.come = asyncio.Event()
        self.down: EpdDown | None = None
        self._clock = clock
        self._at_turn = at_turn
        self._task: asyncio.Future[None] | None = None
        self._begun_at = 0.0

    def begin(self) -> None:
        if self._at_turn is not None and self._task is None:
            self._begun_at = self._clock()
            self._task = asyncio.ensure_future(self._at_turn())

    async def done(self) -> None:
        """Done, and not long ago: what was begun early for a turn that came late, or after a failure, is done again."""
        if self._task is None or self._at_turn is None:
            return
        await self._task
        if self._clock() - self._begun_at > _FRESH_SECONDS:
            await self._at_turn()

    def told_of(self, problem: BaseException) -> None:
        """With the EPD down its turn comes at once, and is none; else what was begun for it is begun again."""
        self._begun_at = -math.inf
        if isinstance(problem, EpdDown):
            self.down = problem
            self.come.set()

    def leave(self) -> None:
        if self._task is None:
            return
        if self._task.done():
            with suppress(asyncio.CancelledError):
                self._task.exception()  # asked for, so that asyncio does not log it as never retrieved
        else:
            self._task.cancel()
