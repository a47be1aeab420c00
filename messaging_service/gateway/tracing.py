"""Every request of the API as a span (OpenTelemetry's conventions for HTTP servers)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from messaging_service.application.ports import SpanKind, Traces
from messaging_service.application.ports.tracing import TRACEPARENT
from messaging_service.gateway.context import TRACE

_API = "/v1"
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def traced(traces: Traces) -> Middleware:
    """A middleware that traces what is asked of the API; it goes on with the caller's trace.

    Neither path nor query nor address is told: a path can be anything that somebody types. The route is.
    """

    @web.middleware
    async def trace(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else ""
        if not route.startswith(_API):
            return await handler(request)
        method = request.method if request.method in _METHODS else "_OTHER"
        attributes = {"http.request.method": method, "http.route": route, "url.scheme": request.scheme}
        parent = request.headers.get(TRACEPARENT, "")
        with traces.span(f"{method} {route}", SpanKind.SERVER, attributes, parent) as span:
            request[TRACE] = span.traceparent
            answer = await handler(request)
            span.say({"http.response.status_code": answer.status})
            if answer.status >= 500:
                span.say({"error.type": str(answer.status)})
            return answer

    return trace
