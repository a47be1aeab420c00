"""Bytes that are no HTTP: answered with a problem and the notice, and quoted nowhere."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from messaging_service.gateway.connection import GatewayRunner
from tests.contract.http_service import talk

CONTENT = "mijn pijn op de borst"
END = b'"telephone":["112"]}}'


async def _fail(request: web.Request) -> web.Response:
    raise ValueError(CONTENT)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a gateway that has nothing but its runner, and a handler that fails."""
    app = web.Application()
    app.router.add_post("/fails", _fail)
    runner = GatewayRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("request_bytes", [
    f"{CONTENT}\r\n\r\n".encode(),
    f"GET / HTTP/1.1\r\nHost: x\r\n{CONTENT}\r\n\r\n".encode(),
    f"GET / HTTP/1.1\r\nHost: x\r\nA: {CONTENT * 1000}\r\n\r\n".encode(),
    f"POST /fails HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{CONTENT}\r\n".encode(),
    b"POST /fails HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
], ids=["no HTTP", "no header", "a long header", "no chunk", "a handler that fails"])  # fmt: skip
async def test_unreadable(port: int, request_bytes: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is sent, the answer is a problem with the notice, and neither answer nor log repeats what was sent."""
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        answer = await asyncio.to_thread(talk, port, request_bytes, END)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    told = json.loads(body)
    assert (told["status"], "112" in told["notice"]["text"]) == (int(head.split()[1]), True)
    assert CONTENT not in answer.decode() + str(logs) + caplog.text
    assert [entry["event"] for entry in logs] == ["request_unreadable"]
