"""Access tokens against a real key server: counted, rotated, down, slow, huge; and tokens of all wrong kinds."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from messaging_service.adapters import identity, key_set
from messaging_service.adapters.identity import TokenVerifier
from messaging_service.adapters.key_set import IdentityDown
from messaging_service.application.callers import Staff, Writer
from messaging_service.application.logins import Login
from messaging_service.domain.errors import SettingInvalid, StoreDown
from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import AuthenticationTooWeak, Forbidden, ScopeMissing, Unauthenticated
from messaging_service.domain.roles import Role, Scope
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


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counted() -> list[str]:
    return []


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def logins() -> list[Login]:
    return []


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    keys = KeyServer()
    app = web.Application()
    app.router.add_get("/{tail:.*}", keys.handle)
    async with TestServer(app, host="127.0.0.1") as running:
        keys.url = str(running.make_url("/keys"))
        yield keys


Build = Callable[..., TokenVerifier]


@pytest.fixture
async def build(clock: Clock, counted: list[str], logins: list[Login], shelf: Shelf) -> AsyncIterator[Build]:
    async with aiohttp.ClientSession() as http:

        def verifier(*tenants: Tenant) -> TokenVerifier:
            return TokenVerifier(
                {one.id: one for one in tenants}, http, clock, count=counted.append, register=logins.append, shelf=shelf
            )

        yield verifier


@pytest.fixture
def verifier(build: Build, server: KeyServer) -> TokenVerifier:
    return build(tenant(server.url))


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


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_token_that_holds(verifier: TokenVerifier, server: KeyServer, algorithm: str) -> None:
    """Each algorithm the tenant lists: tenant, identifiers in the tenant's order, author and name."""
    server.keys = [jwk(signer(algorithm), "k1")]
    caller = await writer(verifier, token(signer(algorithm)))
    assert caller.tenant.id == "spijkenisse"
    assert caller.identifiers == (Identifier("bsn", BSN), Identifier("local", "1234"))
    assert caller.author == Author("user-1", "patient", "J. Jansen")
    assert caller.patient_name == "J. Jansen"


async def test_the_issuer_chooses_the_tenant(build: Build, server: KeyServer) -> None:
    """Each token is held against its own issuer's tenant, audience and identifiers."""
    other = tenant(server.url, "sein", "https://sein.example", audience="sein", identifiers={"local": "zkh"})
    verifier = build(tenant(server.url), other)
    caller = await writer(verifier, token(signer("ES256"), iss="https://sein.example", aud="sein"))
    assert (caller.tenant.id, caller.identifiers) == ("sein", (Identifier("local", "1234"),))
    assert (await writer(verifier, token(signer("ES256")))).tenant.id == "spijkenisse"


async def test_one_of_several_audiences(verifier: TokenVerifier) -> None:
    """`aud` may be a list that holds ours (RFC 7519 §4.1.3)."""
    assert await verifier.verify(token(signer("ES256"), aud=["portal", AUDIENCE]))


async def test_the_only_key_needs_no_id(verifier: TokenVerifier, server: KeyServer, counted: list[str]) -> None:
    """A token without `kid` holds when one key fits its algorithm, and does not when two do."""
    server.keys = [jwk(signer("ES256"), None), jwk(signer("RS256"), "r")]
    assert await verifier.verify(token(signer("ES256"), None))
    await until_changed(verifier, server, [jwk(signer("ES256"), "a"), jwk(signer("ES256", "b"), "b")])
    await refused(verifier, token(signer("ES256"), None, sub="another"))
    assert counted[-1] == "kid"


async def until_changed(verifier: TokenVerifier, server: KeyServer, keys: list[Any]) -> None:
    """The issuer publishes other keys, and the verifier has come to know."""
    server.keys = keys
    clock = verifier._clock
    assert isinstance(clock, Clock)
    clock.now += MINUTE
    await refused(verifier, token(signer("ES256"), "made-up", exp=NOW + 10**9))


@pytest.mark.parametrize(
    ("name", "shown"), [("Zoë O’Hara", "Zoë O’Hara"), ("a\r\nb", ""), (None, ""), (7, ""), ("", "")]
)
async def test_the_name_is_a_nicety(verifier: TokenVerifier, name: object, shown: str) -> None:
    """A name that is missing, odd or holds control characters is left out; the token holds all the same."""
    caller = await writer(verifier, token(signer("ES256"), name=name))
    assert (caller.patient_name, caller.author.name) == (shown, shown)


def public_pem(signer: Signer) -> bytes:
    pem: bytes = signer[1].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def hmac_token(algorithm: str, secret: bytes) -> str:
    """What a naive verifier takes: HMAC keyed with the issuer's public key, which everybody knows."""
    said = f"{segment({'alg': algorithm, 'kid': 'k1'})}.{segment(CLAIMS)}"
    return f"{said}.{segment(hmac.digest(secret, said.encode(), hashlib.sha256))}"


