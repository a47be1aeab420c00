"""GET /v1/logins: how many logged in, a day (terms article 7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import web

from messaging_service.domain.refusals import Malformed
from messaging_service.domain.roles import Scope
from messaging_service.gateway.context import CONTEXT, require

_DAYS = 30
_MOST = 92


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/logins", count_logins)


async def count_logins(request: web.Request) -> web.Response:
    """The last `days` days, today first."""
    staff = await require(request, Scope.COUNT_LOGINS)
    context = request.app[CONTEXT]
    today = datetime.fromtimestamp(context.clock() / 1000, UTC).astimezone(staff.tenant.zone).date()
    days = [today - timedelta(days=back) for back in range(_days(request))]
    counted = await context.logins.per_day(staff.tenant.id, days)
    return web.Response(
        body=msgspec.json.encode({"days": counted}),
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )


def _days(request: web.Request) -> int:
    given = request.query.get("days", str(_DAYS))
    if not (given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= _MOST):
        raise Malformed(f"days must be a number from 1 to {_MOST}")
    return int(given)
