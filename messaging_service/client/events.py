"""What happens to a patient's messages, as it happens: server-sent events that go on where they broke off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING

import aiohttp
import msgspec

from messaging_service.client.problems import Problem, Unavailable, Unreachable

if TYPE_CHECKING:
    from messaging_service.client.service import Service, Token

READY = "ready"
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_SILENCE_SECONDS = 60.0
"""The service says something every 20 seconds; after so long without, the connection counts as lost."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """That something happened, never what was written: ask for the message or thread.

    `type` is one of the webhook's, or `ready`, which comes first where no `after` was given: what happens from here on
    is told, so read the threads now; or `reset`: something may have been missed, so read them again. `id` is where
    to go on: keep the last one where the listener may be started anew.
    """

    id: str
    type: str
    at: datetime | None = None
    message: str = ""
    thread: str = ""


class _Said(msgspec.Struct):
    message: str = ""
    thread: str = ""
    at: datetime | None = None


class Listening:
    """One patient's events, over as many connections as it takes."""

    def __init__(self, service: Service, token: Token, after: str | None) -> None:
        self._service = service
        self._token = token
        self._last = after
        self._pause = self._first_pause = _FIRST_PAUSE

    async def events(self) -> AsyncIterator[Event]:
        """Every event once and in order, for as long as you listen.

        Raises:
            Problem: one of its kinds, when the service refuses for good: the token does not hold any more, say.
        """
        while True:
            wait = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 -- many lose their gateway at one moment
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
            try:
                async for event in self._connection():
                    self._pause = self._first_pause
                    if event.id != self._last and (event.type != READY or self._last is None):
                        yield event
                    self._last = event.id
            except Unreachable:
                pass
            except Problem as problem:
                if not _may_pass(problem):
                    raise
                wait = max(wait, problem.retry_after)
            await asyncio.sleep(wait)

    async def _connection(self) -> AsyncIterator[Event]:
        """A server shows its token; the tickets of `/v1/event-tickets` are for browsers."""
        headers = {"Last-Event-ID": self._last} if self._last else {}
        timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=_SILENCE_SECONDS)
        async with self._service.stream("/v1/events", self._token, headers, timeout) as answer:
            async for fields in _fields(answer.content):
                if (event := self._event(fields)) is not None:
                    yield event

    def _event(self, fields: dict[str, str]) -> Event | None:
        """None for what is no event of ours."""
        if fields.get("retry", "").isdecimal():
            self._first_pause = int(fields["retry"]) / 1000
        if "id" not in fields or "event" not in fields:
            return None
        said = msgspec.json.decode(fields.get("data", "{}"), type=_Said)
        return Event(id=fields["id"], type=fields["event"], at=said.at, message=said.message, thread=said.thread)


async def _fields(lines: aiohttp.StreamReader) -> AsyncIterator[dict[str, str]]:
    """The fields of each event (WHATWG HTML, 9.2.6); comments are passed over."""
    fields: dict[str, str] = {}
    async for line in lines:
        said = line.decode("utf-8", "replace").rstrip("\r\n")
        name, _, value = said.partition(":")
        if not said:
            yield fields
            fields = {}
        elif name:
            before = f"{fields[name]}\n" if name == "data" and name in fields else ""
            fields[name] = before + value.removeprefix(" ")


def _may_pass(problem: Problem) -> bool:
    return isinstance(problem, Unavailable) or problem.retry_after > 0 or problem.status in (502, 504)
