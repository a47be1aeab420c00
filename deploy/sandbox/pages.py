"""The sandbox in a browser: a patient's portal, a clinician's inbox and the queues, on one page.

The page itself uses the public API alone; this server shows it under its own address (`/v1`), so that a browser needs
no leave to ask. Beside that it passes on what is the sandbox's own: who lives here, the sandbox EPD, the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from demonstration import OnCall
from people import HOSPITALS, PEOPLE, portal_token
from prometheus_client.parser import text_string_to_metric_families
from service import NotStarted, Running, command, refuse_production

_PAGE = Path(__file__).with_name("page")
_PASSED_ON = ("Authorization", "Content-Type", "Idempotency-Key", "Accept-Language", "Last-Event-ID")
_SENT_BACK = ("Content-Type", "Cache-Control", "Retry-After", "Location")
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'"
_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Pages:
    """The handlers. Only the page's own origin is answered: another site in the same browser gets no token."""

    def __init__(self, running: Running, on_call: OnCall) -> None:
        self._running = running
        self._on_call = on_call

    def app(self) -> web.Application:
        """All routes."""
        app = web.Application(middlewares=[_own_origin_only], client_max_size=1024**2)
        app.router.add_get("/", self._index)
        app.router.add_static("/page", _PAGE)
        app.router.add_get("/people", self._people)
        app.router.add_get("/queues", self._queues)
        app.router.add_get("/ledger", self._ledger)
        app.router.add_get("/epd/inbox", self._inbox)
        app.router.add_post("/epd/mode", self._mode)
        app.router.add_post("/epd/answer", self._answer)
        app.router.add_post("/epd/read", self._read)
        app.router.add_post("/worker", self._worker)
        app.router.add_route("*", "/v1/{rest:.*}", self._public_api)
        return app

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(_PAGE / "index.html")

    async def _people(self, _: web.Request) -> web.Response:
        people = [
            {
                "id": f"{person.tenant}-{person.number}",
                "name": person.name,
                "hospital": HOSPITALS[person.tenant],
                "language": person.language,
                "token": portal_token(self._running, person),
            }
            for person in PEOPLE
        ]
        return web.json_response(people)

    async def _public_api(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        url = f"{self._running.url}{request.rel_url}"
        body = await request.read()
        no_limit = aiohttp.ClientTimeout(total=None)
        async with self._running.http.request(
            request.method, url, data=body or None, headers=headers, timeout=no_limit
        ) as answer:
            back = {name: answer.headers[name] for name in _SENT_BACK if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=back)
            await response.prepare(request)
            try:
                async for part in answer.content.iter_any():
                    await response.write(part)
            except (aiohttp.ClientError, ConnectionError):
                if request.transport is not None:
                    request.transport.abort()  # cut off where the gateway's answer was
        return response

    async def _queues(self, _: web.Request) -> web.Response:
        async with self._running.http.get(f"{self._running.url}/metrics") as answer:
            exposition = await answer.text()
        queues: dict[str, dict[str, float]] = {}
        parked = 0.0
        for family in text_string_to_metric_families(exposition):
            for sample in family.samples:
                if sample.name in ("messaging_queue_depth", "messaging_queue_oldest_seconds"):
                    kind = "waiting" if sample.name.endswith("depth") else "oldest"
                    queues.setdefault(sample.labels["queue"], {})[kind] = sample.value
                elif sample.name == "messaging_parked":
                    parked = sample.value
        return web.json_response(
            {
                "queues": queues,
                "parked": parked,
                "worker": self._running.worker.running,
                "alarms": len(self._on_call.alarms),
            }
        )

    async def _ledger(self, _: web.Request) -> web.Response:
        try:
            return web.json_response(text=await command(self._running.environment, "ledger", "--json"))
        except NotStarted:  # exit status 1: something is lost or late
            return web.json_response({"ok": False})

    async def _inbox(self, _: web.Request) -> web.Response:
        return await self._of_epd("GET", "inbox", None)

    async def _mode(self, request: web.Request) -> web.Response:
        return await self._of_epd("POST", "mode", await request.json())

    async def _answer(self, request: web.Request) -> web.Response:
        return await self._to_listener("reply", await request.json())

    async def _read(self, request: web.Request) -> web.Response:
        return await self._to_listener("read", await request.json())

    async def _to_listener(self, what: str, asked: dict[str, Any]) -> web.Response:
        hospital = {"SMC": "spijkenisse", "SEIN": "sein"}[asked["hospital"]]
        return await self._of_epd("POST", what, {**asked, "to": self._running.listeners[hospital]})

    async def _of_epd(self, method: str, path: str, body: Any) -> web.Response:
        url = f"{self._running.epd.control}/{path}"
        async with self._running.http.request(method, url, json=body) as answer:
            return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")

    async def _worker(self, request: web.Request) -> web.Response:
        worker = self._running.worker
        starts = (await request.json())["running"]
        await asyncio.shield(worker.start() if starts else worker.kill())  # a browser that leaves does not cut it short
        return web.json_response({"running": worker.running})


@web.middleware
async def _own_origin_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """A name that was made to point here, or a form of another page, is turned away."""
    socket = request.transport and request.transport.get_extra_info("sockname")
    own = f"127.0.0.1:{socket[1]}" if socket else ""
    origin = urlsplit(request.headers.get("Origin", f"http://{own}")).netloc
    allowed = {own, own.replace("127.0.0.1", "localhost")}
    if request.host not in allowed or origin not in allowed:
        raise web.HTTPForbidden(text=f"open http://{own}/ itself")
    try:
        response = await handler(request)
    except aiohttp.ClientError:  # gateway or sandbox EPD is gone: the page goes on asking
        response = web.json_response({}, status=502)
    if not response.prepared:
        response.headers.update({name: value for name, value in _HEADERS.items() if name not in response.headers})
    return response


@asynccontextmanager
async def pages(running: Running, on_call: OnCall, port: int, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Serve the page; its address. Raises NotStarted where the sandbox may not run."""
    refuse_production({}, host)
    app = Pages(running, on_call).app()
    # cancelled with its browser, an event stream is given up at the gateway as well: a patient may have eight
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield f"http://{host}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
