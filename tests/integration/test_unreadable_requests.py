"""Bytes that are no HTTP: answered with a problem and the notice, and quoted nowhere."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from messaging_service.gateway import connection
from messaging_service.gateway.connection import GatewayRunner
from tests.contract.http_service import PATIENCE, talk

CONTENT = "mijn pijn op de borst"
END = b'"telephone":["112"]}}'


async def _fail(request: web.Request) -> web.Response:
    raise ValueError(CONTENT)


async def _work(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text="done")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The port of a gateway that has nothing but its runner, and a handler that fails."""
    app = web.Application()
    app.router.add_post("/fails", _fail)
    app.router.add_post("/works", _work)
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


@pytest.mark.parametrize("sent", [b"", b"POST /works HTTP/1.1\r\nHost: x\r\nA: b\r\n"], ids=["nothing", "some headers"])
async def test_headers_that_never_end(port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """Nobody holds a connection open with headers that do not come, also when byte after byte does."""
    monkeypatch.setattr(connection, "_HEADERS_WITHIN", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with capture_logs() as logs:
        writer.write(sent)
        try:
            async with asyncio.timeout(PATIENCE):
                while not reader.at_eof():
                    if sent:
                        writer.write(b"a")
                    with suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1), 0.02)
        except ConnectionError:
            pass  # cut off while a byte was on its way
        finally:
            writer.close()
    assert [entry["event"] for entry in logs] == ["request_headers_late"]


async def test_who_sends_whole_headers_is_not_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither between two requests nor while a body comes; but the next headers have to come in time as well."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def answered(*pieces: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            for piece in pieces:
                writer.write(piece)
                await reader.readuntil(b"done" if piece is pieces[-1] else b"100 Continue\r\n\r\n")

    await answered(b"POST /works HTTP/1.1\r\nHost: x\r\n\r\n")
    monkeypatch.setattr(connection, "_HEADERS_WITHIN", 0.0)
    head = b"POST /works HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    await answered(head, b"ab")
    await answered(b"POST /works HTTP/1.1\r\nHost: x\r\n\r\n")
    writer.write(b"POST /works HTTP/1.1\r\n")
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
