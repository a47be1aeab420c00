"""GET and POST /v1/terms: which terms of use hold, and accepting them (terms article 1.3)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from messaging_service.application.accept_terms import TermsView
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, authenticate


class Acceptance(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/terms."""

    version: Annotated[str, Meta(max_length=40)]
    language: Annotated[str, Meta(max_length=35)]


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/terms", get_terms)
    router.add_post("/v1/terms", post_acceptance)


async def get_terms(request: web.Request) -> web.Response:
    """The version in force, where to read it, and whether this person has yet to accept it."""
    writer = await authenticate(request)
    return _answer(await request.app[CONTEXT].accept_terms.show(writer))


async def post_acceptance(request: web.Request) -> web.Response:
    """Accept the version in force; kept as evidence."""
    writer = await authenticate(request)
    said = await read_body(request, Acceptance)
    return _answer(await request.app[CONTEXT].accept_terms.accept(writer, said.version, said.language))


def _answer(found: TermsView) -> web.Response:
    members: dict[str, Any] = {"to_accept": found.to_accept}
    if found.accepted:
        members["accepted"] = found.accepted
    if found.current is not None:
        held = found.current
        members |= {"version": held.version, "since": held.since.isoformat(), "texts": dict(held.texts)}
    return web.Response(
        body=msgspec.json.encode(members), headers={"Cache-Control": "no-store"}, content_type="application/json"
    )
