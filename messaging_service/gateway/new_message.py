"""What POST /v1/messages is given: the body as contracts/openapi.yaml describes it, and the idempotency key."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from messaging_service.domain.refusals import Malformed, TooLarge
from messaging_service.gateway.bodies import arriving
from messaging_service.gateway.context import ID_PATTERN

_VISIBLE = r"[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff]"
"""Somewhere a character that shows: an EPD drops a text without one, or files an empty page."""
_LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z"
_DEPARTMENT = r"^[a-z0-9][a-z0-9_-]{0,39}\Z"
_KEY = re.compile(r"[!-~]{1,255}")
_ENVELOPE_BYTES = 4_096
_BYTES_PER_CHARACTER = 6  # a character written as \uXXXX


class NewMessage(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/messages. Of a member that is given twice the last one counts."""

    subject: Annotated[str, Meta(pattern=_VISIBLE, max_length=200)]
    body: Annotated[str, Meta(pattern=_VISIBLE)]
    format: Literal["text", "html"] = "text"
    language: Annotated[str, Meta(pattern=_LANGUAGE, max_length=35)] = "nl"
    thread: Annotated[str, Meta(pattern=ID_PATTERN)] | None = None
    private: bool = False
    department: Annotated[str, Meta(pattern=_DEPARTMENT)] | None = None


_decoder = msgspec.json.Decoder(NewMessage)


async def read_new_message(request: web.Request, most_bytes: int) -> NewMessage:
    """The message in the request; its text may take `most_bytes` in UTF-8, however JSON writes it.

    Raises:
        UnsupportedMedia: the body is not plain application/json.
        TooLarge: the text is longer.
        Malformed: anything else is wrong with it.
    """
    async with arriving(request):
        if (request.content_length or 0) > most_bytes * _BYTES_PER_CHARACTER + _ENVELOPE_BYTES:
            raise TooLarge(f"at most {most_bytes} bytes of text")
        message = _decoder.decode(await request.read())
    if len(message.body.encode()) > most_bytes:
        raise TooLarge(f"at most {most_bytes} bytes of text")
    return message


def idempotency_key_of(request: web.Request) -> str | None:
    """The key under which a retry is the same message, if one is given. Raises Malformed."""
    keys = request.headers.getall("Idempotency-Key", [])
    if len(keys) > 1 or not all(_KEY.fullmatch(key) for key in keys):
        raise Malformed("Idempotency-Key must be one key of 1 to 255 visible ASCII characters")
    return keys[0] if keys else None
