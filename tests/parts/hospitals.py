"""The shipped tenants as tests need them: their own files, with short time-outs, mail for on-call and a portal.

Patients log in and write without accepting terms first, unless a test asks for the terms as shipped, and without a
treatment relation.
"""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

TENANTS = Path(__file__).resolve().parents[2] / "deploy" / "tenants"
SECRET = "whsec_dGVzdHMtb25seS1zZWNyZXQtb2YtZXZlcnktd2ViaG9vaw=="
ON_CALL_MAIL = "dienst@hospital.invalid"

_FOR_TESTS: dict[str, Any] = {
    "accounts": {"opening": "first_login"},
    "routing": {"first_contact": True},
    "terms": [],
    "epd": {"connect_timeout": 1.0, "ack_timeout": 1.5},
    "on_call": {"email": [ON_CALL_MAIL]},
    "portal": {"webhook": "${PORTAL}", "secret": SECRET, "loopback": True},
    "limits": {
        "messages_per_hour": 100_000,
        "bytes_per_hour": 10**9,
        "requests_per_minute": 100_000,
        "client": {"messages_per_minute": 10**6, "bytes_per_minute": 10**9, "urgent_per_minute": 10**6},
    },
}
_PARKS_WHAT_IS_UNKNOWN = {"epd": {"policy": {"on_unknown": "park"}}}


def write_tenants(folder: Path, *, parks_unknown: str = "sein") -> list[str]:
    """The shipped tenants into `folder`; returns their ids.

    After *sent, acknowledgement unknown* the tenant `parks_unknown` parks, the others send again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = sorted(TENANTS.glob("*.toml"))
    for path in files:
        tenant = tomllib.loads(path.read_text("utf-8"))
        _merge(tenant, _FOR_TESTS)
        _merge(tenant, {"epd": {"listener": {"listen": f"${{{tenant['id'].upper()}_LISTEN:-127.0.0.1:0}}"}}})
        if tenant["id"] == parks_unknown:
            _merge(tenant, _PARKS_WHAT_IS_UNKNOWN)
        (folder / path.name).write_text(as_toml(tenant), "utf-8")
    return [path.stem for path in files]


def as_toml(tenant: dict[str, Any]) -> str:
    """A tenant's file; strings that name environment variables stay as they are."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in tenant.items())


def _merge(table: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict):
            _merge(table.setdefault(key, {}), value)
        else:
            table[key] = value


def _toml(value: Any) -> str:
    """Tables inline, everything else as JSON writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)