def flipped(given: str) -> str:
    head, body, signature = given.split(".")
    changed = base64.urlsafe_b64decode(body + "==").replace(b"user-1", b"user-2")
    return f"{head}.{segment(changed)}.{signature}"


ES = signer("ES256")
DEEP = b"[" * 5_000
WRONG: dict[str, tuple[str, str]] = {
    "empty": ("", "malformed"),
    "words": ("hello", "malformed"),
    "two parts": ("a.b", "malformed"),
    "not ascii": ("é.é.é", "malformed"),
    "surrogate": ("\ud800.a.b", "malformed"),
    "no json": (forged(b"{", CLAIMS), "malformed"),
    "claims no object": (forged({"alg": "ES256", "kid": "k1"}, [1]), "malformed"),
    "deep header": (forged(DEEP, CLAIMS), "malformed"),
    "deep claims": (forged({"alg": "ES256"}, DEEP), "malformed"),
    "long number": (forged({"alg": "ES256"}, b'{"exp":' + b"9" * 5_000 + b"}"), "malformed"),
    "too long": (token(ES, pad="x" * 8_192), "malformed"),
    "kid no text": (forged({"alg": "ES256", "kid": 7}, CLAIMS), "malformed"),
    "crit": (token(ES, headers={"crit": ["exp"], "exp": 1}), "malformed"),
    "no issuer": (token(ES, without="iss"), "issuer"),
    "other issuer": (token(ES, iss="https://evil.example"), "issuer"),
    "nearly the issuer": (token(ES, iss=ISSUER + "/"), "issuer"),
    "issuer in a list": (forged({"alg": "ES256", "kid": "k1"}, CLAIMS | {"iss": [ISSUER]}), "issuer"),
    "alg none": (forged({"alg": "none", "kid": "k1"}, CLAIMS, b""), "algorithm"),
    "alg None": (forged({"alg": "None", "kid": "k1"}, CLAIMS, b""), "algorithm"),
    "no alg": (forged({"kid": "k1"}, CLAIMS), "algorithm"),
    "alg in a list": (forged({"alg": ["ES256"], "kid": "k1"}, CLAIMS), "algorithm"),
    "hmac with the public key": (hmac_token("HS256", public_pem(ES)), "algorithm"),
    "hmac called ES256": (hmac_token("ES256", public_pem(ES)), "signature"),
    "an algorithm nobody lists": (
        jwt.encode(CLAIMS, signer("RS256")[1], "RS512", headers={"kid": "k1"}),
        "algorithm",
    ),
    "another kind of key": (token(signer("RS256")), "kid"),
    "unknown kid": (token(ES, "k2"), "kid"),
    "kid as a path": (token(ES, "../../../dev/null"), "kid"),
    "another key": (token(signer("ES256", "other")), "signature"),
    "changed claims": (flipped(token(ES)), "signature"),
    "no signature": (token(ES).rpartition(".")[0] + ".", "signature"),
    "other audience": (token(ES, aud="portal"), "audience"),
    "no audience": (token(ES, without="aud"), "audience"),
    "audience null": (token(ES, aud=None), "audience"),
    "expired": (token(ES, exp=NOW - 31), "expired"),
    "just expired": (token(ES, exp=NOW - 30), "expired"),
    "not yet": (token(ES, nbf=NOW + 31), "claims"),
    "from the future": (token(ES, iat=NOW + 31), "claims"),
    "no exp": (token(ES, without="exp"), "claims"),
    "no iat": (token(ES, without="iat"), "claims"),
    "no sub": (token(ES, without="sub"), "claims"),
    "exp text": (token(ES, exp=str(NOW + 300)), "claims"),
    "exp true": (token(ES, exp=True), "claims"),
    "exp infinite": (token(ES, exp=float("inf")), "claims"),
    "exp no number": (token(ES, exp=float("nan")), "claims"),
    "sub no text": (token(ES, sub=7), "claims"),
    "sub empty": (token(ES, sub=""), "claims"),
    "sub long": (token(ES, sub="x" * 256), "claims"),
    "sub with a line end": (token(ES, sub="a\nb"), "claims"),
    "sub half a character": (token(ES, sub="\ud800"), "claims"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_tokens_that_do_not_hold(verifier: TokenVerifier, counted: list[str], wrong: str) -> None:
    """Each is refused in the same words; which check it failed only the counter knows."""
    given, reason = WRONG[wrong]
    refusal = await refused(verifier, given)
    assert str(refusal) == str(Unauthenticated())
    assert counted == [reason]


async def test_leeway(verifier: TokenVerifier) -> None:
    """Clocks may differ by the tenant's leeway, not by a second more (see the table above)."""
    assert await verifier.verify(token(ES, exp=NOW - 29))
    assert await verifier.verify(token(ES, nbf=NOW + 30, iat=NOW + 30))


async def test_a_too_long_token_is_not_even_read(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 KiB is the most that is parsed for a stranger."""
    read: list[str] = []
    original = identity._read

    def reading(token: str) -> tuple[dict[str, Any], object]:
        read.append(token)
        return original(token)

    monkeypatch.setattr(identity, "_read", reading)
    await refused(verifier, "x" * 8_193)
    assert read == []
    await refused(verifier, "x" * 8_192)
    assert len(read) == 1


async def test_an_algorithm_the_tenant_does_not_list(build: Build, server: KeyServer, counted: list[str]) -> None:
    """An RS256 token from the tenant's own issuer does not hold where only ES256 is listed."""
    server.keys = [jwk(signer("RS256"), "k1")]
    await refused(build(tenant(server.url, algorithms=["ES256"])), token(signer("RS256")))
    assert counted == ["algorithm"]


async def test_addresses_in_a_token_lead_nowhere(verifier: TokenVerifier, server: KeyServer) -> None:
    """A token that brings its own key, or says where one lies, is held against the issuer's keys alone."""
    thief = signer("ES256", "thief")
    lure = server.url.replace("/keys", "/lure")
    headers = {"jku": lure, "x5u": lure, "jwk": jwk(thief, "k1"), "x5c": ["MIIB"]}
    await refused(verifier, token(thief, headers=headers))
    await refused(verifier, token(thief, lure, headers=headers))
    assert server.asked == 1  # the lure is on the same server and would have counted
    assert await verifier.verify(token(ES, headers=headers))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"[\w-]{0,30}\.[\w-]{0,60}\.[\w-]{0,30}", fullmatch=True))
def test_any_text_is_refused_cleanly(given: str) -> None:
    """Whatever stands after `Bearer`, the answer is Unauthenticated, never a crash."""

    counted: list[str] = []

    async def attempt() -> None:
        async with aiohttp.ClientSession() as http:
            await refused(TokenVerifier({}, http, Clock(), count=counted.append, register=print, shelf=Shelf()), given)

    asyncio.run(attempt())
    assert counted in (["malformed"], ["issuer"])


async def test_the_first_identifier_must_be_there(verifier: TokenVerifier, counted: list[str]) -> None:
    """A user without a patient number is known, but nobody's patient: Forbidden."""
    for claims in ({"without": "bsn"}, {"bsn": None}):
        with pytest.raises(Forbidden):
            await verifier.verify(token(ES, **claims))
    assert counted == ["identifier"] * 2


async def test_the_others_may_be_missing(verifier: TokenVerifier) -> None:
    """A patient whom the portal knows by BSN alone is known by BSN alone."""
    for claims in ({"without": "zkh"}, {"zkh": None}):
        assert (await writer(verifier, token(ES, **claims))).identifiers == (Identifier("bsn", BSN),)


@pytest.mark.parametrize(
    "bsn",
    [
        "999911121",
        "99991112",
        "0999911120",
        "000000000",
        "99991112a",
        "９９９９１１１２０",
        " 999911120",
        "",
        999911120,
    ],
)
async def test_a_bsn_must_pass_its_check(verifier: TokenVerifier, bsn: object) -> None:
    """One wrong digit, a digit short, a space or a number instead of text: Forbidden, and not quoted."""
    with pytest.raises(Forbidden) as forbidden:
        await verifier.verify(token(ES, bsn=bsn))
    assert not bsn or str(bsn) not in str(forbidden.value)


@pytest.mark.parametrize("local", ["", " ", "12 ", "1\n2", "x" * 65, 1234, True, ["1234"], "\ud800"])
async def test_odd_identifiers(verifier: TokenVerifier, local: object) -> None:
    """A number that is no short printable text is not somebody else's number by chance: Forbidden."""
    with pytest.raises(Forbidden):
        await verifier.verify(token(ES, zkh=local))


async def test_longest_identifier(verifier: TokenVerifier) -> None:
    """64 characters are still a number."""
    assert (await writer(verifier, token(ES, zkh="x" * 64))).identifiers[1].value == "x" * 64


async def test_somebody_acting_for_the_patient(verifier: TokenVerifier) -> None:
    """An `act` claim (RFC 8693 §4.1) says who writes; the numbers stay the patient's, and who acted before is past."""
    act = {"sub": "daughter", "name": "D. Jansen", "act": {"sub": "portal"}}
    caller = await verifier.verify(token(ES, act=act))
    assert isinstance(caller, Writer)
    assert caller.represents
    assert caller.author == Author("daughter", "representative", "D. Jansen")
    assert (caller.patient_name, caller.identifiers[0]) == ("J. Jansen", Identifier("bsn", BSN))
    assert not (await writer(verifier, token(ES))).represents


@pytest.mark.parametrize("act", [None, "daughter", [], {}, {"sub": ""}, {"sub": 7}, {"sub": "a\nb"}, {"sub": "user-1"}])
async def test_an_acting_subject_that_names_nobody(verifier: TokenVerifier, counted: list[str], act: object) -> None:
    """An `act` that is malformed, or that is the patient, is never read as if the patient wrote."""
    await refused(verifier, token(ES, act=act))
    assert counted == ["claims"]


@pytest.mark.parametrize(
    ("claims", "assured"),
    [
        ({"acr": BASIC}, False),
        ({"acr": SMS}, True),
        ({"acr": CARD}, True),
        ({"acr": "urn:unheard-of"}, False),
        ({"acr": [SMS]}, False),
        ({"acr": f"{BASIC} {SMS}"}, False),
        ({"acr": None}, False),
        ({"acr": BASIC, "amr": ["pwd"]}, False),
        ({"acr": BASIC, "amr": ["sms"]}, False),
        ({"acr": BASIC, "amr": "pwd sms"}, False),
        ({"acr": BASIC, "amr": ["pwd", {}, "otp"]}, True),
        ({"acr": None, "amr": ["sms", "pwd"]}, True),
    ],
)
async def test_how_strong_the_login_was(verifier: TokenVerifier, claims: dict[str, Any], assured: bool) -> None:
    """The tenant's least `acr` or a stronger one, or both factors in `amr`; what is not understood is not enough."""
    caller = await writer(verifier, token(ES, **claims))
    assert caller.assured is assured
    if not assured:
        with pytest.raises(AuthenticationTooWeak) as weak:
            caller.require_assured()
        assert weak.value.acr_values == (SMS, CARD)


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


async def test_staff(build: Build, server: KeyServer) -> None:
    """A token of the staff's issuer speaks for staff, with its role; nothing in it makes a patient of them."""
    found = await staff(build(with_staff(server.url)), staff_token(bsn=BSN))
    assert (found.tenant.id, found.role, found.subject) == ("spijkenisse", Role.ON_CALL, "user-1")
    assert (found.scopes, found.assured) == (frozenset({Scope.OPEN_ALARMS}), True)


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "alarms:acknowledge alarms:open"}, {"alarms:acknowledge", "alarms:open"}),
        ({"scope": ["alarms:open", 7, None, {}]}, {"alarms:open"}),
        ({"scope": "alarms:open accounts:block access-log:read"}, {"alarms:open"}),
        ({"scope": "alarms:open", "role": "auditor"}, set()),
        ({"scope": "alarms:openly alarms"}, set()),
        ({"scope": None}, set()),
        ({"scope": {"alarms:open": True}}, set()),
    ],
)
async def test_scopes(build: Build, server: KeyServer, claims: dict[str, Any], scopes: set[str]) -> None:
    """The scopes of the token that the role has; one that the role never has counts for nothing."""
    found = await staff(build(with_staff(server.url)), staff_token(**claims))
    assert found.scopes == scopes
    for scope in set(Scope) - scopes:
        with pytest.raises(ScopeMissing):
            found.using(Scope(scope))


