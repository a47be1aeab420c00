"""Access tokens that hold, and those of all wrong kinds."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging_service.adapters import identity
from messaging_service.adapters.identity import TokenVerifier
from messaging_service.application.callers import Writer
from messaging_service.application.logins import Login
from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import AuthenticationTooWeak, Forbidden, Unauthenticated
from tests.parts.tokens import (
    AUDIENCE,
    BASIC,
    BSN,
    CARD,
    CLAIMS,
    ES,
    ISSUER,
    NOW,
    SMS,
    Build,
    Clock,
    KeyServer,
    Shelf,
    Signer,
    flipped,
    forged,
    jwk,
    refused,
    segment,
    signer,
    tenant,
    token,
    until_changed,
    writer,
)


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


async def test_a_token_that_does_not_hold_is_no_login(verifier: TokenVerifier, logins: list[Login]) -> None:
    """Whatever it says of itself, nobody logged in."""
    for wrong, _ in WRONG.values():
        await refused(verifier, wrong)
    assert logins == []
