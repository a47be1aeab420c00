"""/health/live, /health/ready and /metrics, of the gateway and of every worker process."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from aiohttp import web

from messaging_service.adapters.metrics import CONTENT_TYPE, Metrics
from messaging_service.application.collections import FILINGS, PARKED
from messaging_service.application.ports import Broker, DocumentStore
from messaging_service.application.queue_ages import QueueAges
from messaging_service.domain.errors import ServerFault
from messaging_service.domain.filing import FilingState


@dataclass(frozen=True, slots=True)
class Checks:
    """What health and metrics look at."""

    broker: Broker
    store: DocumentStore
    metrics: Metrics
    ages: QueueAges
    queues: tuple[str, ...]

    async def servers(self) -> dict[str, bool]:
        """Which servers answer now."""
        answers: dict[str, bool] = {}
        for name, server in (("broker", self.broker), ("store", self.store)):
            try:
                await server.ping()
                answers[name] = True
            except ServerFault:
                answers[name] = False
        return answers

    async def exposition(self) -> bytes:
        """The metrics; what the servers cannot tell now keeps its last value, and `messaging_up` says so."""
        up = await self.servers()
        for name, answers in up.items():
            self.metrics.up(name, answers)
        if all(up.values()):
            try:
                depths = await self.broker.depths(self.queues)
                parked = await self.store.count(PARKED, "by_state", {"state": "parked"})
                self.metrics.queues(depths, await self.ages.oldest_ms(depths), parked)
                self.metrics.delivered(await self.store.count(FILINGS, "by_state", {"state": FilingState.DELIVERED}))
            except ServerFault as fault:
                self.metrics.up(fault.server, False)
        return self.metrics.exposition()


CHECKS = web.AppKey("checks", Checks)


def add_routes(app: web.Application, checks: Checks) -> None:
    """Add the three routes."""
    app[CHECKS] = checks
    app.router.add_get("/health/live", _live)
    app.router.add_get("/health/ready", _ready)
    app.router.add_get("/metrics", _metrics)


async def _live(request: web.Request) -> web.Response:
    return web.json_response({"live": True})


async def _ready(request: web.Request) -> web.Response:
    """Ready while the broker answers: with the store down, urgent messages must still get in."""
    servers = await request.app[CHECKS].servers()
    ready = servers["broker"]
    body = msgspec.json.encode({"ready": ready, **servers})
    return web.Response(body=body, status=200 if ready else 503, content_type="application/json")


async def _metrics(request: web.Request) -> web.Response:
    text = await request.app[CHECKS].exposition()
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})
