"""Whose tokens are staff's, which tokens are one login, and that none reaches a log."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import jwt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from messaging_service.adapters.identity import TokenVerifier
from messaging_service.application.callers import Staff, Writer
from messaging_service.application.logins import Login
from messaging_service.domain.message import Identifier
from messaging_service.domain.refusals import AuthenticationTooWeak, Forbidden, ScopeMissing, Unauthenticated
from messaging_service.domain.roles import Role, Scope
from tests.parts.tokens import (
    AUDIENCE,
    BASIC,
    BSN,
    ES,
    ISSUER,
    NOW,
    Build,
    Clock,
    KeyServer,
    Shelf,
    key_file,
    refused,
    staff,
    staff_token,
    tenant,
    token,
    with_staff,
    writer,
)


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
