"""Who may not write: refused with the notice, counted, nothing stored."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.sandbox.issuer import KEY_ID, Issuer
from messaging_service.application.collections import HELD
from tests.parts.patient import URGENT, Answer
from tests.parts.system import System
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

Forge = Callable[[System, str, Path], str]
MESSAGE = {"subject": "Vraag", "body": "Kom ik hiermee binnen?", "language": "nl"}


def part(value: object) -> str:
    """One part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def claims(system: System, number: str, **changes: Any) -> dict[str, Any]:
    """What a good token of Spijkenisse says, with changes."""
    now = int(time.time())
    said = {
        "iss": system.issuers["spijkenisse"].name,
        "aud": "messaging-service",
        "sub": f"spijkenisse-{number}",
        "iat": now,
        "exp": now + 600,
        "name": "Jansen",
        "patient_number": number,
    }
    return {**said, **changes}


def unsigned(system: System, number: str, folder: Path) -> str:
    """`alg` none."""
    return f"{part({'alg': 'none', 'kid': KEY_ID})}.{part(claims(system, number))}."


def signed_with_the_public_key(system: System, number: str, folder: Path) -> str:
    """HMAC, with what everybody can read as its secret."""
    signed = f"{part({'alg': 'HS256', 'kid': KEY_ID})}.{part(claims(system, number))}"
    secret = system.issuers["spijkenisse"].jwks.read_bytes()
    digest = hmac.digest(secret, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def of_another_key(system: System, number: str, folder: Path) -> str:
    """Signed by somebody who calls himself the issuer, under the issuer's own key id."""
    return Issuer(folder, "spijkenisse").token(f"spijkenisse-{number}", patient_number=number)


def with_an_unknown_kid(system: System, number: str, folder: Path) -> str:
    """A header that names a key nobody published."""
    good = system.patient("spijkenisse", number).token
    return ".".join([part({"alg": "ES256", "kid": "unheard-of"}), *good.split(".")[1:]])


def expired(system: System, number: str, folder: Path) -> str:
    """An hour too old."""
    return system.issuers["spijkenisse"].token(f"spijkenisse-{number}", hours=-1, patient_number=number)


def of_another_issuer(system: System, number: str, folder: Path) -> str:
    """An issuer that is no tenant's."""
    return system.patient("spijkenisse", number, iss="https://login.elsewhere.invalid").token


def for_another_audience(system: System, number: str, folder: Path) -> str:
    """A token that was given out for another service."""
    return system.patient("spijkenisse", number, aud="agenda").token


def garbage(system: System, number: str, folder: Path) -> str:
    """No token at all."""
    return "a.b.c"


@pytest.mark.parametrize(
    ("forge", "counted"),
    [
        (unsigned, "algorithm"),
        (signed_with_the_public_key, "algorithm"),
        (of_another_key, "signature"),
        (with_an_unknown_kid, "kid"),
        (expired, "expired"),
        (of_another_issuer, "issuer"),
        (for_another_audience, "audience"),
        (garbage, "malformed"),
    ],
)
async def test_a_token_that_does_not_hold_is_401(
    system: System, number: str, tmp_path: Path, forge: Forge, counted: str
) -> None:
    """401 with the general notice, counted by its reason; neither message nor alarm comes of it."""
    before = await system.metrics()
    token = forge(system, number, tmp_path)
    patient = system.patient("spijkenisse", number)
    for body in ("Kom ik hiermee binnen?", URGENT):
        answer = await patient.send(
            "POST", "/v1/messages", json={**MESSAGE, "body": body}, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "112" in answer.body["notice"]["telephone"]
        assert token not in json.dumps(answer.body)
    after = await system.metrics()
    key = f'messaging_tokens_refused_total{{reason="{counted}"}}'
    assert after[key] == before.get(key, 0) + 2
    assert grown(before, after, "messaging_accepted_total") == 0
    assert (await patient.get("/v1/threads")).body["threads"] == []


async def test_without_a_token_it_is_401(system: System) -> None:
    """No Authorization header, or one of another scheme."""
    for headers in ({}, {"Authorization": "Basic cGF0aWVudDpzZWNyZXQ="}):
        async with system.http.post(f"{system.url}/v1/messages", json=MESSAGE, headers=headers) as answer:
            assert answer.status == 401
            assert "112" in (await answer.json())["notice"]["telephone"]


async def test_a_patient_of_another_tenant_is_403(system: System, number: str) -> None:
    """A good token of Spijkenisse's issuer with only SEIN's number in it names no patient here."""
    patient = system.patient("spijkenisse", number, patient_number=None, client_number=number)
    before = await system.metrics()
    answer = await patient.post("Vraag", "Kent u mij?")
    assert answer.status == 403
    assert "112" in answer.body["notice"]["telephone"]
    after = await system.metrics()
    assert grown(before, after, 'messaging_tokens_refused_total{reason="identifier"}') == 1
    assert grown(before, after, "messaging_accepted_total") == 0


async def test_the_same_number_at_another_tenant_is_somebody_else(system: System, number: str) -> None:
    """Equal numbers of two hospitals never meet: each reads only what was written there."""
    here, there = system.patient("spijkenisse", number), system.patient("sein", number)
    answer = await here.post("Vraag", "Voor Spijkenisse.")
    await here.until_is(answer.id, "filed")
    assert (await there.get(f"/v1/messages/{answer.id}")).status == 404
    assert (await there.get("/v1/threads")).body["threads"] == []
    assert answer.id not in system.epds["sein"].inbox


def grown(before: dict[str, float], after: dict[str, float], metric: str) -> float:
    """By how much a counter grew, summed over its labels."""
    return sum(value - before.get(name, 0) for name, value in after.items() if name.startswith(metric))


async def test_a_login_is_registered_once_whatever_happens(system: System, number: str) -> None:
    """Many requests, a new token of the same session, kill -9 of the gateway: one login; another session is another."""

    async def counted() -> int:
        (today,) = (await system.command("logins", "--tenant", "spijkenisse", "--days", "1"))["spijkenisse"]
        return int(today["patients"])

    async def grown_to(wanted: int) -> None:
        async def has() -> bool:
            return await counted() == wanted

        await until(has, f"{wanted} logins")

    before, now = await counted(), int(time.time())
    session = {"sid": f"sid-{number}", "auth_time": now}
    first = system.patient("spijkenisse", number, **session, jti="a")
    for _ in range(3):
        assert (await first.get("/v1/compose-notice")).status == 200
    await grown_to(before + 1)
    await system.restart("gateway")
    for jti in ("a", "b"):
        again = system.patient("spijkenisse", number, **session, jti=jti)
        assert (await again.get("/v1/compose-notice")).status == 200
    other = system.patient("spijkenisse", number, sid=f"other-{number}", auth_time=now)
    assert (await other.get("/v1/compose-notice")).status == 200
    await grown_to(before + 2)


async def test_the_alarm_of_a_login_that_is_too_weak(system: System, number: str) -> None:
    """Refused with the level that would do; on-call is told by mail and opens, by its link, what was written."""
    weak = system.patient("spijkenisse", number, acr=None, amr=None)
    answer = await weak.post("Pijn", URGENT)
    assert answer.status == 403
    assert "Wacht niet op antwoord" in answer.body["notice"]["text"]
    assert 'error="insufficient_user_authentication"' in answer.headers["WWW-Authenticate"]
    token = system.staff["spijkenisse"].token("arts", role="on-call", scope="alarms:open")
    opened: list[Answer] = []

    async def is_held() -> bool:
        held = await system.store.find(HELD, "by_time", {"tenant": "spijkenisse"}, descending=True, limit=1)
        if not held or not system.told.letters_of(held[0]["id"]):
            return False
        link = f"/v1/alarms/{held[0]['id']}/opening"
        letter = system.told.letters_of(held[0]["id"])[0].replace("=\r\n", "").replace("=\n", "")
        assert f"{system.url}{link}" in letter
        reason, bearer = {"reason": "Alarm om 03:12"}, {"Authorization": f"Bearer {token}"}
        opened.append(await weak.send("POST", link, json=reason, headers=bearer))
        return opened[-1].body["patient"]["numbers"][0]["value"] == number

    await until(is_held, "on-call reads whom to call")
    assert (opened[-1].body["status"], opened[-1].body["body"]) == ("refused", URGENT)
