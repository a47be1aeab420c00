"""/v1/account/notifications: the e-mail that says that there is a message, asked for by whoever wants it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from messaging_service.application.email_notices import EmailNoticeView
from messaging_service.domain.quota import Quota
from messaging_service.gateway.account import answer
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, authenticate
from messaging_service.gateway.messages import instant

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
ADDRESS_PATTERN = rf"^{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})+\Z"
"""A dot-atom at a domain (RFC 5321 §4.1.2), in ASCII: no quotes, no address literals."""
_CODES = Quota("codes", 5, 86_400)


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT."""

    address: Annotated[str, Meta(max_length=254, pattern=ADDRESS_PATTERN)]
    language: Literal["nl", "en"] = "nl"


class Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST …/confirmation."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{8}\Z")]


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/account/notifications", get_notifications)
    router.add_put("/v1/account/notifications", put_notifications)
    router.add_delete("/v1/account/notifications", delete_notifications)
    router.add_post("/v1/account/notifications/confirmation", post_confirmation)


async def get_notifications(request: web.Request) -> web.Response:
    """Where one is told."""
    writer = await authenticate(request)
    return _answer(await request.app[CONTEXT].email_notices.show(writer))


async def put_notifications(request: web.Request) -> web.Response:
    """Be told at this address, once its code came back; letters with codes are few, they may go to a stranger."""
    writer = await authenticate(request)
    said, context = await read_body(request, Wish), request.app[CONTEXT]

    async def take() -> None:
        await context.allowances.take(writer.tenant.id, writer.author.subject, _CODES)

    return _answer(await context.email_notices.ask(writer, said.address, said.language, take))


async def delete_notifications(request: web.Request) -> web.Response:
    """Be told no more; the address is forgotten."""
    writer = await authenticate(request)
    return _answer(await request.app[CONTEXT].email_notices.stop(writer))


async def post_confirmation(request: web.Request) -> web.Response:
    """The address is one's own: here is the code."""
    writer = await authenticate(request)
    said = await read_body(request, Confirmation)
    return _answer(await request.app[CONTEXT].email_notices.confirm(writer, said.code))


def _answer(found: EmailNoticeView) -> web.Response:
    members: dict[str, Any] = {"offered": found.offered, "state": found.state}
    if found.address:
        members |= {"since": instant(found.at), "address": found.address, "language": found.language}
    return answer(members)
