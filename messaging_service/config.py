"""Settings from the environment and tenants from TOML files: read once, frozen.

Every error names the setting or the file and says what to do. A value `file:PATH` in a secret's place is read from that
file, so that no secret need stand in the TOML.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from messaging_service.application.topology import LADDER_MS
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants import Tenant
from messaging_service.tenants.reading import load_tenant


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one process needs to know. `broker` and `store` choose the adapters.

    `ladder_ms` is how long a message that failed by its own fault waits before each retry, as in
    MESSAGING_LADDER_MS=5000,60000,600000; every process of one service has the same.

    `stop_seconds` is how long what is in hand may take once the process was told to stop.

    `traces` is where OpenTelemetry traces go (OTLP over HTTP, a URL), `traces_ratio` the share of them that do, and
    `traces_headers` what is sent along, a `name: value` a line.
    """

    broker: str
    store: str
    store_driver: Literal["motor", "pymongo"] = "motor"
    keyring: Path
    tenants: Path
    listen: str = "127.0.0.1:8080"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    ca_file: Path | None = None
    ops_webhook: str | None = None
    smtp: str | None = None
    mail_from: str = "messaging-service@localhost"
    max_body: Annotated[int, Meta(ge=1)] = 16_384
    ladder_ms: tuple[int, ...] = LADDER_MS
    public_url: str = ""
    stop_seconds: Annotated[float, Meta(gt=0)] = 35.0
    traces: str | None = None
    traces_ratio: Annotated[float, Meta(ge=0, le=1)] = 1.0
    traces_ca_file: Path | None = None
    traces_headers: str = ""
    log_format: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings from MESSAGING_* variables; one that is empty counts as not set, and so does an empty file.

    Raises:
        SettingInvalid: a variable is missing or malformed; the message names it.
    """
    given = {
        field.name: environment[variable]
        for field in msgspec.structs.fields(Settings)
        if environment.get(variable := f"MESSAGING_{field.name.upper()}")
    }
    values: dict[str, object] = {**given}
    if "ladder_ms" in given:
        values["ladder_ms"] = given["ladder_ms"].split(",")
    try:
        settings = msgspec.convert(values, Settings, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as problem:
        raise SettingInvalid(_as_variable(str(problem))) from problem
    settings = msgspec.structs.replace(
        settings,
        broker=read_secret(settings.broker),
        store=read_secret(settings.store),
        ops_webhook=read_secret(settings.ops_webhook or "") or None,
        smtp=read_secret(settings.smtp or "") or None,
    )
    _check_scheme("MESSAGING_BROKER", settings.broker, ("embedded", "amqp", "amqps"))
    _check_scheme("MESSAGING_STORE", settings.store, ("sqlite", "mongodb", "mongodb+srv"))
    if min(settings.ladder_ms) < 1:
        raise SettingInvalid("MESSAGING_LADDER_MS must be milliseconds above 0, such as 5000,60000,600000")
    return settings


def _as_variable(problem: str) -> str:
    return re.sub(
        r"(?:`\$\.|required field `)(\w+)(?:\[\d+\])?`", lambda found: f"MESSAGING_{found[1].upper()}", problem
    )


def _check_scheme(variable: str, value: str, schemes: tuple[str, ...]) -> None:
    if urlsplit(value).scheme not in schemes:
        raise SettingInvalid(f"{variable} must begin with one of: {', '.join(s + ':' for s in schemes)}")


def load_tenants(folder: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Tenant]:
    """Every `*.toml` in `folder`, by tenant id.

    Raises:
        SettingInvalid: no file, a file that does not parse, or two files with the same id.
    """
    tenants: dict[str, Tenant] = {}
    for path in sorted(folder.glob("*.toml")):
        tenant = load_tenant(path, environment)
        if tenant.id in tenants:
            raise SettingInvalid(f"{path}: tenant id {tenant.id!r} is used by another file as well")
        tenants[tenant.id] = tenant
    if not tenants:
        raise SettingInvalid(f"MESSAGING_TENANTS: no *.toml in {folder}")
    return tenants


def read_secret(value: str) -> str:
    """The secret itself: `file:PATH` is read (trailing newline dropped), anything else is the secret.

    Raises:
        SettingInvalid: the file cannot be read.
    """
    if not value.startswith("file:"):
        return value
    try:
        return Path(value.removeprefix("file:")).read_text("utf-8").rstrip("\n")
    except OSError as problem:
        raise SettingInvalid(f"secret {value}: {problem.strerror}") from problem
    except UnicodeDecodeError:  # its exception carries what was read
        raise SettingInvalid(f"secret {value}: not text in UTF-8") from None