async def test_a_weak_login_may_do_nothing(build: Build, server: KeyServer) -> None:
    """Staff without the second factor may do none of what their scopes allow."""
    found = await staff(build(with_staff(server.url)), staff_token(acr=BASIC))
    with pytest.raises(AuthenticationTooWeak):
        found.using(Scope.OPEN_ALARMS)


@pytest.mark.parametrize("role", [None, "", "On-call", "patient", "representative", ["on-call"], {}, 7])
async def test_no_role(build: Build, server: KeyServer, role: object) -> None:
    """Staff without one of our roles is known, and may do nothing: Forbidden."""
    with pytest.raises(Forbidden):
        await build(with_staff(server.url)).verify(staff_token(role=role))


async def test_nobody_acts_for_staff(build: Build, server: KeyServer, counted: list[str]) -> None:
    """Work is done under one's own name: an acting subject in a staff token is refused."""
    await refused(build(with_staff(server.url)), staff_token(act={"sub": "colleague"}))
    assert counted == ["claims"]


async def test_a_patient_is_never_taken_for_staff(build: Build, server: KeyServer, counted: list[str]) -> None:
    """A role in a patient's token means nothing, and the patients' issuer does not speak for staff nor the reverse."""
    verifier = build(with_staff(server.url))
    assert isinstance(await verifier.verify(token(ES, role="on-call", scope="alarms:open")), Writer)
    await refused(verifier, staff_token(iss=ISSUER))
    await refused(verifier, staff_token(aud=AUDIENCE))
    assert counted == ["audience", "audience"]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ({"sid": "s1", "auth_time": NOW - 9}, {"sid": "s1", "auth_time": NOW - 9, "jti": "b"}, True),
        ({"sid": "s1"}, {"sid": "s1", "iat": NOW - 5}, True),
        ({"auth_time": NOW - 9}, {"auth_time": NOW - 9, "jti": "b"}, True),
        ({"sid": "s1", "auth_time": NOW - 9}, {"sid": "s1", "auth_time": NOW - 1}, False),
        ({"sid": "s1"}, {"sid": "s2"}, False),
        ({"sid": "s1"}, {"sid": "s1", "sub": "user-2"}, False),
        ({"jti": "a"}, {"jti": "b"}, False),
        ({}, {"iat": NOW - 5}, False),
        ({"auth_time": "yesterday", "jti": "a"}, {"auth_time": "yesterday", "jti": "b"}, False),
        ({"sid": "s1"}, {"sid": "s1", "act": {"sub": "daughter"}}, False),
    ],
)
async def test_one_login_or_two(
    verifier: TokenVerifier, logins: list[Login], first: dict[str, Any], second: dict[str, Any], same: bool
) -> None:
    """Tokens of one session and one proof of identity are one login; of an issuer that tells neither, each is one."""
    for claims in (first, second):
        await verifier.verify(token(ES, **claims))
    one, other = [(login.kind, login.subject, login.proof) for login in logins]
    assert (one == other) is same


