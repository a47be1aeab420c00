"""Connections: what is no HTTP is answered with a problem and the notice, and quoted nowhere; the slow are cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiohttp import web

from messaging_service.domain.refusals import Malformed
from messaging_service.gateway.problems import problem_response

log = structlog.get_logger()

_HEADERS_WITHIN = 20.0
"""Seconds for the headers of a request, from its first byte or the connection: the library sets no limit."""
_IDLE_WITHIN = 75.0
"""Seconds that a connection is kept for the next request: longer than proxies keep theirs (60), the library an hour."""


class _Connection(web.RequestHandler):
    """One client's connection.

    The library's own handlers answer without the notice, and log and send back the bytes they stumbled on: patient
    text, where a request was cut off in the wrong place.
    """

    __slots__ = ("_cutting", "when_lost")

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.when_lost: Callable[[], None] | None = None
        self._cutting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there, and has so long for its first request."""
        super().connection_made(transport)
        self._cutting = self._loop.call_later(_HEADERS_WITHIN, self._cut_off)

    def data_received(self, data: bytes) -> None:
        """From the first byte of a request its headers have so long, however slowly more bytes come."""
        super().data_received(data)
        if self._messages or self._current_request is not None:
            self._let_go_on()
        elif self._cutting is None:
            self._cutting = self._loop.call_later(_HEADERS_WITHIN, self._cut_off)

    def connection_lost(self, exc: BaseException | None) -> None:
        """The client is gone; a handler that asked to hear of it does."""
        self._let_go_on()
        super().connection_lost(exc)
        if self.when_lost is not None:
            self.when_lost()

    def _cut_off(self) -> None:
        log.warning("request_headers_late")
        self.force_close()

    def _let_go_on(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what never reached a handler; the connection is closed after it."""
        log.warning("request_unreadable", error=type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        response = problem_response(Malformed() if status == 400 else RuntimeError(), None, "nl")
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """The kind of fault alone, never its words."""
        log.error("connection_failed", error=type(kw.get("exc_info")).__name__)


def when_lost(request: web.Request, call: Callable[[], None]) -> None:
    """Call when this request's client goes away: a handler that only waits would not notice."""
    connection = request.protocol
    if isinstance(connection, _Connection):
        connection.when_lost = call


class _Server(web.Server):
    """Makes connections of our own kind. Bodies come as they were sent: no compressed one is accepted anyway."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, auto_decompress=False, keepalive_timeout=_IDLE_WITHIN, **self._kwargs)


class GatewayRunner(web.AppRunner):
    """Runs the gateway's application."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **made._kwargs)
