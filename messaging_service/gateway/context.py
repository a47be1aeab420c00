"""What every handler is given, and what a request carries with it."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from messaging_service.adapters.metrics import Metrics
from messaging_service.application.read import Reader
from messaging_service.application.submit import Submit, Writer
from messaging_service.domain.refusals import NotFound, Unauthenticated
from messaging_service.gateway.health import Checks
from messaging_service.gateway.limits import RateLimit


class Verifier(Protocol):
    """Checks access tokens."""

    async def verify(self, token: str) -> Writer:
        """Who the token speaks for. Raises Unauthenticated or Forbidden."""


@dataclass(frozen=True, slots=True)
class Context:
    """The running parts that the handlers use."""

    submit: Submit
    reader: Reader
    verifier: Verifier
    checks: Checks
    metrics: Metrics
    limit: RateLimit
    max_body: int
    public_url: str


CONTEXT = web.AppKey("context", Context)
WRITER = web.RequestKey("writer", Writer)
LANGUAGE = web.RequestKey("language", str)
ID_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{26}\Z"
"""Message and thread ids: Crockford base32, upper case."""

_ID = re.compile(ID_PATTERN)
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


async def authenticate(request: web.Request) -> Writer:
    """The writer that the bearer token speaks for, kept on the request for the notice's wording.

    Raises:
        Unauthenticated: no token, or not a valid one.
        TooMany: the caller's hard ceiling, urgent or not.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    context = request.app[CONTEXT]
    writer = await context.verifier.verify(token.strip())
    request[WRITER] = writer
    context.limit.take(f"requests {writer.author.subject}", writer.tenant.limits.requests_per_minute, 60)
    return writer


def id_in_path(request: web.Request) -> str:
    """The id that the path names; what cannot be one is looked up nowhere.

    Raises:
        NotFound: it has not the shape of an id.
    """
    id = request.match_info["id"]
    if not _ID.fullmatch(id):
        raise NotFound
    return id


def language_of(request: web.Request) -> str:
    """The language for notices: what the message says, else what the browser prefers, else Dutch."""
    said: str | None = request.get(LANGUAGE)
    if said:
        return said
    accepted = request.headers.get("Accept-Language", "")[:100]
    first = accepted.split(",")[0].split(";")[0].strip()
    return first or "nl"


def traceparent_of(request: web.Request) -> str:
    """The caller's trace (W3C Trace Context), or a new one."""
    given = request.headers.get("traceparent", "")
    if _TRACEPARENT.fullmatch(given):
        return given
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
