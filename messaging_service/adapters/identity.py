"""Who is writing: checks access tokens (RFC 7519, RFC 8725) of each tenant's own OpenID Connect issuer."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import structlog

from messaging_service.adapters.portal_webhook import secure_url
from messaging_service.application.ports import Clock
from messaging_service.application.submit import Writer
from messaging_service.domain.errors import ServerFault, SettingInvalid
from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import Forbidden, Unauthenticated
from messaging_service.tenants import Identity, Tenant

LONGEST_TOKEN = 8 * 1024
LONGEST_KEY_SET = 256 * 1024
MOST_KEYS = 64
RSA_BITS = range(2048, 8193)
LONGEST_SUBJECT = 255
LONGEST_IDENTIFIER = 64
FETCH_SECONDS = 5.0
REFRESH_MS = 60_000
"""An outsider can make up key ids; this is how often they can make us ask the issuer."""
FIRST_FETCH_MS = 5_000
STALE_MS = 3_600_000
"""A key that the issuer withdrew is trusted for at most this long after, as long as the issuer answers."""
MOST_CACHED = 10_000

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


class _Rejected(Exception):
    """Why a token is not accepted; for the metrics alone, never for whoever sent it."""


@dataclass(frozen=True, slots=True)
class _Key:
    kid: str | None
    algorithms: tuple[str, ...]
    key: Any = field(repr=False)


class TokenVerifier:
    """Turns an access token into a `Writer`. Holds the issuers' public keys and the tokens seen before."""

    def __init__(
        self,
        tenants: Mapping[str, Tenant],
        http: aiohttp.ClientSession,
        clock: Clock,
        *,
        count: Callable[[str], None],
    ) -> None:
        """Nothing is fetched yet.

        `count` is called for every token that is not accepted, with one of: malformed, issuer, algorithm,
        kid, signature, audience, expired, claims, identifier.

        Raises:
            SettingInvalid: two tenants share an issuer, or an [identity] table cannot be right.
        """
        self._issuers: dict[str, _Issuer] = {}
        for tenant in tenants.values():
            if tenant.identity.issuer in self._issuers:
                raise SettingInvalid(f"{tenant.id}: [identity] issuer is another tenant's as well")
            self._issuers[tenant.identity.issuer] = _Issuer(tenant, http, clock)
        self._clock = clock
        self._count = count
        self._cache: OrderedDict[bytes, tuple[float, tuple[_Key, ...], _Issuer, Writer]] = OrderedDict()

    async def verify(self, token: str) -> Writer:
        """The writer that `token` (a compact JWS) speaks for.

        Raises:
            Unauthenticated: the token is not accepted; the error does not say why, `count` is told.
            Forbidden: the token holds, but lacks the patient's number, or somebody acts for the patient.
            IdentityDown: the issuer's keys were never fetched and it does not answer.
        """
        try:
            return await self._verify(token)
        except _Rejected as rejected:
            self._count(str(rejected))
            raise Unauthenticated from None
        except Forbidden:
            self._count("identifier")
            raise

    async def _verify(self, token: str) -> Writer:
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise _Rejected("malformed")
        digest = hashlib.sha256(token.encode("ascii")).digest()
        if (known := self._remembered(digest)) is not None:
            return known
        header, claimed = _read(token)
        issuer = self._issuers.get(claimed) if isinstance(claimed, str) else None
        if issuer is None:
            raise _Rejected("issuer")
        claims, keys = await issuer.claims(token, header)
        writer = issuer.writer(claims)
        self._cache[digest] = (claims["exp"], keys, issuer, writer)
        if len(self._cache) > MOST_CACHED:
            self._cache.popitem(last=False)
        return writer

    def _remembered(self, digest: bytes) -> Writer | None:
        """The writer of a token verified before, while it holds and its issuer's keys are the same."""
        if (entry := self._cache.get(digest)) is None:
            return None
        expires, keys, issuer, writer = entry
        if issuer.keys.held() is not keys:
            del self._cache[digest]
            return None
        if issuer.is_past(expires):
            del self._cache[digest]
            raise _Rejected("expired")
        self._cache.move_to_end(digest)
        return writer


def _read(token: str) -> tuple[dict[str, Any], object]:
    """Header and `iss` as the token claims them: they choose whose rules it is held against, nothing more."""
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise _Rejected("malformed") from None
    return read["header"], read["payload"].get("iss")


