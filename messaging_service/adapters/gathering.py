"""What is asked in the same moment is answered with one call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Gathering(Generic[Asked, Answer]):
    """Hands what waits to `answer`, at most `most` together and `at_once` calls under way; the rest waits on.

    `answer` gives one answer for each in the same order, an exception if only that one failed.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer | Exception]]],
        *,
        at_once: int,
        most: int,
    ) -> None:
        self._answer = answer
        self._at_once = at_once
        self._most = most
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._starting = False

    async def ask(self, asked: Asked) -> Answer:
        """Its answer. Raises what `answer` raised, or gave as this one's answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((asked, future))
        if not self._starting and len(self._calls) < self._at_once:
            self._starting = True
            loop.call_soon(self._start)
        return await future

    async def close(self) -> None:
        """Wait for what was asked so far."""
        while self._calls or self._waiting:
            await asyncio.wait([future for _, future in self._waiting] + list(self._calls))

    def _start(self) -> None:
        self._starting = False
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        if not batch:
            return
        call = asyncio.get_running_loop().create_task(self._call(batch))
        self._calls.add(call)
        call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._start()

    async def _call(self, batch: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._answer([asked for asked, _ in batch])
        except Exception as exc:
            answers = [exc] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():  # whoever asked was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
