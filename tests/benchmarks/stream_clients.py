"""Thousands of event streams as browsers hold them, in a process of their own: each comes back after what it was told.

`python -m tests.benchmarks.stream_clients PLAN.json` prints a JSON line when all are there, one when `before` events
came, one when all are back after the gateway was gone, and one when `events` came. Times: seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import uvloop

_AT_ONCE = 100
_EVENT = re.compile(rb"id: (\S+)\nevent: (\S+)\ndata: (\{.*?\})\n\n")
_RETRY = re.compile(rb"retry: (\d+)\n")


class Plan(msgspec.Struct):
    """One stream a token; `before` events are heard before the gateway goes, `events` in all."""

    host: str
    port: int
    tokens: list[str]
    before: int
    events: int
    patience: float = 300.0


class Crowd:
    """What all streams heard, and who is connected."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.heard: dict[str, float] = {}
        self.ready: list[float] = []
        self.repeated = self.reset = 0
        self._changed = asyncio.Event()

    def hears(self, kind: str, message: str) -> None:
        """One event on one stream."""
        if kind in ("ready", "reset"):
            self.ready.append(time.monotonic())
            self.reset += kind == "reset"
        else:
            self.repeated += message in self.heard
            self.heard.setdefault(message, time.monotonic())
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for it."""
        async with asyncio.timeout(self.plan.patience):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


class Stream(asyncio.Protocol):
    """One reader. When the stream is lost it comes again, with the id that it saw last, after the time it was told."""

    def __init__(self, crowd: Crowd, token: str) -> None:
        self._crowd, self._token = crowd, token
        self._buffer, self._last, self._retry = b"", "", 3.0
        self.opened = asyncio.Event()

    async def connect(self) -> None:
        plan = self._crowd.plan
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, plan.host, plan.port)
        except OSError:
            self._again()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        last = f"Last-Event-ID: {self._last}\r\n" if self._last else ""
        head = f"GET /v1/events HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {self._token}\r\n{last}\r\n"
        cast(asyncio.Transport, transport).write(head.encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if told := _RETRY.search(self._buffer):
            self._retry = int(told[1]) / 1000
        end = 0
        for event in _EVENT.finditer(self._buffer):
            self._last, end = event[1].decode(), event.end()
            self._crowd.hears(event[2].decode(), json.loads(event[3]).get("message", ""))
            self.opened.set()
        self._buffer = self._buffer[end:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._buffer = b""
        self._again()

    def _again(self) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._retry, lambda: loop.create_task(self.connect()))


async def hold(plan: Plan) -> None:
    """Open all, then say what happens."""
    crowd, begun = Crowd(plan), time.monotonic()
    streams = [Stream(crowd, token) for token in plan.tokens]
    for start in range(0, len(streams), _AT_ONCE):
        some = streams[start : start + _AT_ONCE]
        await asyncio.gather(*(stream.connect() for stream in some))
        await asyncio.gather(*(stream.opened.wait() for stream in some))
    say(seconds=time.monotonic() - begun)
    await crowd.until(lambda: len(crowd.heard) >= plan.before)
    say(heard=crowd.heard)
    crowd.ready.clear()
    await crowd.until(lambda: len(crowd.ready) >= len(streams))
    say(first=crowd.ready[0], last=crowd.ready[-1])
    await crowd.until(lambda: len(crowd.heard) >= plan.events)
    say(heard=crowd.heard, repeated=crowd.repeated, reset=crowd.reset)


def say(**members: object) -> None:
    """One line for whoever started this."""
    print(json.dumps(members), flush=True)


if __name__ == "__main__":
    uvloop.run(hold(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))
