"""A token that was verified is remembered: not longer than it holds, and in bounded memory."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from messaging_service.adapters import identity
from messaging_service.adapters.identity import TokenVerifier
from tests.parts.tokens import ES, NOW, Clock, flipped, refused, token


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
