"""The connection to a messaging service: one request, tried again where that is safe."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from messaging_service.client.patient import Patient
from messaging_service.client.problems import Problem, Unavailable, Unreachable, problem_of

Token = str | Callable[[], Awaitable[str]]
"""An access token, or what fetches one that holds: tokens live for minutes."""

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
_BAD_GATEWAY = (502, 504)
_MOST_PROBLEM_BYTES = 65_536


class Service:
    """A messaging service at `url`. Use it as an async context manager; one for a whole portal is enough.

    `patience` is for how many seconds a request is tried again while the service does not answer or says "not now".
    """

    def __init__(self, url: str, *, patience: float = 30.0, http: aiohttp.ClientSession | None = None) -> None:
        """`http` is a session of your own, which stays open.

        Raises:
            ValueError: the address is not https (http on this machine).
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError(f"{url}: https is wanted; tokens and messages must not cross a network in the clear")
        self._url = url.rstrip("/")
        self._patience = patience
        self._http = http
        self._own: aiohttp.ClientSession | None = None
        self._timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_read=30)

    async def __aenter__(self) -> Service:
        if self._http is None:
            self._http = self._own = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own is not None:
            await self._own.close()

    def on_behalf_of(self, token: Token) -> Patient:
        """The patient, or whoever acts for one, that a token speaks for."""
        return Patient(self, token)

    async def ask(
        self,
        method: str,
        path: str,
        token: Token,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> bytes:
        """The body of the answer. A request is sent again, unchanged, where it is `repeatable`.

        Raises:
            Problem: one of its kinds, when the service refuses.
            Unreachable: no answer came within the patience.
        """
        sent = None if body is None else msgspec.json.encode(body)

        async def once() -> bytes:
            async with self._open(method, path, token, body=sent, headers=headers) as answer:
                return await answer.read()

        return await self._again_and_again(once, (headers or {}).get("Idempotency-Key"), repeatable)

    async def _again_and_again(self, once: Callable[[], Awaitable[bytes]], key: str | None, repeatable: bool) -> bytes:
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._patience, _FIRST_PAUSE
        while True:
            wait = pause * random.uniform(0.5, 1.0)  # noqa: S311 -- so that many who lost one gateway do not meet again
            try:
                return await once()
            except (aiohttp.ClientError, TimeoutError, OSError) as problem:
                if not repeatable or loop.time() + wait > until:
                    raise Unreachable(key) from problem
            except Problem as problem:
                wait = max(wait, problem.retry_after)
                if not repeatable or not _may_pass(problem) or loop.time() + wait > until:
                    raise
            await asyncio.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        token: Token | None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a GET that is read while it comes. Not tried again.

        Raises:
            Problem: one of its kinds, when the service refuses.
            Unreachable: no answer, or it broke off.
        """
        try:
            async with self._open("GET", path, token, headers=headers, timeout=timeout) as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise Unreachable(None) from problem

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        token: Token | None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """No redirect is followed: the token goes nowhere else."""
        if self._http is None:
            raise RuntimeError("use the service as an async context manager: async with Service(…) as service")
        given = {**(headers or {})}
        if token is not None:
            given["Authorization"] = f"Bearer {token if isinstance(token, str) else await token()}"
        if body is not None:
            given["Content-Type"] = "application/json"
        async with self._http.request(
            method, self._url + path, data=body, headers=given, allow_redirects=False, timeout=timeout or self._timeout
        ) as answer:
            if not 200 <= answer.status < 300:
                raise await _problem(answer)
            yield answer


async def _problem(answer: aiohttp.ClientResponse) -> Problem:
    members: Mapping[str, Any] = {}
    if answer.content_type.endswith("json"):
        try:
            read = msgspec.json.decode(await answer.content.read(_MOST_PROBLEM_BYTES))
            members = read if isinstance(read, dict) else {}
        except msgspec.DecodeError:
            members = {}  # of something between us and the service
    after = answer.headers.get("Retry-After", "")
    return problem_of(answer.status, members, int(after) if after.isdecimal() else 0)


def _may_pass(problem: Problem) -> bool:
    """Whether the same request may be taken a little later."""
    return isinstance(problem, Unavailable) or problem.status in _BAD_GATEWAY or problem.retry_after > 0
