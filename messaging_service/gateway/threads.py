"""GET /v1/threads, GET /v1/threads/{id}, and what patients set on a thread: privacy, status, how far it is read."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from messaging_service.application.callers import Writer
from messaging_service.application.read import MESSAGES_SHOWN, ThreadView
from messaging_service.application.search import Search
from messaging_service.application.threads import StoredThread
from messaging_service.domain.refusals import Malformed
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, ID_PATTERN, authenticate, id_in_path, language_of
from messaging_service.gateway.messages import instant, message_json

_PAGE = 20
_MOST = 100
_LONGEST_SUBJECT = 200
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Privacy(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/threads/{id}/privacy."""

    private: bool


class ThreadStatus(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/threads/{id}/status and /care-team-status."""

    status: Literal["open", "closed"]


class ReadTo(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/threads/{id}/read and /receipts: the last message that was read."""

    message: Annotated[str, Meta(pattern=ID_PATTERN)]


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/threads", get_threads)
    router.add_get("/v1/threads/{id}", get_thread)
    router.add_put("/v1/threads/{id}/privacy", put_privacy)
    router.add_put("/v1/threads/{id}/status", put_status)
    router.add_put("/v1/threads/{id}/read", put_read)


async def get_threads(request: web.Request) -> web.Response:
    """The patient's threads, newest first, or those that fit; `next` of one answer is `after` of the next request."""
    writer = await authenticate(request)
    context, search, after = request.app[CONTEXT], _search(request, writer), request.query.get("after")
    about = ("threads", search.subject, search.status, str(search.since), str(search.until))
    below = context.cursors.read(writer, after, *about) if after is not None else None
    page = await context.reader.search(writer, search, below=below, limit=_limit(request, _PAGE, _MOST))
    language = language_of(request)
    members: dict[str, Any] = {
        "threads": [_thread_json(thread, writer, language) for thread in page.threads if thread.messages]
    }
    if page.next:
        members["next"] = context.cursors.make(writer, page.next, *about)
    return answer(members)


async def get_thread(request: web.Request) -> web.Response:
    """One thread with its messages in order, as many as are asked for."""
    writer = await authenticate(request)
    context, id, after = request.app[CONTEXT], id_in_path(request), request.query.get("after")
    above = int(context.cursors.read(writer, after, "thread", id)) if after is not None else 0
    limit = _limit(request, MESSAGES_SHOWN, MESSAGES_SHOWN)
    found = await context.reader.thread(writer, id, above=above, limit=limit)
    members = _thread_json(found, writer, language_of(request))
    if found.next:
        members["next"] = context.cursors.make(writer, str(found.next), "thread", id)
    return answer(members)


async def put_privacy(request: web.Request) -> web.Response:
    """Hide a thread from whoever acts for the patient, or show it again; the patient's own to say."""
    writer = await authenticate(request)
    id, said = id_in_path(request), await read_body(request, Privacy)
    await request.app[CONTEXT].reader.set_private(writer, id, said.private)
    return answer({"private": said.private})


async def put_status(request: web.Request) -> web.Response:
    """Close a thread or open it again; what the care team closed stays closed."""
    writer = await authenticate(request)
    id, said = id_in_path(request), await read_body(request, ThreadStatus)
    return answer(status_json(await request.app[CONTEXT].converse.set_status(writer, id, said.status)))


async def put_read(request: web.Request) -> web.Response:
    """The thread was read up to a message."""
    writer = await authenticate(request)
    id, said = id_in_path(request), await read_body(request, ReadTo)
    return answer({"unread": await request.app[CONTEXT].converse.read(writer, id, said.message)})


def status_json(thread: StoredThread | ThreadView) -> dict[str, Any]:
    """Whether a thread takes messages, and who closed it when."""
    closed = {"closed_by": thread.closed_by, "closed_at": instant(thread.closed_at)} if thread.closed_by else {}
    return {"status": thread.state, **closed}


def answer(members: dict[str, Any]) -> web.Response:
    """These members as JSON that nobody keeps."""
    return web.Response(
        body=msgspec.json.encode(members),
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )


def _thread_json(thread: ThreadView, writer: Writer, language: str) -> dict[str, Any]:
    return {
        "id": thread.id,
        **status_json(thread),
        "unread": thread.unread,
        **({"opened_at": instant(thread.opened_at)} if thread.opened_at else {}),
        **({"private": thread.private} if thread.opened_at and not writer.represents else {}),
        "messages": [message_json(view, writer, language) for view in thread.messages],
    }


def _search(request: web.Request, writer: Writer) -> Search:
    given = request.query
    subject, status = given.get("subject", ""), given.get("status", "")
    if len(subject) > _LONGEST_SUBJECT:
        raise Malformed(f"subject must be at most {_LONGEST_SUBJECT} characters")
    if status not in ("", "open", "closed"):
        raise Malformed("status must be open or closed")
    return Search(
        subject=subject,
        status=status,
        since=_midnight(given.get("opened_from"), writer, 0),
        until=_midnight(given.get("opened_until"), writer, 1),
    )


def _midnight(day: str | None, writer: Writer, days_later: int) -> int:
    """When that day begins in the tenant's zone, or one so many days later; 0 without one."""
    if day is None:
        return 0
    try:
        if not _DAY.fullmatch(day):
            raise ValueError
        begins = datetime.combine(date.fromisoformat(day) + timedelta(days_later), time(), writer.tenant.zone)
    except (ValueError, OverflowError):
        raise Malformed("opened_from and opened_until must be days such as 2026-05-31") from None
    return max(1, int(begins.timestamp() * 1000))


def _limit(request: web.Request, usual: int, most: int) -> int:
    given = request.query.get("limit", str(usual))
    if not (given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= most):
        raise Malformed(f"limit must be a number from 1 to {most}")
    return int(given)
