"""A bounded load of HTTP posts over raw sockets, in a process of its own: so cheap that it measures the other side.

`python -m tests.benchmarks.load PLAN.json` prints one JSON line: seconds, statuses, urgent, p50_ms, p99_ms.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
import uvloop

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_PATIENCE_SECONDS = 120


class Plan(msgspec.Struct):
    """What to post: request n carries token n modulo their number and the text with n written behind it."""

    host: str
    port: int
    count: int
    connections: int
    tokens: list[str]
    text: str
    subject: str = "Vraag over mijn medicijnen"

    def request(self, number: int) -> bytes:
        """The bytes of request `number`."""
        message = {"subject": self.subject, "body": f"{self.text} ({number})", "language": "nl"}
        body = msgspec.json.encode(message)
        token = self.tokens[number % len(self.tokens)]
        head = (
            f"POST /v1/messages HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Tally:
    """What came back, and after how many seconds each."""

    taken: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    urgent: int = 0


class Poster(asyncio.Protocol):
    """One connection: the next request leaves when the answer to the last is complete."""

    def __init__(self, requests: Iterator[bytes], tally: Tally) -> None:
        self._requests = requests
        self._tally = tally
        self._buffer = b""
        self._sent = 0.0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(_END)
        if not end:
            return
        lower = head.lower()
        length = int(lower[lower.index(_LENGTH) + len(_LENGTH) :].split(b"\r\n", 1)[0])
        if len(rest) >= length:
            self._tally.taken.append(time.perf_counter() - self._sent)
            self._tally.statuses[head[9:12].decode()] += 1
            self._tally.urgent += b'"urgent":true' in rest
            self._buffer = b""
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or EOFError("the server hung up"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


async def post_all(plan: Plan) -> dict[str, object]:
    """Post everything and say how it went."""
    tally = Tally()
    requests = iter([plan.request(number) for number in range(plan.count)])
    begun = time.perf_counter()
    posters = [await _connect(plan, Poster(requests, tally)) for _ in range(plan.connections)]
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*(poster.done for poster in posters))
    seconds = time.perf_counter() - begun
    taken = sorted(tally.taken)
    return {
        "seconds": seconds,
        "statuses": tally.statuses,
        "urgent": tally.urgent,
        "p50_ms": 1000 * taken[len(taken) // 2],
        "p99_ms": 1000 * taken[len(taken) * 99 // 100],
    }


async def _connect(plan: Plan, poster: Poster) -> Poster:
    await asyncio.get_running_loop().create_connection(lambda: poster, plan.host, plan.port)
    return poster


if __name__ == "__main__":
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
    print(json.dumps(uvloop.run(post_all(plan))), flush=True)
