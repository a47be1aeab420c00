"""Which sites' pages may call the API from a browser (CORS): those that the hospital's file names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web

from messaging_service.gateway.context import TENANT
from messaging_service.tenants import Tenant

_METHODS = "GET, POST, PUT, DELETE"
_HEADERS = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, traceparent"
_EXPOSED = "Location, Retry-After, RateLimit, RateLimit-Policy, WWW-Authenticate"
_REMEMBERED_SECONDS = "600"


class Origins:
    """Answers preflights, and says in each answer whether the page that asked may read it."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._of = {id: frozenset(tenant.portal.origins if tenant.portal else ()) for id, tenant in tenants.items()}
        self._all: frozenset[str] = frozenset().union(*self._of.values())

    @web.middleware
    async def preflight(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """A browser asks before it sends what a form could not; nobody is known yet, so any hospital's site may."""
        asked = request.headers.get("Access-Control-Request-Method")
        if request.method != hdrs.METH_OPTIONS or asked is None or request.headers.get("Origin") not in self._all:
            return await handler(request)
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": _METHODS,
                "Access-Control-Allow-Headers": _HEADERS,
                "Access-Control-Max-Age": _REMEMBERED_SECONDS,
            },
        )

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """For `on_response_prepare`. With a token known, only that hospital's own sites may read."""
        if not self._all:
            return
        response.headers.add("Vary", "Origin")
        origin, tenant = request.headers.get("Origin"), request.get(TENANT)
        if origin in (self._of[tenant.id] if tenant else self._all):
            response.headers["Access-Control-Allow-Origin"] = str(origin)
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
