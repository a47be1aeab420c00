"""deploy/compose.yaml: valid by the Compose specification, complete, and with nothing it does not need."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from messaging_service.cli.running import STEPS

DEPLOY = Path(__file__).parents[2] / "deploy"
SCHEMA = Path(__file__).parents[1] / "parts" / "npm" / "node_modules" / "dclint" / "schemas" / "compose.schema.json"
OURS = ("gateway-1", "gateway-2", "persist", "file", "escalate", "notify", "park", "receive", "clock", "keys")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, merged."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_it_is_valid(compose: dict[str, Any]) -> None:
    """The published schema finds no fault."""
    faults = [error.message for error in Draft7Validator(json.loads(SCHEMA.read_text())).iter_errors(compose)]
    assert faults == []


def test_every_step_is_run(compose: dict[str, Any]) -> None:
    """Two gateways, three nodes of each server, and each step that `messaging-service worker` knows."""
    commands = [compose["services"][name]["command"] for name in OURS]
    run = {step for command in commands if command[0] == "worker" for step in command if step in STEPS}
    assert {"persist", "file", "escalate", "notify", "park", "receive", "clock"} == run
    assert sum(command == ["gateway"] for command in commands) == 2
    assert {f"{server}-{number}" for server in ("rabbitmq", "mongo") for number in (1, 2, 3)} <= compose[
        "services"
    ].keys()


def test_ours_have_no_rights(compose: dict[str, Any]) -> None:
    """Nobody, on a read-only disk, without capabilities, with a bound on memory, and told to stop in time."""
    for name in OURS:
        service = compose["services"][name]
        assert service["user"] == "65534:65534", name
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["mem_limit"], name
        assert service["stop_grace_period"] == "45s", name


def test_servers_cannot_be_reached_from_outside(compose: dict[str, Any]) -> None:
    """Broker and store have no port outside and lie in a network that has no way out."""
    assert compose["networks"]["inside"] == {"internal": True}
    published = {name for name, service in compose["services"].items() if service.get("ports")}
    assert published == {"proxy", "grafana"}
    for name, service in compose["services"].items():
        if name.startswith(("rabbitmq", "mongo-")) and name != "mongo-init":
            assert list(service["networks"]) == ["inside"], name


def test_every_setting_is_one_that_is_read(compose: dict[str, Any]) -> None:
    """The variables are those of the settings and of the tenants' files; every one that these need is there."""
    given = set(compose["services"]["persist"]["environment"])
    known = {f"MESSAGING_{field.upper()}" for field in _settings()}
    assert {name for name in given if name.startswith("MESSAGING_")} <= known
    for path in (DEPLOY / "tenants").glob("*.toml"):
        needed = _variables(tomllib.loads(path.read_text()))
        assert needed <= given, path


def test_the_secrets_it_names_are_made(compose: dict[str, Any], tmp_path: Path) -> None:
    """deploy/compose/secrets makes each file that is mounted, once: a second run changes nothing."""
    made = [_make(tmp_path) for _ in range(2)]
    assert made[0] == made[1]
    for name, secret in compose["secrets"].items():
        assert made[0].get(Path(secret["file"]).name), name
    assert made[0]["broker_url"].startswith("amqps://")
    assert "tls=true" in made[0]["store_url"]
    for name in ("service", "proxy", "rabbitmq", "mongo", "grafana"):
        command = ["openssl", "verify", "-CAfile", tmp_path / "ca.pem", tmp_path / f"{name}.pem"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0, name
        assert (tmp_path / f"{name}.pem").stat().st_mode & 0o077 == 0, name


def _make(folder: Path) -> dict[str, str]:
    done = subprocess.run([DEPLOY / "compose" / "secrets", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def _settings() -> tuple[str, ...]:
    from messaging_service.config import Settings

    return Settings.__struct_fields__


def _variables(value: Any) -> set[str]:
    """The variables without a default that a tenant's file asks for."""
    if isinstance(value, dict):
        return set().union(*map(_variables, value.values()))
    if isinstance(value, list):
        return set().union(*map(_variables, value))
    text = str(value)
    return {part.partition("}")[0] for part in text.split("${")[1:] if ":-" not in part.partition("}")[0]}