async def test_what_is_told_of_a_login(build: Build, server: KeyServer, logins: list[Login]) -> None:
    """When the user proved who they are, what they are, and how strongly; once a token, not once a request."""
    verifier = build(with_staff(server.url))
    given = token(ES, acr=BASIC, auth_time=NOW - 3600)
    for _ in range(3):
        await verifier.verify(given)
    await verifier.verify(token(ES, act={"sub": "daughter"}))
    await verifier.verify(staff_token())
    assert [(login.tenant, login.kind, login.subject, login.at, login.assured) for login in logins] == [
        ("spijkenisse", "patient", "user-1", (NOW - 3600) * 1000, False),
        ("spijkenisse", "representative", "daughter", (NOW - 10) * 1000, True),
        ("spijkenisse", "staff", "user-1", (NOW - 10) * 1000, True),
    ]


async def test_a_login_before_time_began(verifier: TokenVerifier, logins: list[Login]) -> None:
    """Times that no calendar has are taken for the earliest one; the token holds all the same."""
    for iat in (-1, -1e300):
        await verifier.verify(token(ES, iat=iat, nbf=NOW))
    assert [login.at for login in logins] == [0, 0]


async def test_a_token_that_does_not_hold_is_no_login(verifier: TokenVerifier, logins: list[Login]) -> None:
    """Whatever it says of itself, nobody logged in."""
    for wrong, _ in WRONG.values():
        await refused(verifier, wrong)
    assert logins == []


