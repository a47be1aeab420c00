"""GET /v1/recipients."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from messaging_service.application.recipients import Recipient
from messaging_service.gateway.context import CONTEXT, authenticate


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/recipients", get_recipients)


async def get_recipients(request: web.Request) -> web.Response:
    """To whom the patient may write, and which team would read it."""
    writer = await authenticate(request)
    found = await request.app[CONTEXT].recipients(writer)
    return web.Response(
        body=msgspec.json.encode({"recipients": [_json(one) for one in found]}),
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )


def _json(one: Recipient) -> dict[str, Any]:
    named = {"department": one.department, "name": one.name} if one.department else {}
    return {**named, "care_team": one.care_team, "treats": one.treats}
