"""A collector of OpenTelemetry traces: OTLP over HTTP, protobuf. It may hang or refuse, as one in a hospital does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Told:
    """One span. Ids in hex, `parent` "" for none; `links` are the traces that it is linked to."""

    name: str
    kind: str
    trace: str
    span: str
    parent: str
    failed: bool
    attributes: dict[str, Any]
    links: tuple[str, ...]
    process: str


@dataclass(slots=True)
class Collector:
    """What came, in the order of arrival; `raw` is every byte. In `mode` "hang" and "refuse" nothing is taken."""

    spans: list[Told] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    mode: str = "take"
    asked: int = 0
    url: str = ""
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    def of(self, trace: str) -> list[Told]:
        """The spans of a trace."""
        return [span for span in self.spans if span.trace == trace]

    def named(self, trace: str, *names: str) -> bool:
        """Whether a trace has spans of all these names."""
        return set(names) <= {span.name for span in self.of(trace)}

    def set_mode(self, mode: str) -> None:
        """From now on; whoever was kept waiting is answered."""
        self.mode = mode
        self.goes_on.set()
        self.goes_on = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        """One batch."""
        self.asked += 1
        body = await request.read()
        if self.mode == "hang":
            await self.goes_on.wait()
        if self.mode != "take":
            return web.Response(status=400)
        self.raw.append(body)
        self.headers.append(dict(request.headers))
        self.spans += _spans_in(ExportTraceServiceRequest.FromString(body))
        return web.Response(content_type="application/x-protobuf")


def _spans_in(batch: Any) -> list[Told]:
    return [
        Told(
            name=span.name,
            kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
            trace=span.trace_id.hex(),
            span=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            failed=span.status.code == span.status.STATUS_CODE_ERROR,
            attributes={pair.key: _value(pair.value) for pair in span.attributes},
            links=tuple(link.trace_id.hex() for link in span.links),
            process={pair.key: _value(pair.value) for pair in of.resource.attributes}["service.instance.id"],
        )
        for of in batch.resource_spans
        for scope in of.scope_spans
        for span in scope.spans
    ]


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """One on a free port of loopback."""
    found = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", found.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield found
    finally:
        found.set_mode("refuse")
        await runner.cleanup()
