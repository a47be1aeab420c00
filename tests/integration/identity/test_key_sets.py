"""The issuer's keys against a real key server: counted, rotated, down, slow, huge."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from aiohttp.test_utils import unused_port
from structlog.testing import capture_logs

from messaging_service.adapters import key_set
from messaging_service.adapters.identity import TokenVerifier
from messaging_service.adapters.key_set import IdentityDown
from messaging_service.application.callers import Writer
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.refusals import Unauthenticated
from tests.parts.tokens import (
    ASSURANCE,
    AUDIENCE,
    ES,
    HOUR,
    ISSUER,
    MINUTE,
    NOW,
    Build,
    Clock,
    KeyServer,
    Shelf,
    jwk,
    refused,
    segment,
    signer,
    tenant,
    token,
    until,
)


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
