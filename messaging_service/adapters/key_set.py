"""An issuer's public keys (RFC 7517): fetched seldom, kept while the issuer is down, bounded in size and number."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import jwt
import structlog

from messaging_service.adapters.portal_webhook import secure_url
from messaging_service.application.ports import Clock
from messaging_service.domain.errors import ServerFault, StoreDown
from messaging_service.tenants import Issuer

LONGEST_KEY_SET = 256 * 1024
MOST_KEYS = 64
RSA_BITS = range(2048, 8193)
FETCH_SECONDS = 5.0
REFRESH_MS = 60_000
"""An outsider can make up key ids; this is how often they can make us ask the issuer."""
FIRST_FETCH_MS = 5_000
STALE_MS = 3_600_000
"""A key that the issuer withdrew is trusted for at most this long after, as long as the issuer answers."""

_log = structlog.get_logger(__name__)
_ALGORITHMS = {
    ("RSA", ""): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")


class IdentityDown(ServerFault):
    """The keys of the tenant's issuer cannot be had, so nobody can be known. Check [identity] jwks."""

    server = "identity"


class Rejected(Exception):
    """Why a token is not accepted; for the metrics alone, never for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key with its id and the algorithms it may check."""

    kid: str | None
    algorithms: tuple[str, ...]
    key: Any = field(repr=False)


class Shelf(Protocol):
    """Where key sets outlast the process: for a start while the issuer is down."""

    async def keep(self, tenant: str, issuer: str, raw: bytes) -> None:
        """The issuer has just published this. Raises StoreDown."""

    async def find(self, tenant: str, issuer: str) -> bytes | None:
        """What it published last, unless that is too long ago. Raises StoreDown."""


class KeySet:
    """An issuer's key set: kept while the issuer is down, asked for seldom and by one request at a time."""

    def __init__(
        self, tenant: str, table: str, rules: Issuer, http: aiohttp.ClientSession, shelf: Shelf, clock: Clock
    ) -> None:
        """`table` is where the tenant's file names the issuer, for the errors."""
        self._tenant = tenant
        self._issuer = rules.issuer
        self._shelf = shelf
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._raw = b""
        self._asked_at: int | None = None
        self._fresh_at = 0
        self._flight: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._load: Callable[[], Awaitable[bytes]]
        if rules.jwks.startswith("file:"):
            path = Path(rules.jwks.removeprefix("file:"))
            self._load = lambda: asyncio.to_thread(_read_file, path)
        else:
            url = secure_url(rules.jwks, f"{tenant}: {table} jwks")
            self._load = lambda: _download(http, url)

    def held(self) -> tuple[Key, ...]:
        """The keys that count now, the same object while the issuer publishes the same; () before the first.

        Old ones are asked for again in the background, so that nobody waits for an issuer that is down.
        """
        if self._keys and self._clock() - self._fresh_at >= STALE_MS:
            self._start()
        return self._keys

    async def find(self, kid: str | None, algorithm: str) -> tuple[Key, tuple[Key, ...]]:
        """The key of that id for that algorithm, and its set; without an id, the only key that fits."""
        if (key := _choose(self.held(), kid, algorithm)) is None:
            await self._refresh()
            key = _choose(self._keys, kid, algorithm)
        if not self._keys:
            raise IdentityDown(self._tenant)
        if key is None:
            raise Rejected("kid")
        return key, self._keys

    async def _refresh(self) -> None:
        self._start()
        if self._flight is not None:  # a request that is cancelled must not take the others' answer with it
            await asyncio.shield(self._flight)

    def _start(self) -> None:
        now, pause = self._clock(), REFRESH_MS if self._keys else FIRST_FETCH_MS
        if self._flight is not None or (self._asked_at is not None and 0 <= now - self._asked_at < pause):
            return
        self._asked_at = now
        self._flight = asyncio.create_task(self._fetch())
        self._flight.add_done_callback(self._land)

    def _land(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _fetch(self) -> None:
        try:
            raw = await self._load()
            keys = _read_keys(raw)
        except (aiohttp.ClientError, OSError, ValueError, RecursionError) as problem:
            _log.error("identity_keys_unavailable", tenant=self._tenant, reason=type(problem).__name__)
            if not self._keys:
                await self._take_from_shelf()
            return
        self._fresh_at = self._clock()
        if raw != self._raw:
            self._raw, self._keys = raw, keys
            _log.info("identity_keys_changed", tenant=self._tenant, keys=len(keys))
        self._keeping = asyncio.create_task(self._keep(raw))  # nobody who waits for keys waits for the store

    async def _keep(self, raw: bytes) -> None:
        with suppress(StoreDown):  # it is kept with one of the next fetches
            await self._shelf.keep(self._tenant, self._issuer, raw)

    async def _take_from_shelf(self) -> None:
        """The keys of an earlier process, until the issuer answers: it is asked again before long."""
        with suppress(StoreDown):
            if (raw := await self._shelf.find(self._tenant, self._issuer)) is not None:
                self._raw, self._keys = raw, _read_keys(raw)
                _log.warning("identity_keys_of_before", tenant=self._tenant, keys=len(self._keys))


def _choose(keys: tuple[Key, ...], kid: str | None, algorithm: str) -> Key | None:
    fitting = [key for key in keys if algorithm in key.algorithms and kid in (None, key.kid)]
    return fitting[0] if fitting and (kid is not None or len(fitting) == 1) else None


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return _bounded(file.read(LONGEST_KEY_SET + 1))


def _bounded(body: bytes) -> bytes:
    if len(body) > LONGEST_KEY_SET:
        raise ValueError("the key set is too long")
    return body


async def _download(http: aiohttp.ClientSession, url: str) -> bytes:
    limit = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    async with http.get(url, allow_redirects=False, timeout=limit) as answer:
        if answer.status != 200:
            raise ValueError(f"the issuer answered {answer.status}")
        body = b""
        async for chunk in answer.content.iter_chunked(16_384):
            body = _bounded(body + chunk)
        return body


def _read_keys(raw: bytes) -> tuple[Key, ...]:
    """The keys of a JWK set (RFC 7517 §5) that can check signatures; others are skipped, as §5 asks."""
    read = json.loads(raw)
    listed = read.get("keys") if isinstance(read, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError(f"a JWK set of at most {MOST_KEYS} keys is wanted")
    keys = tuple(key for jwk in listed if isinstance(jwk, dict) and (key := _read_key(jwk)) is not None)
    if not keys:
        raise ValueError("no key in the set can check a signature")
    return keys


def _read_key(jwk: Mapping[str, Any]) -> Key | None:
    algorithms = _ALGORITHMS.get((str(jwk.get("kty")), str(jwk.get("crv", ""))), ())
    algorithms = tuple(name for name in algorithms if jwk.get("alg", name) == name)
    uses = jwk.get("key_ops", ["verify"])
    if not algorithms or jwk.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return None
    try:
        public = {name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk}
        key: Any = jwt.PyJWK(public, algorithm=algorithms[0]).key
    except jwt.PyJWTError:
        return None
    if jwk["kty"] == "RSA" and key.key_size not in RSA_BITS:
        return None
    kid = jwk.get("kid")
    return Key(kid if isinstance(kid, str) else None, algorithms, key)
