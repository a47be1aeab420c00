"""Who is writing: checks access tokens (RFC 7519, RFC 8725) of each tenant's own OpenID Connect issuer."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import jwt

from messaging_service.adapters.key_set import Key, KeySet, Rejected
from messaging_service.application.ports import Clock
from messaging_service.application.submit import Writer
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import Forbidden, Unauthenticated
from messaging_service.tenants import Tenant

LONGEST_TOKEN = 8 * 1024
LONGEST_SUBJECT = 255
LONGEST_IDENTIFIER = 64
MOST_CACHED = 10_000


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
        self._cache: OrderedDict[bytes, tuple[float, tuple[Key, ...], _Issuer, Writer]] = OrderedDict()

    async def verify(self, token: str) -> Writer:
        """The writer that `token` (a compact JWS) speaks for.

        Raises:
            Unauthenticated: the token is not accepted; the error does not say why, `count` is told.
            Forbidden: the token holds, but lacks the patient's number, or somebody acts for the patient.
            IdentityDown: the issuer's keys were never fetched and it does not answer.
        """
        try:
            return await self._verify(token)
        except Rejected as rejected:
            self._count(str(rejected))
            raise Unauthenticated from None
        except Forbidden:
            self._count("identifier")
            raise

    async def _verify(self, token: str) -> Writer:
        if len(token) > LONGEST_TOKEN or not token.isascii():
            raise Rejected("malformed")
        digest = hashlib.sha256(token.encode("ascii")).digest()
        if (known := self._remembered(digest)) is not None:
            return known
        header, claimed = _read(token)
        issuer = self._issuers.get(claimed) if isinstance(claimed, str) else None
        if issuer is None:
            raise Rejected("issuer")
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
            raise Rejected("expired")
        self._cache.move_to_end(digest)
        return writer


def _read(token: str) -> tuple[dict[str, Any], object]:
    """Header and `iss` as the token claims them: they choose whose rules it is held against, nothing more."""
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise Rejected("malformed") from None
    return read["header"], read["payload"].get("iss")


class _Issuer:
    """One tenant's rules for tokens and what it reads from them."""

    def __init__(self, tenant: Tenant, http: aiohttp.ClientSession, clock: Clock) -> None:
        if not tenant.identity.identifiers or not tenant.identity.algorithms:
            raise SettingInvalid(f"{tenant.id}: [identity] identifiers and algorithms need at least one each")
        self._tenant = tenant
        self._clock = clock
        self.keys = KeySet(tenant.id, tenant.identity, http, clock)

    async def claims(self, token: str, header: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Key, ...]]:
        """The claims of a token whose signature, issuer, audience and times hold, and the keys that count.

        Only the tenant's own algorithms and keys count; `jku`, `jwk`, `x5u` and the like are never looked at
        (RFC 8725 §3.1, §3.10).
        """
        rules, algorithm = self._tenant.identity, header.get("alg")
        if algorithm not in rules.algorithms:
            raise Rejected("algorithm")
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
            raise Rejected(_reason(problem)) from None
        self._check_times(claims)
        return claims, keys

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        times = {"nbf": claims.get("iat"), **claims}  # nbf is optional (RFC 7519 §4.1.5), and many issuers leave it out
        for name in ("exp", "iat", "nbf"):
            at = times.get(name)
            if type(at) is not int and not (type(at) is float and math.isfinite(at)):
                raise Rejected("claims")
        if self.is_past(claims["exp"]):
            raise Rejected("expired")
        if max(times["iat"], times["nbf"]) > self._clock() / 1000 + self._tenant.identity.leeway_seconds:
            raise Rejected("claims")

    def is_past(self, expires: float) -> bool:
        """Whether `expires` (seconds) is over, with the tenant's leeway."""
        return self._clock() / 1000 >= expires + self._tenant.identity.leeway_seconds

    def writer(self, claims: Mapping[str, Any]) -> Writer:
        """The patient and author that verified claims name."""
        subject = claims["sub"]
        if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
            raise Rejected("claims")
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
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        return False
    return system != "bsn" or _is_bsn(value)


def _is_bsn(value: str) -> bool:
    """Nine digits, 9a+8b+…+2h−i ≡ 0 mod 11 (the Dutch "elfproef")."""
    if len(value) != 9 or not (value.isascii() and value.isdigit()) or value == "000000000":
        return False
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return sum(weight * int(digit) for weight, digit in zip(weights, value, strict=True)) % 11 == 0
