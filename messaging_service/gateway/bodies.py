"""JSON bodies, as contracts/openapi.yaml describes them: bounded, strict, and refused in our own words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from aiohttp import web

from messaging_service.domain.refusals import Malformed, TooLarge, UnsupportedMedia

T = TypeVar("T")
_MOST_BYTES = 4_096
_ARRIVES_WITHIN = 20.0
"""Seconds for a body to come in, so that nobody holds connections open with bodies that never end."""


@asynccontextmanager
async def arriving(request: web.Request, said: Callable[[msgspec.ValidationError], str] = str) -> AsyncIterator[None]:
    """Whatever may be wrong with a JSON body while it is read and decoded here, as our own refusals.

    `said` words what a member of the body is refused for.

    Raises:
        UnsupportedMedia: it is not plain application/json.
        Malformed: it is no JSON, not of the shape it should have, or did not arrive in time and whole.
    """
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise UnsupportedMedia
    try:
        async with asyncio.timeout(_ARRIVES_WITHIN):
            yield
    except msgspec.ValidationError as problem:
        raise Malformed(said(problem)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Malformed("the body is not JSON in UTF-8") from None
    except (web.RequestPayloadError, ConnectionError, TimeoutError) as problem:
        raise Malformed("the body did not arrive whole") from problem


async def read_body(request: web.Request, kind: type[T]) -> T:
    """A small body as `kind`.

    Raises:
        UnsupportedMedia: it is not plain application/json.
        TooLarge: it is longer than any such body is.
        Malformed: anything else is wrong with it.
    """
    async with arriving(request, _without_content):
        if (request.content_length or 0) > _MOST_BYTES:
            raise TooLarge(f"at most {_MOST_BYTES} bytes")
        body = await request.content.read(_MOST_BYTES + 1)
        while len(body) <= _MOST_BYTES and (more := await request.content.read(_MOST_BYTES + 1)):
            body += more
        if len(body) > _MOST_BYTES:
            raise TooLarge(f"at most {_MOST_BYTES} bytes")
        return msgspec.json.decode(body, type=kind)


def _without_content(problem: msgspec.ValidationError) -> str:
    """Which member is wrong and how; an unknown value is left out, since it may be a patient's number."""
    said = str(problem)
    return (
        said if "Invalid" not in said else f"a value is not allowed{said[said.rfind(' - ') :] if ' - ' in said else ''}"
    )