async def test_a_token_for_two_hospitals(build: Build, server: KeyServer) -> None:
    """A token whose audiences are two tenants' is good at its own issuer's alone, in whatever order they stand."""
    other = tenant(server.url, "sein", "https://sein.example", audience="sein", identifiers={"local": "zkh"})
    verifier = build(tenant(server.url), other)
    for audiences in (["sein", AUDIENCE], [AUDIENCE, "sein"]):
        assert (await writer(verifier, token(ES, aud=audiences))).tenant.id == "spijkenisse"
        at_sein = await writer(verifier, token(ES, aud=audiences, iss="https://sein.example"))
        assert (at_sein.tenant.id, at_sein.identifiers) == ("sein", (Identifier("local", "1234"),))
    await refused(verifier, token(ES, aud=["sein"]))


async def test_a_patients_and_staffs_audience_at_once(build: Build, server: KeyServer) -> None:
    """A token for both audiences speaks for what its issuer speaks for: nobody is two kinds of caller."""
    verifier = build(with_staff(server.url))
    assert isinstance(await verifier.verify(token(ES, aud=[AUDIENCE, "staff"], role="ops")), Writer)
    assert isinstance(await verifier.verify(staff_token(aud=[AUDIENCE, "staff"])), Staff)


CANARY = "kanarie"
VALUES = st.none() | st.booleans() | st.integers() | st.just(CANARY) | st.text(max_size=8).map(CANARY.__add__)
ANY = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.just("sub"), VALUES)
HARMLESS = st.sampled_from(["name", "zkh", "acr", "amr", "scope"])
CLAIMED = st.dictionaries(HARMLESS, ANY, max_size=3) | st.dictionaries(
    HARMLESS | st.sampled_from(["iss", "aud", "sub", "iat", "exp", "bsn", "act", "role"]), ANY, max_size=4
)


@settings(max_examples=200, deadline=None)
@given(st.booleans(), CLAIMED, st.sampled_from(["k1", "k1", CANARY]), st.sampled_from(["", "", "x"]))
@example(False, {"name": CANARY, "zkh": CANARY}, "k1", "")
@example(True, {"name": CANARY, "sub": CANARY}, "k1", "")
def test_no_token_reaches_a_log(from_staff: bool, claims: dict[str, Any], kid: str, cut: str) -> None:
    """Whatever a token says and whether it holds or not, no log line, counter or error has it or a word of it."""
    good = staff_token() if from_staff else token(ES)
    payload = {**jwt.decode(good, options={"verify_signature": False}), **claims}
    given = jwt.PyJWS().encode(json.dumps(payload).encode(), ES[1], "ES256", {"kid": kid}) + cut
    said: list[str] = []

    async def attempt() -> None:
        jwks = f"file:{key_file()}"
        async with aiohttp.ClientSession() as http:
            verifier = TokenVerifier(
                {"spijkenisse": with_staff(jwks)},
                http,
                Clock(),
                count=said.append,
                register=lambda login: said.append(repr(login)),
                shelf=Shelf(),
            )
            try:
                said.append(repr(await verifier.verify(given)))
            except (Unauthenticated, Forbidden) as problem:
                said.append(f"{problem} {problem!r}")

    with capture_logs() as logged:
        asyncio.run(attempt())
    told = " ".join([*said, repr(logged)])
    assert CANARY not in told
    assert not any(part in told for part in given.split("."))


