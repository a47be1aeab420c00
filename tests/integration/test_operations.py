"""The operations channel: the log line always, the webhook when it can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from structlog.testing import capture_logs

from messaging_service.adapters import portal_webhook
from messaging_service.adapters.operations import OperationsChannel
from messaging_service.domain.errors import SettingInvalid

AT = 1_780_000_000_000
TOLD = {"event": "operations_told", "key": "epd.spijkenisse", "text": "EPD down", "log_level": "error"}


class Peer:
    """An operations webhook that keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        self.posts: list[Any] = []
        self.status = 200
        self.hangs = False
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.posts.append((request.content_type, await request.json()))
        if self.hangs:
            await asyncio.Event().wait()
        return web.Response(status=self.status)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    app = web.Application()
    app.router.add_post("/ops", peer.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        peer.url = str(server.make_url("/ops"))
        yield peer


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_logged_and_posted(peer: Peer, http: aiohttp.ClientSession) -> None:
    """One error line and one post with the same key and text, and when."""
    counted: list[str] = []
    channel = OperationsChannel(peer.url, http, lambda: AT, count=counted.append)
    with capture_logs() as logged:
        assert await channel.tell("epd.spijkenisse", "EPD down")
    assert logged == [TOLD]
    assert peer.posts == [("application/json", {"key": "epd.spijkenisse", "text": "EPD down", "at": AT})]
    assert counted == ["taken"]


async def test_without_a_webhook_the_log_line_is_all(http: aiohttp.ClientSession) -> None:
    """No webhook is set: the line is written, nothing is counted as failed."""
    counted: list[str] = []
    with capture_logs() as logged:
        assert await OperationsChannel(None, http, lambda: AT, count=counted.append).tell("epd.spijkenisse", "EPD down")
    assert (logged, counted) == ([TOLD], [])


@pytest.mark.parametrize(("status", "hangs", "reason"), [(500, False, "it answered 500"), (200, True, "TimeoutError")])
async def test_a_failing_webhook_is_counted_never_raised(
    peer: Peer,
    http: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    hangs: bool,
    reason: str,
) -> None:
    """A webhook that refuses or hangs costs a second line and a count; the caller goes on."""
    monkeypatch.setattr(portal_webhook, "TIMEOUT_SECONDS", 0.1)
    peer.status, peer.hangs = status, hangs
    counted: list[str] = []
    with capture_logs() as logged:
        channel = OperationsChannel(peer.url, http, lambda: AT, count=counted.append)
        assert not await channel.tell("epd.spijkenisse", "EPD down")
    assert logged[0] == TOLD
    assert (logged[1]["event"], logged[1]["key"]) == ("operations_webhook_failed", "epd.spijkenisse")
    assert reason in logged[1]["reason"]
    assert counted == ["failed"]


async def test_a_webhook_that_is_down_is_not_named(http: aiohttp.ClientSession) -> None:
    """Nobody listens: counted; the address, often a secret itself, is not in the log."""
    counted: list[str] = []
    url = f"http://127.0.0.1:{unused_port()}/hooks/T0SECRET"
    with capture_logs() as logged:
        await OperationsChannel(url, http, lambda: AT, count=counted.append).tell("epd.spijkenisse", "EPD down")
    assert counted == ["failed"]
    assert "T0SECRET" not in repr(logged)


async def test_http_to_elsewhere_is_refused(http: aiohttp.ClientSession) -> None:
    """Faults are not told in the clear: the setting is refused at the start."""
    with pytest.raises(SettingInvalid, match="MESSAGING_OPS_WEBHOOK"):
        OperationsChannel("http://ops.example/", http, lambda: AT, count=print)
