"""/v1/ops/parked: what the steps gave up on, and what operations do with it. Each change is written down first."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from messaging_service.application.mend import Operator
from messaging_service.application.park import ParkedMessage
from messaging_service.domain.message import Step
from messaging_service.domain.refusals import Malformed, NotFound
from messaging_service.domain.roles import Scope
from messaging_service.gateway.account import answer
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, require
from messaging_service.gateway.messages import instant
from messaging_service.gateway.operations import operator

_PARKED = re.compile(rf"[0-9A-HJKMNP-TV-Z]{{26}}(\.[0-9]{{1,3}})?\.({'|'.join(Step)})")
_REASON = re.compile(r"[!-~]{1,100}")
_CURSOR = re.compile(r"[0-9]{15}\.[!-~]{1,80}")
_PAGE = 100
_AT_ONCE = 50


class Closing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/ops/parked/{id}/closing: how it was dealt with."""

    remark: Annotated[str, Meta(pattern=r"\S", min_length=3, max_length=300)]


class Owner(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/ops/parked/{id}/owner: whose it is to mend."""

    owner: Annotated[str, Meta(pattern=r"^[A-Za-z0-9 ._-]{1,60}\Z")]


class AllLikeThis(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/ops/parked-replays."""

    step: Step
    reason: Annotated[str, Meta(pattern=r"^[!-~]{1,100}\Z")]


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/ops/parked", get_parked)
    router.add_post("/v1/ops/parked/{parked}/replay", post_replay)
    router.add_post("/v1/ops/parked/{parked}/closing", post_closing)
    router.add_put("/v1/ops/parked/{parked}/owner", put_owner)
    router.add_post("/v1/ops/parked-replays", post_replays)


async def get_parked(request: web.Request) -> web.Response:
    """The parked messages of one step and reason, oldest first; `next` of one answer is `after` of the next request."""
    staff = await require(request, Scope.READ_OPERATIONS)
    step, reason, after = (request.query.get(name, "") for name in ("step", "reason", "after"))
    if step not in list(Step) or not _REASON.fullmatch(reason) or (after and not _CURSOR.fullmatch(after)):
        raise Malformed("step and reason are needed; after is the `next` of an earlier answer")
    found = await request.app[CONTEXT].operations.mend.page(staff.tenant.id, step, reason, after, _PAGE)
    members: dict[str, Any] = {"parked": [_parked_json(one) for one in found]}
    if len(found) == _PAGE:
        members["next"] = found[-1].order
    return answer(members)


async def post_replay(request: web.Request) -> web.Response:
    """Send it through its step again."""
    by, id = await _mending(request)
    await request.app[CONTEXT].operations.mend.replay(id, by)
    return answer({"id": id, "state": "replayed"})


async def post_closing(request: web.Request) -> web.Response:
    """Take it off the list: a person dealt with it otherwise."""
    by, id = await _mending(request)
    said = await read_body(request, Closing)
    await request.app[CONTEXT].operations.mend.close(id, said.remark, by)
    return answer({"id": id, "state": "closed"})


async def put_owner(request: web.Request) -> web.Response:
    """Give it to somebody."""
    by, id = await _mending(request)
    said = await read_body(request, Owner)
    await request.app[CONTEXT].operations.mend.give(id, said.owner, by)
    return answer({"id": id, "state": "parked"})


async def post_replays(request: web.Request) -> web.Response:
    """Send the oldest of one step and reason through their step again; `left` says how many remain to be asked for."""
    staff = await require(request, Scope.MEND_OPERATIONS)
    said = await read_body(request, AllLikeThis)
    mend, by = request.app[CONTEXT].operations.mend, operator(request, staff)
    replayed = await mend.replay_like(said.step, said.reason, by, _AT_ONCE)
    left = await mend.count(staff.tenant.id, said.step, said.reason)
    return answer({"replayed": replayed, "left": left})


async def _mending(request: web.Request) -> tuple[Operator, str]:
    staff = await require(request, Scope.MEND_OPERATIONS)
    id = request.match_info["parked"]
    if not _PARKED.fullmatch(id):
        raise NotFound
    return operator(request, staff), id


def _parked_json(one: ParkedMessage) -> dict[str, Any]:
    return {
        "id": one.id,
        "message": one.message,
        "step": one.step,
        "reason": one.reason,
        "owner": one.owner,
        "parked_at": instant(one.parked_at),
    }
