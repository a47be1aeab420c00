"""The connections to a tenant's EPD."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from messaging_service.adapters.mllp import MllpClient, MllpPool
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants import Epd
from messaging_service.transport import require_encrypted


def epd_pool(epd: Epd) -> MllpPool:
    """The connections to one EPD, not yet made.

    Raises:
        SettingInvalid: the address is not mllp://host:port or mllps://host:port, or is unencrypted off this machine.
    """
    parts = urlsplit(epd.address)
    if parts.scheme not in ("mllp", "mllps") or not parts.hostname or not parts.port:
        raise SettingInvalid(f"[epd] address {epd.address!r} must be mllp://host:port or mllps://host:port")
    if not epd.unencrypted:
        require_encrypted("[epd] address", epd.address)
    host, port, tls = parts.hostname, parts.port, _tls(epd) if parts.scheme == "mllps" else None

    def client() -> MllpClient:
        return MllpClient(
            host,
            port,
            tls=tls,
            connect_timeout=epd.connect_timeout,
            ack_timeout=epd.ack_timeout,
            answers_twice=epd.answers_twice_here,
            ahead=epd.policy.on_unknown != "park",  # what a crash leaves unknown is parked there: one a connection
        )

    return MllpPool(tuple(client() for _ in range(epd.connections)), client())


def _tls(epd: Epd) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=epd.ca_file)
    if epd.client_certificate:
        context.load_cert_chain(epd.client_certificate, epd.client_key)
    return context
