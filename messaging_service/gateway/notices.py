"""GET /v1/compose-notice: what belongs on every screen where a patient writes (terms article 3.7)."""

from __future__ import annotations

import msgspec
from aiohttp import web

from messaging_service.gateway.context import authenticate, language_of
from messaging_service.gateway.problems import notice_json
from messaging_service.screening.notices import general_notice


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/compose-notice", get_compose_notice)


async def get_compose_notice(request: web.Request) -> web.Response:
    """The general notice in the tenant's wording; `language` in the query, else what the browser prefers."""
    writer = await authenticate(request)
    language = request.query.get("language", language_of(request))
    notice = general_notice(language, writer.tenant.notices)
    return web.Response(
        body=msgspec.json.encode({"notice": notice_json(notice)}),
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )
