"""TLS wherever it leaves the machine: what is unencrypted is refused unless it stays on loopback."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from messaging_service.domain.errors import SettingInvalid

_ENCRYPTED = {"amqps", "mllps", "https", "mongodb+srv"}
_ON_DISK = {"embedded", "sqlite"}


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by name or by address; nothing is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_encrypted(setting: str, address: str) -> None:
    """Refuse an address (a URL) that would carry anything unencrypted off this machine.

    Raises:
        SettingInvalid: names the setting and what to use instead.
    """
    parts = urlsplit(address)
    if parts.scheme in _ENCRYPTED | _ON_DISK:
        return
    hosts = [host.rpartition("@")[2] for host in parts.netloc.split(",")]
    if all(is_loopback(_without_port(host)) for host in hosts):
        return
    if parts.scheme == "mongodb":
        asked = parse_qs(parts.query)
        if "true" in (*asked.get("tls", ()), *asked.get("ssl", ())):
            return
        raise SettingInvalid(f"{setting}: mongodb:// to another machine needs ?tls=true")
    raise SettingInvalid(f"{setting}: {parts.scheme}:// is for this machine only; use {parts.scheme}s://")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
