"""Small JSON bodies, as contracts/openapi.yaml describes them: bounded, strict, and refused in our own words."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
from aiohttp import web

from messaging_service.domain.refusals import Malformed, TooLarge, UnsupportedMedia

T = TypeVar("T")
_MOST_BYTES = 4_096
_ARRIVES_WITHIN = 20.0


async def read_body(request: web.Request, kind: type[T]) -> T:
    """The request's body as `kind`.

    Raises:
        UnsupportedMedia: it is not plain application/json.
        TooLarge: it is longer than any such body is.
        Malformed: anything else is wrong with it.
    """
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise UnsupportedMedia
    if (request.content_length or 0) > _MOST_BYTES:
        raise TooLarge(f"at most {_MOST_BYTES} bytes")
    try:
        async with asyncio.timeout(_ARRIVES_WITHIN):
            body = await request.content.read(_MOST_BYTES + 1)
            while len(body) <= _MOST_BYTES and (more := await request.content.read(_MOST_BYTES + 1)):
                body += more
        if len(body) > _MOST_BYTES:
            raise TooLarge(f"at most {_MOST_BYTES} bytes")
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as problem:
        raise Malformed(_without_content(problem)) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Malformed("the body is not JSON in UTF-8") from None
    except (web.RequestPayloadError, ConnectionError, TimeoutError) as problem:
        raise Malformed("the body did not arrive whole") from problem


def _without_content(problem: msgspec.ValidationError) -> str:
    """Which member is wrong and how; an unknown value is left out, since it may be a patient's number."""
    said = str(problem)
    return (
        said if "Invalid" not in said else f"a value is not allowed{said[said.rfind(' - ') :] if ' - ' in said else ''}"
    )
