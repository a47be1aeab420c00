"""The [identity] tables of a tenant's file: what is asked of a login, and which mistakes are refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.tenants import Assurance, OnCall
from messaging_service.tenants.identity import Login, StaffIssuer

LEVELS = ("basic", "middle", "high")


def assurance(**table: Any) -> Assurance:
    return msgspec.convert(table, Assurance)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "needs levels"),
        ({"levels": LEVELS}, "minimum None"),
        ({"minimum": "basic"}, "needs levels"),
        ({"minimum": "basic", "factors": [["pwd"]]}, "must be one of its levels"),
        ({"levels": LEVELS, "minimum": "highest"}, "'highest' must be one"),
        ({"levels": ["a", "a"], "minimum": "a"}, "a level twice"),
        ({"levels": ["a b"], "minimum": "a b"}, "without spaces"),
        ({"levels": ['a"'], "minimum": 'a"'}, "without spaces or quotes"),
        ({"levels": [""], "minimum": ""}, "without spaces"),
        ({"factors": [[]]}, "empty list of factors"),
        ({"factors": []}, "needs levels"),
        ({"factors": ["pwd"]}, "Expected `array`"),
        ({"levels": LEVELS, "minimum": "basic", "level": 1}, "unknown field `level`"),
    ],
)
def test_tables_that_ask_nothing_or_the_impossible(table: dict[str, Any], said: str) -> None:
    """Each is refused in words that say what is wrong, before any token is held against it."""
    with pytest.raises(msgspec.ValidationError, match=said):
        assurance(**table)


@given(st.sampled_from(LEVELS), st.sampled_from(LEVELS))
def test_the_minimum_or_a_stronger_one(minimum: str, shown: str) -> None:
    """A level is enough exactly when it stands at the minimum or after it."""
    asked = assurance(levels=LEVELS, minimum=minimum)
    assert asked.is_met_by(shown, None) is (LEVELS.index(shown) >= LEVELS.index(minimum))
    assert (shown in asked.sufficient) is asked.is_met_by(shown, None)


FACTORS = st.lists(st.sampled_from(["pwd", "sms", "otp", "hwk", "mfa"]))


@given(FACTORS)
def test_one_of_each_list_of_factors(shown: list[str]) -> None:
    """A password and one of the second factors; two second factors without a password are not enough."""
    asked = assurance(factors=[["pwd"], ["sms", "otp"]])
    assert asked.is_met_by(None, shown) is ("pwd" in shown and ("sms" in shown or "otp" in shown))
    assert asked.sufficient == ()


@given(st.none() | st.text() | st.integers() | st.lists(st.text()), st.none() | st.text() | st.integers())
def test_what_is_not_understood_is_not_enough(acr: object, amr: object) -> None:
    """Whatever else stands in the two claims shows nothing."""
    asked = assurance(levels=LEVELS, minimum="high", factors=[["pwd"], ["sms"]])
    assert asked.is_met_by(acr, amr) is (acr == "high")


SAML = "urn:oasis:names:tc:SAML:2.0:ac:classes:"


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ({"factors": [["pwd"]]}, True),
        ({"factors": [["pwd", "sms"], ["pin", "otp"]]}, True),
        ({"levels": [f"{SAML}PasswordProtectedTransport"], "minimum": f"{SAML}PasswordProtectedTransport"}, True),
        ({"factors": [["pwd"], ["sms", "otp"]]}, False),
        ({"factors": [["mfa"]]}, False),
        ({"levels": ["low", f"{SAML}Smartcard"], "minimum": f"{SAML}Smartcard"}, False),
    ],
)
def test_staff_by_a_password_alone(asked: dict[str, Any], refused: bool) -> None:
    """A file that lets staff in with no more than what they know is refused; with a second factor it loads."""
    table = {"issuer": "https://staff.example", "audience": "a", "jwks": "file:/nowhere", "assurance": asked}
    if refused:
        with pytest.raises(msgspec.ValidationError, match="password alone"):
            msgspec.convert(table, StaffIssuer)
    else:
        msgspec.convert(table, StaffIssuer)


@pytest.mark.parametrize(
    "token",
    [
        "http://login.example/token",
        "https://login.example",
        "https://login.example; script-src */token",
        "javascript:alert(1)//",
        "http://127.0.0.1.login.example/token",
    ],
)
def test_where_staff_log_in(token: str) -> None:
    """An address that is not https, or that could say more in the page's rules than a host, is refused."""
    Login(client_id="ops", authorization="https://login.example/a", token="http://127.0.0.1:8081/token")
    with pytest.raises(ValueError, match="login token"):
        Login(client_id="ops", authorization="https://login.example/a", token=token)


def test_the_link_to_an_alarm() -> None:
    """A link of the hospital's own must say where the message's id goes."""
    with pytest.raises(ValueError, match="must hold"):
        OnCall(email=("a@b.example",), link="https://dienst.example/")
    assert OnCall(email=("a@b.example",), link="https://dienst.example/{message}").opens_for_hours == 72
