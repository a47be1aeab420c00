"""POST /v1/messages/{id}/handling: staff dealt with a message otherwise than in writing."""

from __future__ import annotations

from typing import Literal

import msgspec
from aiohttp import web

from messaging_service.domain.awaited import How
from messaging_service.domain.roles import Scope
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, id_in_path, require
from messaging_service.gateway.messages import REPLY_STATUS, instant


class Handling(msgspec.Struct, forbid_unknown_fields=True):
    """The body: how."""

    how: Literal["telephone", "visit", "other"]


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_post("/v1/messages/{id}/handling", post_handling)


async def post_handling(request: web.Request) -> web.Response:
    """Stop the clock of a message; what was answered or handled before stays as it was."""
    staff = await require(request, Scope.HANDLE_MESSAGES)
    id, said = id_in_path(request), await read_body(request, Handling)
    stopped = await request.app[CONTEXT].mark_handled.by_staff(staff, id, How(said.how))
    members = {
        "id": id,
        "reply_status": REPLY_STATUS[stopped.stage],
        **({"how": stopped.how} if stopped.how else {}),
        "at": instant(stopped.stopped_at),
    }
    return web.Response(
        body=msgspec.json.encode(members), headers={"Cache-Control": "no-store"}, content_type="application/json"
    )
