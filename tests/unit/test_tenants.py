"""Tenants' files: the shipped ones load, and every mistake names the file and the place."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from messaging_service.config import load_tenants
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants.reading import load_tenant

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "tenants"
ENVIRONMENT = {
    f"{tenant}_{name}": value
    for tenant in ("SPIJKENISSE", "SEIN")
    for name, value in {
        "ISSUER": "https://issuer.invalid",
        "JWKS": "file:/nowhere",
        "STAFF_ISSUER": "https://staff.invalid",
        "STAFF_JWKS": "file:/nowhere",
        "EPD": "mllp://127.0.0.1:2575",
        "ON_CALL": "https://on-call.invalid",
        "ON_CALL_SECRET": "whsec_eA==",
    }.items()
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped files."""
    for path in SHIPPED.glob("*.toml"):
        (tmp_path / path.name).write_text(path.read_text("utf-8"), "utf-8")
    return tmp_path


def changed(folder: Path, old: str, new: str, name: str = "spijkenisse.toml") -> Path:
    """One file with something replaced in it."""
    path = folder / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    return path


def refused(path: Path) -> str:
    """Why the file is refused; fails the test when it is not, or when the error does not name the file."""
    with pytest.raises(SettingInvalid) as raised:
        load_tenant(path, ENVIRONMENT)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_the_shipped_tenants(folder: Path) -> None:
    """Both load, by their ids, with what the terms of each say about answers."""
    tenants = load_tenants(folder, ENVIRONMENT)
    assert set(tenants) == {"spijkenisse", "sein"}
    assert (tenants["spijkenisse"].reply.days, tenants["spijkenisse"].reply.count) == (3, "working")
    assert tenants["sein"].reply.count == "calendar"
    assert str(tenants["sein"].zone) == "Europe/Amsterdam"


def test_variables_are_filled_in(folder: Path) -> None:
    """`${NAME}` is the environment's, `${NAME:-value}` has a default that a variable replaces."""
    assert load_tenants(folder, ENVIRONMENT)["sein"].epd.address == "mllp://127.0.0.1:2575"
    assert load_tenants(folder, ENVIRONMENT)["sein"].telephone == "023 558 8000"
    given = {**ENVIRONMENT, "SEIN_TELEPHONE": "030 000 0000"}
    assert load_tenants(folder, given)["sein"].telephone == "030 000 0000"


def test_a_variable_that_is_not_set(folder: Path) -> None:
    """The message names the file and the variable to set."""
    without = {name: value for name, value in ENVIRONMENT.items() if name != "SEIN_EPD"}
    with pytest.raises(SettingInvalid, match=r"sein\.toml:\d+: epd\.address: set the environment variable SEIN_EPD"):
        load_tenants(folder, without)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("telephone = ", "telefoon = ", "telefoon"),
        ("[identity]", "[identiteit]", "identiteit"),
        ('document_type = ["PN"]', 'document_typ = ["PN"]', "document_typ"),
        ("[on_call]", '[epd.policy]\non_unkown = "park"\n[on_call]', "epd.policy.on_unkown"),
        ("[on_call]", '[[epd.policy.rules]]\ncodes = ["AA"]\naction = "filed"\ncapp = 1\n[on_call]', "rules[0].capp"),
        ("days = 3", 'days = "three"', "reply.days"),
        ("days = 3", "days = 0", "reply.days"),
        ('count = "working"', 'count = "business"', "reply.count"),
        ('id = "spijkenisse"', 'id = "Spijkenisse MC"', "id"),
        ('triage_desk = "triage"', 'triage_desk = "balie"', "care team 'balie'"),
        ('care_team = "cardiology" }', 'care_team = "hart" }', "care team 'hart'"),
        ('department = "gynaecology" }', 'department = "vrouwen" }', "department 'vrouwen'"),
        ('time_zone = "Europe/Amsterdam"', 'time_zone = "Europe/Amsterdm"', "time_zone 'Europe/Amsterdm'"),
        ('time_zone = "Europe/Amsterdam"', 'time_zone = "../etc"', "time_zone '../etc'"),
        ('"${SPIJKENISSE_EPD}"', '"host:2575"', "mllp://host:port"),
        ('"${SPIJKENISSE_EPD}"', '"mllp://host"', "mllp://host:port"),
        ('"${SPIJKENISSE_EPD}"', '"mllp://host:abc"', "epd"),
        ('webhook = "${SPIJKENISSE_ON_CALL}"', "", "on_call needs a webhook"),
        ("[reply]", "[reply", "line"),
        ("access_log_years = 20", "access_log_years = 4", "retention.access_log_years: Expected `int` >= 5"),
        ("access_log_years = 20", "record_years = 19", "retention.record_years: Expected `int` >= 20"),
        ("access_log_years = 20", "evidence_years = 1", "retention.evidence_years: evidence_years must not"),
    ],
)
def test_a_mistake_is_named(folder: Path, old: str, new: str, says: str) -> None:
    """A misspelt key, a wrong value, a team that does not exist, no TOML at all: the file and the place."""
    assert says in refused(changed(folder, old, new))


def test_cover_by_an_unknown_team(folder: Path) -> None:
    """A team covered by one that is not listed would send messages nowhere."""
    assert "care team 'nobody'" in refused(changed(folder, 'cover = "coordination"', 'cover = "nobody"', "sein.toml"))


def test_two_files_with_one_id(folder: Path) -> None:
    """The second is refused, by name."""
    changed(folder, 'id = "spijkenisse"', 'id = "sein"')
    with pytest.raises(SettingInvalid, match=r"spijkenisse\.toml: tenant id 'sein' is used by another file"):
        load_tenants(folder, ENVIRONMENT)


@pytest.mark.parametrize("name", ["", "missing"])
def test_no_tenants_at_all(tmp_path: Path, name: str) -> None:
    """An empty or a missing folder is an error that names the variable."""
    with pytest.raises(SettingInvalid, match="MESSAGING_TENANTS"):
        load_tenants(tmp_path / name, ENVIRONMENT)


def test_a_file_in_another_encoding(folder: Path) -> None:
    """A file saved as Latin-1 is refused by name, not read wrongly."""
    path = folder / "spijkenisse.toml"
    path.write_bytes(path.read_text("utf-8").replace("Triagebalie", "Balie één").encode("latin-1", "replace"))
    refused(path)


def test_no_shipped_file_holds_a_secret() -> None:
    """Secrets come from variables or files, never from the TOML itself."""
    for path in SHIPPED.glob("*.toml"):
        assert tomllib.loads(path.read_text("utf-8"))["on_call"]["secret"].startswith("${")
