"""GET /v1/export: all of one's own threads, as a PDF or as JSON that is written while it is read."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec
import structlog
from aiohttp import web

from messaging_service.adapters.wording import sentences
from messaging_service.application.callers import Writer
from messaging_service.application.export import Exported, ExportedMessage, Mark
from messaging_service.domain.errors import MessagingError
from messaging_service.domain.refusals import Malformed
from messaging_service.gateway.context import CONTEXT, authenticate, language_of
from messaging_service.gateway.messages import instant, message_json

log = structlog.get_logger()

_MARK = re.compile(r"([0-9]{1,15})\.([0-9]{1,9})\.([0-9]{15}\.[0-9A-HJKMNP-TV-Z]{26})")
_BESIDE = ("notice", "urgent")
"""Of the service's own making, not of the record; a notice may say what nobody else with access should read."""


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/export", get_export)
    router.add_get("/v1/export/notice", get_export_notice)


async def get_export_notice(request: web.Request) -> web.Response:
    """The sentence to stand beside the button: what is downloaded is the patient's to guard (terms S 5.4, N 5.3)."""
    await authenticate(request)
    language, says = sentences("export_wording", language_of(request))
    return web.Response(
        body=msgspec.json.encode({"text": says["guard"], "language": language}),
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )


async def get_export(request: web.Request) -> web.StreamResponse:
    """The export, as `format` says; `after` is where an earlier part ended."""
    writer = await authenticate(request)
    format, after = request.query.get("format", "json"), _mark(request.query.get("after"))
    if format not in ("json", "pdf"):
        raise Malformed("format must be json or pdf")
    exported = await request.app[CONTEXT].export(writer, after)
    return await (_as_pdf if format == "pdf" else as_json)(request, writer, exported)


def _mark(given: str | None) -> Mark | None:
    if given is None:
        return None
    found = _MARK.fullmatch(given)
    if found is None:
        raise Malformed("after must be out of the Link of an earlier answer")
    return Mark(int(found[1]), found[3], int(found[2]))


def _headers(writer: Writer, exported: Exported, ending: str) -> dict[str, str]:
    day = datetime.fromtimestamp(exported.taken_at / 1000, writer.tenant.zone).date()
    return {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{writer.tenant.id}-{day}.{ending}"',
        "X-Content-Type-Options": "nosniff",
    }


async def _as_pdf(request: web.Request, writer: Writer, exported: Exported) -> web.Response:
    context = request.app[CONTEXT]
    printed = await context.pdf(writer.tenant, exported, language_of(request))
    headers = _headers(writer, exported, "pdf")
    if mark := printed.next:
        after = f"{mark.taken_at}.{mark.place}.{mark.order}"
        headers["Link"] = f'<{context.public_url}/v1/export?format=pdf&after={after}>; rel="next"'
    return web.Response(body=printed.document, headers=headers, content_type="application/pdf")


async def as_json(request: web.Request, writer: Writer, exported: Exported) -> web.StreamResponse:
    """Once it has begun, what goes wrong cuts it short: a reader sees that the JSON has no end."""
    response = web.StreamResponse(headers={**_headers(writer, exported, "json"), "Content-Type": "application/json"})
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    try:
        await _write(response, writer, exported, language_of(request))
        await response.write_eof()
    except (MessagingError, ConnectionError) as problem:
        log.warning("export_cut_short", error=type(problem).__name__, tenant=writer.tenant.id)
        if request.transport is not None:
            request.transport.abort()
    return response


async def _write(response: web.StreamResponse, writer: Writer, exported: Exported, language: str) -> None:
    _, says = sentences("export_wording", language)
    head = {"notice": says["guard"], "taken_at": instant(exported.taken_at)}
    await response.write(msgspec.json.encode(head)[:-1] + b',"threads":[')
    thread = ""
    async for one in exported.messages:
        if one.thread.id == thread:
            begin = b","
        else:
            begin = (b"]}," if thread else b"") + _thread(one, writer)
            thread = one.thread.id
        await response.write(begin + msgspec.json.encode(_message(one, writer, language)))
    await response.write((b"]}" if thread else b"") + b"]}")


def _thread(one: ExportedMessage, writer: Writer) -> bytes:
    """The beginning of a thread, up to its messages."""
    thread = one.thread
    members: dict[str, Any] = {"id": thread.id, "status": thread.state, "opened_at": instant(thread.opened_at)}
    if not writer.represents:
        members["private"] = thread.private is not False
    return msgspec.json.encode(members)[:-1] + b',"messages":['


def _message(one: ExportedMessage, writer: Writer, language: str) -> dict[str, Any]:
    members = message_json(one.view, writer, language)
    return {name: value for name, value in members.items() if name not in _BESIDE}
