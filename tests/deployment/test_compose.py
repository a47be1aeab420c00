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
CERTIFICATES = ("service", "metrics", "grafana", "proxy", "rabbitmq", "mongo")
DEFAULTS = ("STORE_DRIVER", "MAX_BODY", "LADDER_MS", "STOP_SECONDS", "LOG_FORMAT", "LOG_LEVEL")
EMPTY = ("ops_webhook", "smtp", "traces_headers")
"""What a hospital fills in when it has it."""
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
    """The variables are those of the settings and of the tenants' files; every one that these need is there.

    What may hold a password is given by file, and mounted; what a machine is not asked for here has its default.
    """
    given = set(compose["services"]["persist"]["environment"])
    known = {f"MESSAGING_{field.upper()}" for field in _settings()}
    assert {name for name in given if name.startswith("MESSAGING_")} <= known
    assert known - given == {f"MESSAGING_{name}" for name in DEFAULTS}
    environment = compose["services"]["persist"]["environment"]
    for name in ("BROKER", "STORE", "OPS_WEBHOOK", "SMTP", "TRACES_HEADERS"):
        kind, _, path = environment[f"MESSAGING_{name}"].partition(":/run/secrets/")
        assert kind == "file", name
        assert path in compose["services"]["persist"]["secrets"], name
    for path in (DEPLOY / "tenants").glob("*.toml"):
        needed = _variables(tomllib.loads(path.read_text()))
        assert needed <= given, path


def test_the_secrets_it_names_are_made(compose: dict[str, Any], tmp_path: Path) -> None:
    """deploy/compose/secrets makes each file that is mounted, once: a second run changes nothing."""
    made = [_make(tmp_path) for _ in range(2)]
    assert made[0] == made[1]
    for name, secret in compose["secrets"].items():
        assert bool(made[0][Path(secret["file"]).name]) == (name not in EMPTY), name
    assert made[0]["broker_url"].startswith("amqps://")
    assert "tls=true" in made[0]["store_url"]
    for name in CERTIFICATES:
        command = ["openssl", "verify", "-CAfile", tmp_path / "ca.pem", tmp_path / f"{name}.pem"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0, name
        assert (tmp_path / f"{name}.pem").stat().st_mode & 0o077 == 0, name


def test_an_authority_that_cannot_sign_is_named(tmp_path: Path) -> None:
    """With the hospital's ca.pem alone it says which certificates are missing, and leaves nothing half made."""
    whole = tmp_path / "whole"
    _make(whole)
    (tmp_path / "ca.pem").write_bytes((whole / "ca.pem").read_bytes())
    for name in CERTIFICATES[1:]:
        for ending in ("pem", "key"):
            (tmp_path / f"{name}.{ending}").write_bytes((whole / f"{name}.{ending}").read_bytes())
    before = sorted(tmp_path.iterdir())
    command = [str(DEPLOY / "compose" / "secrets"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, sorted(tmp_path.iterdir())) == (1, before)
    assert "no ca.key" in done.stderr
    assert "NAME.key for: service; or" in done.stderr
    for ending in ("pem", "key"):
        (tmp_path / f"service.{ending}").write_bytes((whole / f"service.{ending}").read_bytes())
    assert _make(tmp_path)["service.pem"] == (whole / "service.pem").read_text()


def test_nothing_between_servers_is_in_the_clear(compose: dict[str, Any]) -> None:
    """RabbitMQ's nodes, Prometheus, Alertmanager and Grafana speak TLS to each other, and check it."""
    dashboards = DEPLOY / "dashboards"
    prometheus = yaml.safe_load((dashboards / "prometheus.yml").read_text())
    for asked in (*prometheus["alerting"]["alertmanagers"], *prometheus["scrape_configs"]):
        assert (asked["scheme"], asked["tls_config"]) == ("https", {"ca_file": "/run/secrets/ca.pem"})
    for name in ("prometheus", "alertmanager"):
        assert f"--web.config.file=/etc/{name}/web.yml" in compose["services"][name]["command"]
        assert f"./dashboards/web.yml:/etc/{name}/web.yml:ro" in compose["services"][name]["volumes"]
    (source,) = yaml.safe_load((dashboards / "grafana/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"].startswith("https://")
    assert "tlsSkipVerify" not in source["jsonData"]
    assert "ca.pem" in compose["services"]["grafana"]["secrets"]
    for number in (1, 2, 3):
        node = compose["services"][f"rabbitmq-{number}"]
        assert "-proto_dist inet_tls" in node["environment"]["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"]
        assert "-proto_dist inet_tls" in node["environment"]["RABBITMQ_CTL_ERL_ARGS"]
        assert "./compose/inter_node_tls.config:/etc/rabbitmq/inter_node_tls.config:ro" in node["volumes"]


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