@cache
def key_file() -> Path:
    """The issuers' key set in a file."""
    path = Path(tempfile.mkdtemp()) / "keys.json"
    path.write_text(json.dumps({"keys": [jwk(ES, "k1")]}))
    return path


async def test_keys_are_asked_for_once(verifier: TokenVerifier, server: KeyServer, clock: Clock) -> None:
    """However many first requests wait, and however long, it is one request, for all that follow as well."""
    server.may_answer.clear()
    first = [asyncio.create_task(verifier.verify(token(ES, sub=f"user-{n}"))) for n in range(20)]
    await until(lambda: is_true(server.asked == 1))
    clock.now += MINUTE
    first.append(asyncio.create_task(verifier.verify(token(ES, sub="user-20", exp=NOW + 3600))))
    await asyncio.sleep(0)
    server.may_answer.set()
    callers = await asyncio.gather(*first)
    assert {caller.author.subject for caller in callers if isinstance(caller, Writer)} == {
        f"user-{n}" for n in range(21)
    }
    await verifier.verify(token(ES, sub="another"))
    assert server.asked == 1


async def is_true(condition: bool) -> bool:
    return condition


async def test_made_up_kids_cost_one_request_a_minute(verifier: TokenVerifier, server: KeyServer, clock: Clock) -> None:
    """However many unknown key ids come, the issuer is asked once a minute at most."""
    await verifier.verify(token(ES))
    for minute in (0, 1, 2):
        clock.now = NOW * 1000 + minute * MINUTE
        await asyncio.gather(*(refused(verifier, token(ES, f"made-up-{n}")) for n in range(50)))
        assert server.asked == 1 + minute
    clock.now += MINUTE - 1
    await refused(verifier, token(ES, "made-up"))
    assert server.asked == 3


async def test_a_new_key_is_found(verifier: TokenVerifier, server: KeyServer, clock: Clock) -> None:
    """The issuer rotates: a token under the new key holds at once, one under the old as long as it is listed."""
    await verifier.verify(token(ES))
    new = signer("ES256", "new")
    server.keys = [jwk(ES, "k1"), jwk(new, "k2")]
    clock.now += MINUTE
    assert await verifier.verify(token(new, "k2"))
    assert await verifier.verify(token(ES, sub="another"))
    assert server.asked == 2


async def test_a_withdrawn_key_ends_with_its_tokens(verifier: TokenVerifier, server: KeyServer, clock: Clock) -> None:
    """An hour after a key was withdrawn its tokens no longer hold, nor those verified before."""
    seen = token(ES, exp=NOW + 86_400)
    await verifier.verify(seen)
    server.keys = [jwk(signer("ES256", "new"), "k2")]
    clock.now += HOUR

    async def is_refused() -> bool:
        try:
            await verifier.verify(seen)
        except Unauthenticated:
            return True
        return False

    await until(is_refused)
    assert server.asked == 2


async def test_old_keys_outlive_the_issuer(
    verifier: TokenVerifier, server: KeyServer, clock: Clock, counted: list[str]
) -> None:
    """The issuer is down for a day: known keys go on, and nobody waits for it."""
    await verifier.verify(token(ES))
    server.status = 503
    for hour in range(1, 25):
        clock.now = (NOW + hour * 3600) * 1000
        assert await verifier.verify(token(ES, exp=NOW + 100_000, sub=f"user-{hour}"))
    assert counted == []
    await until(lambda: is_true(server.asked > 1))
    server.may_answer.clear()
    assert await verifier.verify(token(ES, exp=NOW + 100_000, sub="while it hangs"))
    server.may_answer.set()


async def test_a_start_while_the_issuer_is_down(build: Build, server: KeyServer, clock: Clock, shelf: Shelf) -> None:
    """A new process knows the keys that an earlier one was given; once the issuer answers, its own count again."""
    await build(tenant(server.url)).verify(token(ES))
    await until(lambda: is_true(len(shelf.kept) == 1))
    server.status = 503
    started = build(tenant(server.url))
    assert await started.verify(token(ES))
    await refused(started, token(signer("ES256", "new"), "k2"))
    server.status, server.keys = 200, [jwk(signer("ES256", "new"), "k2")]
    clock.now += MINUTE
    assert await started.verify(token(signer("ES256", "new"), "k2"))
    await refused(started, token(ES, sub="another"))


