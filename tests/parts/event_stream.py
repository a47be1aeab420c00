"""Server-sent events as a browser reads them (WHATWG HTML, section 9.2), for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

PATIENCE = 15.0


@dataclass(slots=True)
class EventStream:
    """One stream: its events as (type, data), the id of the last one, and how many comments came."""

    answer: aiohttp.ClientResponse
    last_id: str = ""
    comments: int = 0
    retry: int = 0
    _fields: dict[str, str] = field(default_factory=dict)

    async def next(self, patience: float = PATIENCE) -> tuple[str, dict[str, Any]] | None:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(patience):
            while line := (await self.answer.content.readline()).decode():
                if line == "\n" and "event" in self._fields:
                    fields, self._fields = self._fields, {}
                    self.last_id = fields.get("id", self.last_id)
                    return fields["event"], json.loads(fields["data"])
                name, _, value = line.rstrip("\n").partition(": ")
                if line.startswith(":"):
                    self.comments += 1
                elif name == "retry":
                    self.retry = int(value)
                elif name:
                    self._fields[name] = value
        return None


@asynccontextmanager
async def event_stream(
    http: aiohttp.ClientSession, url: str, *, token: str = "", last: str = "", **query: str
) -> AsyncIterator[EventStream]:
    """An open stream. Fails unless it is answered 200."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if last:
        headers["Last-Event-ID"] = last
    async with http.get(f"{url}/v1/events", headers=headers, params=query) as answer:
        assert answer.status == 200, await answer.text()
        yield EventStream(answer)
