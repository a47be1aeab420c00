"""The receive step: what the EPDs send, on a listener for each tenant. It consumes no queue."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial

import structlog

from messaging_service.adapters.mllp_listener import Caps, MllpListener
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.receiving import make_receive
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants import Listener, Tenant
from messaging_service.transport import is_loopback

log = structlog.get_logger()

RECEIVE = "receive"
_DRAIN_SECONDS = 20.0


def listening(parts: Parts) -> list[Tenant]:
    """The tenants whose EPD sends to us."""
    return [tenant for tenant in parts.tenants.values() if tenant.epd.listener is not None]


async def run_listeners(parts: Parts, stop: asyncio.Event) -> None:
    """Listen for every tenant that has [epd.listener] until `stop`; messages in hand are finished.

    Raises:
        SettingInvalid: no tenant has one, or its address or certificates are wrong.
    """
    if not listening(parts):
        raise SettingInvalid("no tenant has [epd.listener] with listen = host:port: there is nothing to receive from")
    receive, listeners = make_receive(parts), []
    try:
        for tenant in listening(parts):
            assert tenant.epd.listener is not None
            table = tenant.epd.listener
            listener = MllpListener(partial(receive, tenant), caps(table), tenant=tenant.id, tls=server_tls(table))
            await _open(listener, table.listen)
            listeners.append(listener)
            log.info("listening", tenant=tenant.id, address=table.listen)
        await stop.wait()
    finally:
        await asyncio.gather(*(listener.close(_DRAIN_SECONDS) for listener in listeners))


def caps(table: Listener) -> Caps:
    """The listener's caps out of the tenant's table."""
    return Caps(
        max_frame=table.max_frame,
        idle_timeout=table.idle_timeout,
        frame_timeout=table.frame_timeout,
        connections=table.connections,
    )


def server_tls(table: Listener) -> ssl.SSLContext | None:
    """The server's side of TLS, demanding client certificates where `ca_file` says whose.

    Raises:
        SettingInvalid: unencrypted beyond this machine, or a file that cannot be read.
    """
    host, _ = _address(table.listen)
    if table.certificate is None:
        if table.ca_file is not None or not (table.unencrypted or is_loopback(host)):
            raise SettingInvalid(f"[epd.listener] {table.listen}: add certificate and key, or unencrypted = true")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(table.certificate, table.key)
        if table.ca_file is not None:
            context.load_verify_locations(table.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as problem:
        raise SettingInvalid("[epd.listener] certificate, key or ca_file cannot be read") from problem
    return context


async def _open(listener: MllpListener, address: str) -> None:
    host, port = _address(address)
    try:
        await listener.open(host, port)
    except OSError as problem:
        raise SettingInvalid(f"[epd.listener] cannot listen on {address}: {problem.strerror}") from problem


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise SettingInvalid(f"[epd.listener] listen {listen!r} must be host:port, such as 127.0.0.1:2575")
    return host.strip("[]"), int(port)