class _Issuer:
    """One tenant's rules for tokens and what it reads from them."""

    def __init__(self, tenant: Tenant, http: aiohttp.ClientSession, clock: Clock) -> None:
        if not tenant.identity.identifiers or not tenant.identity.algorithms:
            raise SettingInvalid(f"{tenant.id}: [identity] identifiers and algorithms need at least one each")
        self._tenant = tenant
        self._clock = clock
        self.keys = _Keys(tenant.id, tenant.identity, http, clock)

    async def claims(self, token: str, header: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[_Key, ...]]:
        """The claims of a token whose signature, issuer, audience and times hold, and the keys that count.

        Only the tenant's own algorithms and keys count; `jku`, `jwk`, `x5u` and the like are never looked at
        (RFC 8725 §3.1, §3.10).
        """
        rules, algorithm = self._tenant.identity, header.get("alg")
        if algorithm not in rules.algorithms:
            raise _Rejected("algorithm")
        key, keys = await self.keys.find(header.get("kid"), algorithm)
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[algorithm],
                audience=rules.audience,
                issuer=rules.issuer,
                # times are held against the injected clock, below
                options={"require": ["sub"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.PyJWTError as problem:
            raise _Rejected(_reason(problem)) from None
        self._check_times(claims)
        return claims, keys

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        times = {"nbf": claims.get("iat"), **claims}  # nbf is optional (RFC 7519 §4.1.5), and many issuers leave it out
        for name in ("exp", "iat", "nbf"):
            at = times.get(name)
            if type(at) is not int and not (type(at) is float and math.isfinite(at)):
                raise _Rejected("claims")
        if self.is_past(claims["exp"]):
            raise _Rejected("expired")
        if max(times["iat"], times["nbf"]) > self._clock() / 1000 + self._tenant.identity.leeway_seconds:
            raise _Rejected("claims")

    def is_past(self, expires: float) -> bool:
        """Whether `expires` (seconds) is over, with the tenant's leeway."""
        return self._clock() / 1000 >= expires + self._tenant.identity.leeway_seconds

    def writer(self, claims: Mapping[str, Any]) -> Writer:
        """The patient and author that verified claims name."""
        subject = claims["sub"]
        if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise _Rejected("claims")
        if "act" in claims:  # RFC 8693: else the record would say that the patient wrote this
            raise Forbidden("acting for a patient is not supported yet")
        name = claims.get(self._tenant.identity.name_claim)
        name = name if isinstance(name, str) and name.isprintable() else ""
        return Writer(self._tenant, self._identifiers(claims), Author(subject, "patient", name), name)

    def _identifiers(self, claims: Mapping[str, Any]) -> tuple[Identifier, ...]:
        systems = self._tenant.identity.identifiers
        values = {system: claims.get(claim) for system, claim in systems.items()}
        if values[next(iter(systems))] is None:
            raise Forbidden("the token holds no patient number")
        for system, value in values.items():
            if value is not None and not _is_sound(system, value):
                raise Forbidden(f"the token's {system} is no valid number")
        return tuple(Identifier(system, value) for system, value in values.items() if value is not None)


def _reason(problem: jwt.PyJWTError) -> str:
    if isinstance(problem, jwt.InvalidAudienceError):
        return "audience"
    if isinstance(problem, jwt.MissingRequiredClaimError):
        return "audience" if problem.claim == "aud" else "claims"
    if isinstance(problem, jwt.InvalidSignatureError):
        return "signature"
    return "algorithm" if isinstance(problem, jwt.InvalidAlgorithmError) else "claims"


def _is_sound(system: str, value: object) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_IDENTIFIER:
        return False
    if not value.isprintable() or value != value.strip():
        return False
    return system != "bsn" or _is_bsn(value)


def _is_bsn(value: str) -> bool:
    """Nine digits, 9a+8b+…+2h−i ≡ 0 mod 11 (the Dutch "elfproef")."""
    if len(value) != 9 or not (value.isascii() and value.isdigit()) or value == "000000000":
        return False
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(weight * int(digit) for weight, digit in zip(weights, value, strict=True)) % 11 == 0


class _Keys:
    """An issuer's key set: kept while the issuer is down, asked for seldom and by one request at a time."""

    def __init__(self, tenant: str, identity: Identity, http: aiohttp.ClientSession, clock: Clock) -> None:
        self._tenant = tenant
        self._clock = clock
        self._keys: tuple[_Key, ...] = ()
        self._raw = b""
        self._asked_at: int | None = None
        self._fresh_at = 0
        self._flight: asyncio.Task[None] | None = None
        self._load: Callable[[], Awaitable[bytes]]
        if identity.jwks.startswith("file:"):
            path = Path(identity.jwks.removeprefix("file:"))
            self._load = lambda: asyncio.to_thread(_read_file, path)
        else:
            url = secure_url(identity.jwks, f"{tenant}: [identity] jwks")
            self._load = lambda: _download(http, url)

    def held(self) -> tuple[_Key, ...]:
        """The keys that count now, the same object while the issuer publishes the same; () before the first.

        Old ones are asked for again in the background, so that nobody waits for an issuer that is down.
        """
        if self._keys and self._clock() - self._fresh_at >= STALE_MS:
            self._start()
        return self._keys

    async def find(self, kid: str | None, algorithm: str) -> tuple[_Key, tuple[_Key, ...]]:
        """The key of that id for that algorithm, and its set; without an id, the only key that fits."""
        if (key := _choose(self.held(), kid, algorithm)) is None:
            await self._refresh()
            key = _choose(self._keys, kid, algorithm)
        if not self._keys:
            raise IdentityDown(self._tenant)
        if key is None:
            raise _Rejected("kid")
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
            return
        self._fresh_at = self._clock()
        if raw != self._raw:
            self._raw, self._keys = raw, keys
            _log.info("identity_keys_changed", tenant=self._tenant, keys=len(keys))


def _choose(keys: tuple[_Key, ...], kid: str | None, algorithm: str) -> _Key | None:
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


def _read_keys(raw: bytes) -> tuple[_Key, ...]:
    """The keys of a JWK set (RFC 7517 §5) that can check signatures; others are skipped, as §5 asks."""
    read = json.loads(raw)
    listed = read.get("keys") if isinstance(read, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError(f"a JWK set of at most {MOST_KEYS} keys is wanted")
    keys = tuple(key for jwk in listed if isinstance(jwk, dict) and (key := _read_key(jwk)) is not None)
    if not keys:
        raise ValueError("no key in the set can check a signature")
    return keys


def _read_key(jwk: Mapping[str, Any]) -> _Key | None:
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
    return _Key(kid if isinstance(kid, str) else None, algorithms, key)
