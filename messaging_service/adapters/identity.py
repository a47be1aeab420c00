"""Who is asking: checks access tokens (RFC 7519, RFC 8725) of each tenant's own OpenID Connect issuer."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import aiohttp
import jwt

from messaging_service.adapters.claims import login_of, staff_of, writer_of
from messaging_service.adapters.key_set import Key, KeySet, Rejected, Shelf
from messaging_service.application.callers import Caller
from messaging_service.application.logins import Login
from messaging_service.application.ports import Clock
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.refusals import Forbidden, Unauthenticated
from messaging_service.tenants import Issuer, Tenant

LONGEST_TOKEN = 8 * 1024
MOST_CACHED = 10_000


class TokenVerifier:
    """Turns an access token into a `Caller`. Holds the issuers' public keys and the tokens seen before."""

    def __init__(
        self,
        tenants: Mapping[str, Tenant],
        http: aiohttp.ClientSession,
        clock: Clock,
        *,
        count: Callable[[str], None],
        register: Callable[[Login], None],
        shelf: Shelf,
    ) -> None:
        """Nothing is fetched yet.

        `count` is called for every token that is not accepted, with one of: malformed, issuer, algorithm,
        kid, signature, audience, expired, claims, identifier. `register` is called with the login of every token that
        is, the first time it is seen: it must not wait. `shelf` keeps the issuers' keys for the next start.

        Raises:
            SettingInvalid: two tenants, or patients and staff, share an issuer, or an [identity] table cannot be right.
        """
        self._issuers: dict[str, _Issuer] = {}
        for tenant in tenants.values():
            for table, rules, read in _trusted(tenant):
                if rules.issuer in self._issuers:
                    raise SettingInvalid(f"{tenant.id}: {table} issuer is another tenant's or table's as well")
                keys = KeySet(tenant.id, table, rules, http, shelf, clock)
                self._issuers[rules.issuer] = _Issuer(rules, read, keys, clock)
        self._clock = clock
        self._count = count
        self._register = register
        self._cache: OrderedDict[bytes, tuple[float, tuple[Key, ...], _Issuer, Caller]] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """Whom `token` (a compact JWS) speaks for.

        Raises:
            Unauthenticated: the token is not accepted; the error does not say why, `count` is told.
            Forbidden: the token holds, but lacks the patient's number, or staff's role.
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

    async def _verify(self, token: str) -> Caller:
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
        caller = issuer.read(claims)
        self._register(login_of(caller, claims))
        self._cache[digest] = (claims["exp"], keys, issuer, caller)
        if len(self._cache) > MOST_CACHED:
            self._cache.popitem(last=False)
        return caller

    def _remembered(self, digest: bytes) -> Caller | None:
        """The caller of a token verified before, while it holds and its issuer's keys are the same."""
        if (entry := self._cache.get(digest)) is None:
            return None
        expires, keys, issuer, caller = entry
        if issuer.keys.held() is not keys:
            del self._cache[digest]
            return None
        if issuer.is_past(expires):
            del self._cache[digest]
            raise Rejected("expired")
        self._cache.move_to_end(digest)
        return caller


def _read(token: str) -> tuple[dict[str, Any], object]:
    """Header and `iss` as the token claims them: they choose whose rules it is held against, nothing more."""
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise Rejected("malformed") from None
    return read["header"], read["payload"].get("iss")


def _trusted(tenant: Tenant) -> Iterator[tuple[str, Issuer, Callable[[Mapping[str, Any]], Caller]]]:
    """Each issuer that a tenant trusts: its table, its rules, and who its claims speak for."""
    yield "[identity]", tenant.identity, partial(writer_of, tenant)
    if (staff := tenant.identity.staff) is not None:
        yield "[identity.staff]", staff, partial(staff_of, tenant, staff)


class _Issuer:
    """One issuer's rules for tokens, its keys, and what is read from its claims."""

    def __init__(self, rules: Issuer, read: Callable[[Mapping[str, Any]], Caller], keys: KeySet, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self.read = read
        self.keys = keys

    async def claims(self, token: str, header: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Key, ...]]:
        """The claims of a token whose signature, issuer, audience and times hold, and the keys that count.

        Only the issuer's own algorithms and keys count; `jku`, `jwk`, `x5u` and the like are never looked at
        (RFC 8725 §3.1, §3.10).
        """
        rules, algorithm = self._rules, header.get("alg")
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
        if max(times["iat"], times["nbf"]) > self._clock() / 1000 + self._rules.leeway_seconds:
            raise Rejected("claims")

    def is_past(self, expires: float) -> bool:
        """Whether `expires` (seconds) is over, with the tenant's leeway."""
        return self._clock() / 1000 >= expires + self._rules.leeway_seconds


def _reason(problem: jwt.PyJWTError) -> str:
    if isinstance(problem, jwt.InvalidAudienceError):
        return "audience"
    if isinstance(problem, jwt.MissingRequiredClaimError):
        return "audience" if problem.claim == "aud" else "claims"
    if isinstance(problem, jwt.InvalidSignatureError):
        return "signature"
    return "algorithm" if isinstance(problem, jwt.InvalidAlgorithmError) else "claims"
