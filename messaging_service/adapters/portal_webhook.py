"""Signed webhooks (standardwebhooks.com, version 1.0.0), and how any webhook is posted."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from messaging_service.adapters.public_addresses import is_public
from messaging_service.application.ports import Clock, PortalWebhook
from messaging_service.config import read_secret
from messaging_service.domain.errors import SettingInvalid, WebhookDown
from messaging_service.tenants import Portal
from messaging_service.transport import is_loopback

TIMEOUT_SECONDS = 5.0
LONGEST_ANSWER = 1024
SHORTEST_SECRET, LONGEST_SECRET = 24, 64
"""Bytes; the bounds of the Standard Webhooks specification."""

_PREFIX = "whsec_"
_ID = re.compile(r"[A-Za-z0-9._-]{1,200}")


class WebhookSecret:
    """The key of one webhook. Never shown: not in reprs, not in errors."""

    def __init__(self, value: str, setting: str) -> None:
        """`value` is `whsec_<base64>` or `file:PATH` of one; `setting` names it in errors.

        Raises:
            SettingInvalid: the file cannot be read, or it is no such secret of 24 to 64 bytes.
        """
        secret = read_secret(value)
        try:
            self._key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            self._key = b""
        if not secret.startswith(_PREFIX) or not SHORTEST_SECRET <= len(self._key) <= LONGEST_SECRET:
            raise SettingInvalid(f"{setting}: whsec_ and the base64 of 24 to 64 random bytes is wanted")

    def headers(self, event_id: str, at: int, body: bytes) -> dict[str, str]:
        """The headers that prove to the receiver who sent `body` and when; `at` in milliseconds.

        Raises:
            ValueError: `event_id` holds more than letters, digits, dot, dash and underscore. Dots part what
                is signed, so an id with a chosen body in it could pass for another event.
        """
        if not _ID.fullmatch(event_id):
            raise ValueError("webhook id")
        seconds = str(at // 1000)
        signed = b".".join((event_id.encode(), seconds.encode(), body))
        signature = base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256)).decode()
        return {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": seconds,
            "webhook-signature": f"v1,{signature}",
        }


class StandardWebhook(PortalWebhook):
    """A tenant's portal. One post is one attempt; trying again is the caller's."""

    def __init__(self, portal: Portal, http: aiohttp.ClientSession, clock: Clock) -> None:
        """Nothing is connected yet.

        Raises:
            SettingInvalid: the address is not https (http on loopback), is not public (or, with `loopback`, not this
                machine's), or a secret is malformed.
        """
        if portal.webhook is None or portal.secret is None:
            raise SettingInvalid("[portal] has no webhook")
        self._url = secure_url(portal.webhook, "[portal] webhook")
        _require_allowed(urlsplit(self._url).hostname or "", loopback=portal.loopback)
        self._secrets = [WebhookSecret(portal.secret, "[portal] secret")]
        if portal.previous_secret is not None:
            self._secrets.append(WebhookSecret(portal.previous_secret, "[portal] previous_secret"))
        self._http = http
        self._clock = clock

    async def post(self, event_id: str, body: bytes) -> None:
        """See `PortalWebhook`.

        The signed time is that of this attempt, as the specification asks: a portal refuses what was signed
        more than a few minutes ago, and a repeat may come hours after the event.
        """
        signed = [secret.headers(event_id, self._clock(), body) for secret in self._secrets]
        signatures = " ".join(each["webhook-signature"] for each in signed)
        await post(self._http, self._url, body, {**signed[0], "webhook-signature": signatures})


def _require_allowed(host: str, *, loopback: bool) -> None:
    """Judge what is known before anything is looked up; names are judged at each connection (`PublicAddresses`)."""
    if loopback and not is_loopback(host):
        raise SettingInvalid("[portal] loopback is for a webhook on this machine only; take it out")
    if not loopback and (is_loopback(host) or not _may_be_public(host)):
        raise SettingInvalid("[portal] webhook: a public address is wanted; loopback = true is for development")


def _may_be_public(host: str) -> bool:
    try:
        return is_public(host)
    except ValueError:
        return True  # a name


def secure_url(address: str, setting: str) -> str:
    """`address`, found to be one that may be called: https, or http to this machine itself.

    Raises:
        SettingInvalid: it is neither; names `setting`, not the address, which may hold a secret.
    """
    try:
        url = urlsplit(address)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in ("https", "http"):
        raise SettingInvalid(f"{setting}: an https address is wanted")
    if url.scheme == "http" and not is_loopback(host):
        raise SettingInvalid(f"{setting}: http is for this machine only; use https")
    return address


async def post(http: aiohttp.ClientSession, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Post once, following no redirect and reading no answer beyond its head; 5 s for all of it.

    Raises:
        WebhookDown: no connection, no answer in time, or anything but 2xx. The detail is the status or the
            kind of fault: never the address.
    """
    try:
        async with http.post(
            url,
            data=body,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            read_bufsize=LONGEST_ANSWER,
        ) as answer:
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        raise WebhookDown(type(problem).__name__) from problem
    if not 200 <= status < 300:
        raise WebhookDown(f"it answered {status}")