async def test_a_start_with_nothing_on_the_shelf(build: Build, server: KeyServer, clock: Clock, shelf: Shelf) -> None:
    """No earlier process, or no store: IdentityDown until the issuer answers, and the store is not needed for that."""
    server.status = 503
    verifier = build(tenant(server.url))
    for down in (False, True):
        shelf.down = down
        clock.now += key_set.FIRST_FETCH_MS
        with pytest.raises(IdentityDown):
            await verifier.verify(token(ES))
    server.status = 200
    clock.now += key_set.FIRST_FETCH_MS
    shelf.slow = asyncio.Event()
    assert await verifier.verify(token(ES))  # while the store hangs
    assert shelf.kept == {}


async def test_the_shelf_is_not_asked_while_there_are_keys(
    build: Build, server: KeyServer, clock: Clock, shelf: Shelf
) -> None:
    """A key set in use is not replaced by an older one when the issuer goes down."""
    verifier = build(tenant(server.url))
    await verifier.verify(token(ES))
    shelf.kept["spijkenisse", ISSUER] = json.dumps({"keys": [jwk(signer("ES256", "old"), "k0")]}).encode()
    server.status = 503
    clock.now += MINUTE
    await refused(verifier, token(signer("ES256", "old"), "k0"))
    assert await verifier.verify(token(ES, sub="another"))


BROKEN: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "redirect": {"status": 302},
    "no json": {"raw": b"<html>"},
    "not utf-8": {"raw": b"\xff\xfe\xff"},
    "too deep": {"raw": b"[" * 100_000},
    "no set": {"raw": b"[]"},
    "keys no list": {"raw": b'{"keys": {}}'},
    "huge": {"raw": json.dumps({"keys": [jwk(ES, "k1")]}).encode().ljust(key_set.LONGEST_KEY_SET + 1)},
    "too many": {"keys": [jwk(ES, "k1")] * (key_set.MOST_KEYS + 1)},
    "none": {"keys": []},
    "for encryption": {"keys": [jwk(ES, "k1", use="enc")]},
    "to sign with only": {"keys": [jwk(ES, "k1", key_ops=["sign"])]},
    "ops no list": {"keys": [jwk(ES, "k1", key_ops=7)]},
    "for another algorithm": {"keys": [jwk(ES, "k1", alg="ES384")]},
    "shared secret": {"keys": [{"kty": "oct", "kid": "k1", "k": "c2VjcmV0", "alg": "HS256"}]},
    "odd types": {"keys": [7, None, {"kty": ["EC"], "crv": {}}, {"kty": "RSA", "n": 7, "e": None}, {"kty": "EC"}]},
    "a point off the curve": {"keys": [jwk(ES, "k1", x=segment(b"\x01" * 32))]},
    "a short modulus": {"keys": [{"kty": "RSA", "kid": "k1", "n": segment(b"\xff" * 128), "e": "AQAB"}]},
    "a long modulus": {"keys": [{"kty": "RSA", "kid": "k1", "n": segment(b"\xff" * 1025), "e": "AQAB"}]},
}


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_key_set_that_cannot_be_used(
    verifier: TokenVerifier, server: KeyServer, clock: Clock, broken: str
) -> None:
    """At first it is IdentityDown, a server's fault; the next try, seconds later, finds the mended set."""
    for name, value in BROKEN[broken].items():
        setattr(server, name, value)
    with capture_logs() as logged, pytest.raises(IdentityDown, match="spijkenisse"):
        await verifier.verify(token(ES))
    assert [(line["event"], line["tenant"]) for line in logged] == [("identity_keys_unavailable", "spijkenisse")]
    server.status, server.raw, server.keys = 200, None, [jwk(ES, "k1")]
    with pytest.raises(IdentityDown):
        await verifier.verify(token(ES))
    assert server.asked == 1
    clock.now += 5_000
    assert await verifier.verify(token(ES))


@pytest.mark.parametrize("broken", BROKEN)
async def test_a_broken_set_does_not_replace_a_good_one(
    verifier: TokenVerifier, server: KeyServer, clock: Clock, broken: str
) -> None:
    """Once there are keys, what the issuer publishes by mistake changes nothing."""
    await verifier.verify(token(ES))
    for name, value in BROKEN[broken].items():
        setattr(server, name, value)
    clock.now += MINUTE
    await refused(verifier, token(ES, "made-up"))
    assert server.asked == 2
    assert await verifier.verify(token(ES, sub="another"))


async def test_nobody_listens(build: Build) -> None:
    """The issuer's server is gone before the first key was had: IdentityDown."""
    with pytest.raises(IdentityDown):
        await build(tenant(f"http://127.0.0.1:{unused_port()}/keys")).verify(token(ES))


