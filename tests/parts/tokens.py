"""Access tokens, good and wrong, the server of the keys that verify them, and a verifier's surroundings."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from messaging_service.adapters.identity import TokenVerifier
from messaging_service.application.callers import Staff, Writer
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.refusals import Unauthenticated
from messaging_service.tenants import Tenant

NOW = 1_780_000_000
ISSUER, AUDIENCE = "https://login.hospital.example", "messaging"
BSN = "999911120"
BASIC, SMS, CARD = "urn:basic", "urn:sms", "urn:card"
ASSURANCE = {"levels": [BASIC, SMS, CARD], "minimum": SMS, "factors": [["pwd"], ["sms", "otp"]]}
MINUTE, HOUR = 60_000, 3_600_000

Signer = tuple[str, Any]
"""An algorithm and a private key."""


@cache
def signer(algorithm: str, name: str = "") -> Signer:
    """One key per algorithm and name, made once: RSA keys take a while."""
    if algorithm in ("RS256", "PS256"):
        return algorithm, rsa.generate_private_key(65537, 2048)
    if algorithm == "ES256":
        return algorithm, ec.generate_private_key(ec.SECP256R1())
    return algorithm, ed25519.Ed25519PrivateKey.generate()


def jwk(signer: Signer, kid: str | None, **more: object) -> dict[str, Any]:
    algorithm, key = signer
    kind = jwt.get_algorithm_by_name(algorithm)
    public: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    public.pop("key_ops", None)
    return public | ({"kid": kid} if kid else {}) | more


CLAIMS: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "user-1",
    "iat": NOW - 10,
    "nbf": NOW - 10,
    "exp": NOW + 300,
    "bsn": BSN,
    "zkh": "1234",
    "name": "J. Jansen",
    "acr": SMS,
}


def token(
    signer: Signer, kid: str | None = "k1", *, without: str = "", headers: dict[str, Any] | None = None, **claims: Any
) -> str:
    """A token that holds, but for what is changed."""
    algorithm, key = signer
    said = {name: value for name, value in (CLAIMS | claims).items() if name != without}
    given = ({"kid": kid} if kid else {}) | (headers or {})
    return jwt.encode(said, key, algorithm, headers=given)


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: object, claims: object, signature: bytes = b"x") -> str:
    return ".".join(segment(part) for part in (header, claims, signature))


def flipped(given: str) -> str:
    head, body, signature = given.split(".")
    changed = base64.urlsafe_b64decode(body + "==").replace(b"user-1", b"user-2")
    return f"{head}.{segment(changed)}.{signature}"


class KeyServer:
    """An issuer's key set, and how often it was asked for."""

    def __init__(self) -> None:
        self.keys: list[Any] = [jwk(signer("ES256"), "k1")]
        self.raw: bytes | None = None
        self.status = 200
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        await self.may_answer.wait()
        body = json.dumps({"keys": self.keys}).encode() if self.raw is None else self.raw
        return web.Response(status=self.status, body=body, headers={"Location": "/keys"})


class Shelf:
    """The key sets of an earlier process; `down` keeps and finds none."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.down = False
        self.slow: asyncio.Event | None = None

    async def keep(self, tenant: str, issuer: str, raw: bytes) -> None:
        if self.slow:
            await self.slow.wait()
        if self.down:
            raise StoreDown
        self.kept[tenant, issuer] = raw

    async def find(self, tenant: str, issuer: str) -> bytes | None:
        if self.down:
            raise StoreDown
        return self.kept.get((tenant, issuer))


class Clock:
    def __init__(self) -> None:
        self.now = NOW * 1000

    def __call__(self) -> int:
        return self.now


def tenant(jwks: str, id: str = "spijkenisse", issuer: str = ISSUER, **more: Any) -> Tenant:
    identity: dict[str, Any] = {"issuer": issuer, "audience": AUDIENCE, "jwks": jwks, "assurance": ASSURANCE}
    identity |= {"identifiers": {"bsn": "bsn", "local": "zkh"}, "algorithms": ["RS256", "PS256", "ES256", "EdDSA"]}
    return msgspec.convert(
        {
            "id": id,
            "name": "Hospital",
            "telephone": "0181",
            "identity": identity | more,
            "reply": {"days": 3, "count": "working"},
            "routing": {
                "triage_desk": "desk",
                "care_teams": [{"code": "desk", "name": "Desk", "department": "general"}],
                "departments": [{"code": "general", "name": "General", "care_team": "desk"}],
            },
            "epd": {"address": "mllp://localhost:1", "profile": {}},
            "on_call": {"email": ["on-call@hospital.example"]},
        },
        Tenant,
    )


Build = Callable[..., TokenVerifier]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await holds():  # noqa: ASYNC110 -- what is waited for has no event of its own
            await asyncio.sleep(0)


async def writer(verifier: TokenVerifier, given: str) -> Writer:
    """The patient or representative that a token speaks for."""
    caller = await verifier.verify(given)
    assert isinstance(caller, Writer)
    return caller


async def refused(verifier: TokenVerifier, given: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as refusal:
        await verifier.verify(given)
    return refusal.value


ES = signer("ES256")


async def until_changed(verifier: TokenVerifier, server: KeyServer, keys: list[Any]) -> None:
    """The issuer publishes other keys, and the verifier has come to know."""
    server.keys = keys
    clock = verifier._clock
    assert isinstance(clock, Clock)
    clock.now += MINUTE
    await refused(verifier, token(signer("ES256"), "made-up", exp=NOW + 10**9))


STAFF = "https://staff.hospital.example"


def with_staff(jwks: str) -> Tenant:
    """A tenant whose staff comes from an issuer of its own."""
    return tenant(jwks, staff={"issuer": STAFF, "audience": "staff", "jwks": jwks, "assurance": ASSURANCE})


def staff_token(**claims: Any) -> str:
    """A token of somebody on call."""
    return token(ES, **{"iss": STAFF, "aud": "staff", "role": "on-call", "scope": "openid alarms:open", **claims})


async def staff(verifier: TokenVerifier, given: str) -> Staff:
    """The member of staff whom a token speaks for."""
    caller = await verifier.verify(given)
    assert isinstance(caller, Staff)
    return caller


@cache
def key_file() -> Path:
    """The issuers' key set in a file."""
    path = Path(tempfile.mkdtemp()) / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(ES, "k1")]}))
    return path
