"""The portal's own end of the webhook: is it the service that calls, and what of (Standard Webhooks 1.0.0)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

import msgspec

TOLERANCE_SECONDS = 300
"""Older and later ones are refused, so that nobody plays back what they overheard."""


class WebhookEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to which message. Drop an `id` that you have seen; `timestamp` is in milliseconds since 1970.

    `private`: tell the patient alone, and nobody who acts for the patient.
    """

    id: str = ""
    type: str
    timestamp: int
    message: str = ""
    thread: str = ""
    private: bool = False


class WebhookInvalid(Exception):
    """A call that is not the service's: answer 401 and do nothing."""


class _Data(msgspec.Struct):
    message: str = ""
    thread: str = ""
    private: bool = False


class _Body(msgspec.Struct):
    type: str
    timestamp: int
    data: _Data = msgspec.field(default_factory=_Data)


def read_webhook(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: float | None = None
) -> WebhookEvent:
    """The event in a call to the portal.

    Args:
        headers: the request's; names in any case.
        body: its body, byte for byte as it came.
        secrets: `whsec_…`, the one that was agreed; two while it is being replaced.
        now: seconds since 1970; the present time when left out.

    Raises:
        WebhookInvalid: no signature by any of the secrets, or too old.
    """
    given = {name.lower(): value for name, value in headers.items()}
    id, at, signatures = (given.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    present = time.time() if now is None else now
    if not id or not at.isascii() or not at.isdecimal() or abs(present - int(at)) > TOLERANCE_SECONDS:
        raise WebhookInvalid("no id, or not of now")
    signed = f"{id}.{at}.".encode() + body
    if not any(_is_signed(signed, secret, signatures.split()) for secret in secrets):
        raise WebhookInvalid("not signed with our secret")
    try:
        said = msgspec.json.decode(body, type=_Body)
    except msgspec.DecodeError:
        raise WebhookInvalid("no event") from None
    data = said.data
    return WebhookEvent(
        id=id,
        type=said.type,
        timestamp=said.timestamp,
        message=data.message,
        thread=data.thread,
        private=data.private,
    )


def _is_signed(signed: bytes, secret: str, signatures: Sequence[str]) -> bool:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as problem:
        raise ValueError("a secret is whsec_ and base64") from problem
    expected = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    return any(hmac.compare_digest(expected, signature.encode()) for signature in signatures)