async def test_an_issuer_that_hangs(
    verifier: TokenVerifier, server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issuer that takes the connection and says nothing costs the time-out, no more."""
    assert key_set.FETCH_SECONDS == 5
    monkeypatch.setattr(key_set, "FETCH_SECONDS", 0.1)
    server.may_answer.clear()
    with pytest.raises(IdentityDown):
        await verifier.verify(token(ES))
    server.may_answer.set()


async def test_a_client_that_leaves_takes_no_answer_along(verifier: TokenVerifier, server: KeyServer) -> None:
    """The request that made us ask is cancelled; the keys arrive all the same for those who wait."""
    server.may_answer.clear()
    leaving = asyncio.create_task(verifier.verify(token(ES)))
    await until(lambda: is_true(server.asked == 1))
    staying = asyncio.create_task(verifier.verify(token(ES)))
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    server.may_answer.set()
    assert await staying
    assert server.asked == 1


async def test_keys_from_a_file(build: Build, tmp_path: Path) -> None:
    """`file:PATH` holds the set of a tenant whose issuer cannot be reached; a private key in it is used as public."""
    kind = jwt.get_algorithm_by_name("ES256")
    private = json.loads(kind.to_jwk(ES[1])) | {"kid": "k1"}
    private.pop("key_ops", None)
    assert "d" in private
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [private]}))
    verifier = build(tenant(f"file:{tmp_path / 'keys.json'}"))
    assert await verifier.verify(token(ES))
    ((held,),) = (issuer.keys.held() for issuer in verifier._issuers.values())
    assert not hasattr(held.key, "private_numbers")


async def test_a_file_that_is_missing(build: Build, tmp_path: Path) -> None:
    """No such file is IdentityDown, tried again like any other."""
    with pytest.raises(IdentityDown):
        await build(tenant(f"file:{tmp_path / 'none'}")).verify(token(ES))


@pytest.mark.parametrize("jwks", ["http://login.example/keys", "login.example", "ftp://login.example/", ""])
async def test_keys_come_over_tls(build: Build, jwks: str) -> None:
    """Plain http to another machine is refused at the start: whoever sits in between could be everybody."""
    with pytest.raises(SettingInvalid, match=r"\[identity\] jwks"):
        build(tenant(jwks))


async def test_settings_that_cannot_be_right(build: Build) -> None:
    """Two tenants of one issuer, or a tenant without identifiers or algorithms, is refused at the start."""
    file = "file:/keys"
    with pytest.raises(SettingInvalid, match="another tenant"):
        build(tenant(file), tenant(file, "sein"))
    with pytest.raises(SettingInvalid, match="table"):
        build(tenant(file, staff={"issuer": ISSUER, "audience": AUDIENCE, "jwks": file, "assurance": ASSURANCE}))
    with pytest.raises(msgspec.ValidationError, match="identifiers"):
        tenant(file, identifiers={})
    with pytest.raises(msgspec.ValidationError, match="algorithms"):
        tenant(file, algorithms=[])


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was worked out."""
    signatures: list[str] = []
    original = jwt.decode

    def decode(given: str, *args: Any, **more: Any) -> Any:
        signatures.append(given)
        return original(given, *args, **more)

    monkeypatch.setattr(jwt, "decode", decode)
    return signatures


async def test_a_token_is_worked_out_once(verifier: TokenVerifier, checked: list[str]) -> None:
    """A token seen before gives the same writer without another signature check."""
    given = token(ES)
    callers = [await verifier.verify(given) for _ in range(5)]
    assert all(caller is callers[0] for caller in callers)
    assert checked == [given]


async def test_a_token_seen_before_still_expires(
    verifier: TokenVerifier, clock: Clock, counted: list[str], checked: list[str]
) -> None:
    """The end of a token is looked at each time, to the second."""
    given = token(ES, exp=NOW + 60)
    await verifier.verify(given)
    clock.now = (NOW + 90) * 1000 - 1
    assert await verifier.verify(given)
    clock.now += 1
    await refused(verifier, given)
    assert (counted, len(checked)) == (["expired"], 1)


async def test_one_changed_character_is_another_token(verifier: TokenVerifier, counted: list[str]) -> None:
    """The claims of a token seen before do not vouch for a forged one."""
    given = token(ES)
    await verifier.verify(given)
    await refused(verifier, flipped(given))
    assert counted == ["signature"]


async def test_refusals_are_not_kept(verifier: TokenVerifier, clock: Clock) -> None:
    """A token that came too early holds later on."""
    early = token(ES, nbf=NOW + 60)
    await refused(verifier, early)
    clock.now += 60_000
    assert await verifier.verify(early)


async def test_the_memory_is_bounded(
    verifier: TokenVerifier, checked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one not seen for longest makes room."""
    monkeypatch.setattr(identity, "MOST_CACHED", 2)
    a, b, c = (token(ES, sub=name) for name in "abc")
    for seen in (a, b, a, c, a, b):
        await verifier.verify(seen)
    assert checked == [a, b, c, b]
