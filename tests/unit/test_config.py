"""Settings: read from the environment, and every error names the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from messaging_service.application.topology import LADDER_MS
from messaging_service.config import load_settings, read_secret
from messaging_service.domain.errors import SettingInvalid

NEEDED = {
    "MESSAGING_BROKER": "embedded:/q",
    "MESSAGING_STORE": "sqlite:/d",
    "MESSAGING_KEYRING": "/keys",
    "MESSAGING_TENANTS": "/tenants",
}


def test_the_needed_four_are_enough() -> None:
    """All else has a default."""
    settings = load_settings(NEEDED)
    assert (settings.broker, settings.store) == ("embedded:/q", "sqlite:/d")
    assert (settings.keyring, settings.tenants) == (Path("/keys"), Path("/tenants"))
    assert (settings.listen, settings.store_driver, settings.ladder_ms) == ("127.0.0.1:8080", "motor", LADDER_MS)


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("variable", list(NEEDED))
def test_a_missing_variable_is_named(variable: str, empty: bool) -> None:
    """Not set, or set to nothing as compose files do: the same error, with the variable's name."""
    given = {**NEEDED, variable: ""} if empty else {name: value for name, value in NEEDED.items() if name != variable}
    with pytest.raises(SettingInvalid, match=variable):
        load_settings(given)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MESSAGING_BROKER", "redis://host"),
        ("MESSAGING_BROKER", "host:5672"),
        ("MESSAGING_STORE", "postgres://host"),
        ("MESSAGING_STORE_DRIVER", "other"),
        ("MESSAGING_MAX_BODY", "lots"),
        ("MESSAGING_LOG_LEVEL", "loud"),
        ("MESSAGING_LOG_FORMAT", "xml"),
        ("MESSAGING_LADDER_MS", "5000,soon"),
        ("MESSAGING_LADDER_MS", "5000,0"),
        ("MESSAGING_LADDER_MS", ","),
    ],
)
def test_a_malformed_variable_is_named(variable: str, value: str) -> None:
    """The message names the variable and no other, whatever is wrong with it."""
    with pytest.raises(SettingInvalid, match=variable) as raised:
        load_settings({**NEEDED, variable: value})
    assert str(raised.value).count("MESSAGING_") == 1


def test_the_ladder_is_a_list_of_milliseconds() -> None:
    """MESSAGING_LADDER_MS replaces the rungs."""
    assert load_settings({**NEEDED, "MESSAGING_LADDER_MS": "1,20,300"}).ladder_ms == (1, 20, 300)


def test_an_address_with_a_password_may_lie_in_a_file(tmp_path: Path) -> None:
    """Broker and store may be `file:PATH`; what is read there is checked like the rest."""
    (tmp_path / "broker").write_text("amqps://user:pw@host\n")
    assert load_settings({**NEEDED, "MESSAGING_BROKER": f"file:{tmp_path}/broker"}).broker == "amqps://user:pw@host"
    (tmp_path / "broker").write_text("redis://user:pw@host")
    with pytest.raises(SettingInvalid, match="MESSAGING_BROKER") as raised:
        load_settings({**NEEDED, "MESSAGING_BROKER": f"file:{tmp_path}/broker"})
    assert "pw" not in str(raised.value)


def test_what_operations_need_may_be_given_by_file(tmp_path: Path) -> None:
    """Webhook and mail may be `file:PATH`, as both may hold a password; an empty file counts as not set."""
    (tmp_path / "webhook").write_text("https://operations.example/alerts\n")
    (tmp_path / "smtp").write_text("\n")
    given = {"MESSAGING_OPS_WEBHOOK": f"file:{tmp_path}/webhook", "MESSAGING_SMTP": f"file:{tmp_path}/smtp"}
    settings = load_settings({**NEEDED, **given})
    assert (settings.ops_webhook, settings.smtp) == ("https://operations.example/alerts", None)


def test_settings_are_frozen() -> None:
    """Read once: nobody changes them afterwards."""
    settings = load_settings(NEEDED)
    with pytest.raises(AttributeError):
        settings.broker = "embedded:/other"  # type: ignore[misc]


def test_a_secret_is_itself_or_a_files_content(tmp_path: Path) -> None:
    """`file:` is read and its last newline dropped; anything else is the secret."""
    (tmp_path / "secret").write_text("whsec_x\n")
    assert read_secret("whsec_y") == "whsec_y"
    assert read_secret(f"file:{tmp_path}/secret") == "whsec_x"


def test_a_secret_that_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    """Missing, or no text: the path is named, the bytes are not shown."""
    with pytest.raises(SettingInvalid, match="secret file:/nowhere: No such file"):
        read_secret("file:/nowhere")
    (tmp_path / "binary").write_bytes(b"\xffsecret")
    with pytest.raises(SettingInvalid, match="not text in UTF-8") as raised:
        read_secret(f"file:{tmp_path}/binary")
    assert raised.value.__cause__ is None
