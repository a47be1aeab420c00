"""Traces, where the settings ask for them; the library is imported only then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from messaging_service.application.ports import Traces
from messaging_service.config import Settings, read_secret
from messaging_service.domain.errors import SettingInvalid
from messaging_service.transport import require_encrypted


def traces_of(
    settings: Settings, process: str, lost: Callable[[str, int], None], closing: AsyncExitStack
) -> Traces | None:
    """What tells the traces of this process, or None: there are none. `lost` counts spans that could not be told.

    Raises:
        SettingInvalid: a MESSAGING_TRACES… setting is wrong, or would send unencrypted off this machine.
    """
    if settings.traces is None:
        return None
    if urlsplit(settings.traces).scheme not in ("http", "https"):
        raise SettingInvalid("MESSAGING_TRACES must be a URL such as https://collector.hospital.example:4318")
    require_encrypted("MESSAGING_TRACES", settings.traces)
    if settings.traces_ca_file is not None and not settings.traces_ca_file.is_file():
        raise SettingInvalid(f"MESSAGING_TRACES_CA_FILE={settings.traces_ca_file}: no such file")
    from messaging_service.adapters.otlp import OtlpTraces

    traces = OtlpTraces(
        settings.traces,
        process=process,
        messaging_system="rabbitmq" if settings.broker.startswith("amqp") else "sqlite",
        ratio=settings.traces_ratio,
        ca_file=settings.traces_ca_file,
        headers=_headers(read_secret(settings.traces_headers)),
        lost=lost,
    )
    closing.callback(traces.close)
    return traces


def _headers(lines: str) -> dict[str, str]:
    pairs = [line.partition(":") for line in lines.splitlines() if line.strip()]
    if not all(name.strip() and colon for name, colon, _ in pairs):
        raise SettingInvalid("MESSAGING_TRACES_HEADERS must hold a `name: value` a line")
    return {name.strip(): value.strip() for name, _, value in pairs}
