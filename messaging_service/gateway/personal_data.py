"""/v1/accounts/{account}/personal-data: corrected and removed by the appointments office (article 8)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from messaging_service.domain.roles import Scope
from messaging_service.gateway.account import answer
from messaging_service.gateway.accounts import account_in_path
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, require


class Correction(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    path = "/v1/accounts/{account}/personal-data"
    router.add_get(path, get_personal_data)
    router.add_put(path, put_personal_data)
    router.add_delete(path, delete_personal_data)


async def get_personal_data(request: web.Request) -> web.Response:
    """What is kept of who the patient is."""
    staff = await require(request, Scope.CHANGE_PERSONAL_DATA)
    context = request.app[CONTEXT]
    id, by = account_in_path(request), context.administer.by(staff)
    return _answer(*await context.personal_data.show(staff.tenant, id, by))


async def put_personal_data(request: web.Request) -> web.Response:
    """Correct it."""
    staff = await require(request, Scope.CHANGE_PERSONAL_DATA)
    said = await read_body(request, Correction)
    context = request.app[CONTEXT]
    id, by = account_in_path(request), context.administer.by(staff)
    return _answer(*await context.personal_data.correct(staff.tenant, id, said.name, by))


async def delete_personal_data(request: web.Request) -> web.Response:
    """Remove it."""
    staff = await require(request, Scope.CHANGE_PERSONAL_DATA)
    context = request.app[CONTEXT]
    id, by = account_in_path(request), context.administer.by(staff)
    return _answer(*await context.personal_data.remove(staff.tenant, id, by))


def _answer(name: str, address: str) -> web.Response:
    return answer({"name": name, **({"notification_address": address} if address else {})})
