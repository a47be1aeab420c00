"""The channel to whoever keeps the service running: a log line, and a webhook where one is set."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
import msgspec
import structlog

from messaging_service.adapters.portal_webhook import post, secure_url
from messaging_service.application.ports import Clock, Operations
from messaging_service.domain.errors import WebhookDown

_log = structlog.get_logger(__name__)


class OperationsChannel(Operations):
    """Tells a thing each time it is asked to; the log line is written first and counts on nothing else."""

    def __init__(
        self, webhook: str | None, http: aiohttp.ClientSession, clock: Clock, *, count: Callable[[str], None]
    ) -> None:
        """`webhook` takes JSON posts of `key`, `text` and `at` (milliseconds).

        `count` is called with the outcome of each post, `taken` or `failed`.

        Raises:
            SettingInvalid: the webhook is not https (http on loopback).
        """
        self._url = secure_url(webhook, "MESSAGING_OPS_WEBHOOK") if webhook else None
        self._http = http
        self._clock = clock
        self._count = count

    async def tell(self, key: str, text: str) -> bool:
        """See `Operations`. Returns within the 5 s of the post; without a webhook the log line is all there is."""
        _log.error("operations_told", key=key, text=text)
        if self._url is None:
            return True
        body = msgspec.json.encode({"key": key, "text": text, "at": self._clock()})
        try:
            await post(self._http, self._url, body, {"content-type": "application/json"})
        except WebhookDown as problem:
            self._count("failed")
            _log.error("operations_webhook_failed", key=key, reason=problem.detail)
            return False
        self._count("taken")
        return True
