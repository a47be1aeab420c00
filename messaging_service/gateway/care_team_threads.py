"""What the care team says of a thread, and is told of it: its status, and how far it was read. No content."""

from __future__ import annotations

from aiohttp import web

from messaging_service.domain.roles import Scope
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, id_in_path, require
from messaging_service.gateway.messages import instant
from messaging_service.gateway.threads import ReadTo, ThreadStatus, answer, status_json


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_put("/v1/threads/{id}/care-team-status", put_care_team_status)
    router.add_get("/v1/threads/{id}/receipts", get_receipts)
    router.add_put("/v1/threads/{id}/receipts", put_receipts)


async def put_care_team_status(request: web.Request) -> web.Response:
    """Close a thread or open it again, whoever closed it."""
    staff = await require(request, Scope.CLOSE_THREADS)
    id, said = id_in_path(request), await read_body(request, ThreadStatus)
    return answer(status_json(await request.app[CONTEXT].converse.set_status_by_team(staff, id, said.status)))


async def get_receipts(request: web.Request) -> web.Response:
    """How far the patient's side has read, where the hospital shows that to its teams."""
    staff = await require(request, Scope.HANDLE_MESSAGES)
    found = await request.app[CONTEXT].converse.receipts(staff, id_in_path(request))
    return answer({"receipts": [{"role": one.role, "place": one.place, "at": instant(one.at)} for one in found]})


async def put_receipts(request: web.Request) -> web.Response:
    """The care team read the thread up to a message, where the hospital shows that to patients."""
    staff = await require(request, Scope.HANDLE_MESSAGES)
    id, said = id_in_path(request), await read_body(request, ReadTo)
    await request.app[CONTEXT].converse.read_by_team(staff, id, said.message)
    return answer({"message": said.message})
