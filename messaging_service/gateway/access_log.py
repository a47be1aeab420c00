"""GET /v1/access-log and POST /v1/access-log-searches: who read or changed a patient's data (NEN 7513)."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from messaging_service.application.access_entry import StoredEntry
from messaging_service.application.read_access_log import AccessView
from messaging_service.domain.refusals import Malformed
from messaging_service.domain.roles import Scope
from messaging_service.gateway.account import answer
from messaging_service.gateway.accounts import Who, identifiers_of
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, authenticate, require
from messaging_service.gateway.messages import instant

_CURSOR = re.compile(r"[0-9]{14}-[0-9a-f]{16}-[0-9]{10}")
_PAGE = 50
_MOST = 200
_PSEUDONYM = 16


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/access-log", get_access_log)
    router.add_post("/v1/access-log-searches", post_search)


async def get_access_log(request: web.Request) -> web.Response:
    """Who looked at the own data, newest first; `next` of one answer is `after` of the next request."""
    writer = await authenticate(request)
    limit, after = _limit(request), _after(request)
    found = await request.app[CONTEXT].read_access_log.own(writer, below=after, limit=limit)
    return answer(_members([_entry_json(view) for view in found], found, limit))


async def post_search(request: web.Request) -> web.Response:
    """The same for the auditor, of the patient with these numbers, with all fields."""
    staff = await require(request, Scope.READ_ACCESS_LOG)
    limit, after = _limit(request), _after(request)
    numbers = identifiers_of(staff, (await read_body(request, Who)).identifiers)
    found = await request.app[CONTEXT].read_access_log.search(staff, numbers, below=after, limit=limit)
    return answer(_members([{**_entry_json(view), **_audited(view.entry)} for view in found], found, limit))


def _members(entries: list[dict[str, Any]], found: list[AccessView], limit: int) -> dict[str, Any]:
    members: dict[str, Any] = {"entries": entries}
    if len(found) == limit:
        members["next"] = found[-1].entry.order
    return members


def _entry_json(view: AccessView) -> dict[str, Any]:
    entry = view.entry
    return {
        "at": instant(entry.at),
        "action": entry.action,
        "kind": entry.object_kind,
        "object": entry.object,
        "role": entry.role,
        "who": entry.actor[:_PSEUDONYM],
        **({"name": view.name} if view.name else {}),
        "point": entry.point.value,
        "purpose": entry.purpose,
        "basis": entry.basis,
        "outcome": entry.outcome,
    }


def _audited(entry: StoredEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "event": entry.event.value,
        "who": entry.actor,
        "authorisation": entry.authorisation,
        "sensitivity": entry.sensitivity,
        "source": entry.source,
    }


def _after(request: web.Request) -> str | None:
    after = request.query.get("after")
    if after is not None and not _CURSOR.fullmatch(after):
        raise Malformed("after must be the `next` of an earlier answer")
    return after


def _limit(request: web.Request) -> int:
    given = request.query.get("limit", str(_PAGE))
    if not (given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= _MOST):
        raise Malformed(f"limit must be a number from 1 to {_MOST}")
    return int(given)
