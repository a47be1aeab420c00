"""GET /v1/threads and GET /v1/threads/{id}."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from messaging_service.application.callers import Writer
from messaging_service.application.read import ThreadView
from messaging_service.domain.refusals import Malformed
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, authenticate, id_in_path, language_of
from messaging_service.gateway.messages import instant, message_json

_CURSOR = re.compile(r"[0-9]{15}\.[0-9A-HJKMNP-TV-Z]{26}")
_PAGE = 20
_MOST = 100


class Privacy(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/threads/{id}/privacy."""

    private: bool


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/threads", get_threads)
    router.add_get("/v1/threads/{id}", get_thread)
    router.add_put("/v1/threads/{id}/privacy", put_privacy)


async def get_threads(request: web.Request) -> web.Response:
    """The patient's threads, newest first; `next` of one answer is `after` of the next request."""
    writer = await authenticate(request)
    limit, after = _limit(request), request.query.get("after")
    if after is not None and not _CURSOR.fullmatch(after):
        raise Malformed("after must be the `next` of an earlier answer")
    found = await request.app[CONTEXT].reader.threads(writer, below=after, limit=limit)
    language = language_of(request)
    members: dict[str, Any] = {
        "threads": [_thread_json(thread, writer, language) for thread in found if thread.messages]
    }
    if len(found) == limit:
        members["next"] = found[-1].order
    return _answer(members)


async def get_thread(request: web.Request) -> web.Response:
    """One thread with its messages in order."""
    writer = await authenticate(request)
    found = await request.app[CONTEXT].reader.thread(writer, id_in_path(request))
    return _answer(_thread_json(found, writer, language_of(request)))


async def put_privacy(request: web.Request) -> web.Response:
    """Hide a thread from whoever acts for the patient, or show it again; the patient's own to say."""
    writer = await authenticate(request)
    id, said = id_in_path(request), await read_body(request, Privacy)
    await request.app[CONTEXT].reader.set_private(writer, id, said.private)
    return _answer({"private": said.private})


def _thread_json(thread: ThreadView, writer: Writer, language: str) -> dict[str, Any]:
    return {
        "id": thread.id,
        "status": thread.state,
        **({"opened_at": instant(thread.opened_at)} if thread.opened_at else {}),
        **({"private": thread.private} if thread.opened_at and not writer.represents else {}),
        "messages": [message_json(view, writer, language) for view in thread.messages],
    }


def _limit(request: web.Request) -> int:
    given = request.query.get("limit", str(_PAGE))
    if not (given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= _MOST):
        raise Malformed(f"limit must be a number from 1 to {_MOST}")
    return int(given)


def _answer(members: dict[str, Any]) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(members),
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )
