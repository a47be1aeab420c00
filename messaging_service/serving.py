"""Running things: the gateway on its socket, worker steps beside it, until a signal says stop."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

import structlog
from aiohttp import web

from messaging_service.adapters.export_pdf import PdfExport
from messaging_service.adapters.identity import TokenVerifier
from messaging_service.application.journal import Journal
from messaging_service.application.logins import Logins
from messaging_service.application.overview import Recent
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.administering import (
    make_accept_terms,
    make_administer,
    make_key_sets,
    make_logins,
    make_personal_data,
    make_represent,
)
from messaging_service.bootstrap.alarming import make_alarms, make_rehearse
from messaging_service.bootstrap.conversing import (
    make_converse,
    make_export,
    make_mark_handled,
    make_reader,
    make_recipients,
    make_submit,
)
from messaging_service.bootstrap.keeping import make_break_glass, make_read_access_log
from messaging_service.bootstrap.operating import (
    make_ages,
    make_behind,
    make_journey,
    make_mend,
    make_overview,
    make_samples,
)
from messaging_service.bootstrap.telling import (
    make_allowances,
    make_email_notices,
    make_event_tickets,
    make_follow,
    make_signs,
)
from messaging_service.config import Settings
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.message import Step
from messaging_service.gateway.app import build_app
from messaging_service.gateway.connection import GatewayRunner
from messaging_service.gateway.context import Context, Operations
from messaging_service.gateway.cursors import Cursors
from messaging_service.gateway.health import Checks, add_routes
from messaging_service.screening.screener import Screener
from messaging_service.transport import is_loopback
from workers.clock import CLOCKWORK, again_and_again, run_clockwork
from workers.process import run_steps
from workers.receive import listening, run_listeners
from workers.vitals import keep_vitals

log = structlog.get_logger()

_HIGHEST_PORT = 65_535
_DRAIN_SECONDS = 20.0
_BACKLOG = 4_096
"""Connections that wait to be taken: everybody whose gateway went away comes back within seconds."""


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def end_in_time(work: Coroutine[Any, Any, None], stop: asyncio.Event, seconds: float) -> None:
    """Run `work`, which ends by itself after `stop`; what has not ended `seconds` later is broken off.

    A delivery that is broken off goes back to its queue, a request gets no answer, and a sending to the EPD is of
    unknown outcome: all of it is done again under the same ids, as after a crash.
    """
    running, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            log.info("stopping")
            await asyncio.wait({running}, timeout=seconds)
        if not running.done():
            log.warning("stop_broke_off", setting="MESSAGING_STOP_SECONDS")
            running.cancel()
            await asyncio.wait({running})
    finally:
        stopped.cancel()
        running.cancel()
    if not running.cancelled():
        running.result()


async def serve_gateway(parts: Parts, stop: asyncio.Event) -> None:
    """Run a gateway process until `stop`."""
    await _together(stop, _serve_api(parts, stop), keep_vitals(parts, stop))


async def _serve_api(parts: Parts, stop: asyncio.Event) -> None:
    """Serve the HTTP API until `stop`; requests under way are finished, then the journal is closed."""
    journal = Journal(parts.store, parts.clock)
    logins = make_logins(parts)
    screener = Screener.load()
    app = build_app(_context(parts, journal, logins, screener))
    written = asyncio.Event()
    keeping = [asyncio.create_task(register.keep(written)) for register in (journal, logins)]
    keeping.append(asyncio.create_task(again_and_again("rehearse_alarms", make_rehearse(parts, screener), written)))
    try:
        await serve_app(app, parts.settings, parts.settings.listen, stop)
    finally:
        written.set()
        await asyncio.gather(*keeping)


def _context(parts: Parts, journal: Journal, logins: Logins, screener: Screener) -> Context:
    allowances = make_allowances(parts)
    reader = make_reader(parts)
    return Context(
        submit=make_submit(parts, screener, journal, allowances),
        reader=reader,
        converse=make_converse(parts, reader),
        recipients=make_recipients(parts),
        cursors=Cursors(parts.keyring),
        break_glass=make_break_glass(parts),
        alarms=make_alarms(parts),
        tenants=parts.tenants,
        mark_handled=make_mark_handled(parts),
        export=make_export(parts, reader),
        pdf=PdfExport(),
        operations=Operations(
            Recent(make_overview(parts), parts.clock),
            make_samples(parts),
            make_journey(parts),
            make_behind(parts),
            make_mend(parts),
        ),
        follow=make_follow(parts),
        signs=make_signs(parts),
        event_tickets=make_event_tickets(parts),
        administer=make_administer(parts),
        personal_data=make_personal_data(parts),
        email_notices=make_email_notices(parts),
        represent=make_represent(parts),
        accept_terms=make_accept_terms(parts),
        read_access_log=make_read_access_log(parts),
        logins=logins,
        verifier=TokenVerifier(
            parts.tenants,
            parts.http,
            parts.clock,
            count=parts.metrics.token,
            register=logins.seen,
            shelf=make_key_sets(parts),
        ),
        checks=checks(parts),
        metrics=parts.metrics,
        allowances=allowances,
        max_body=parts.settings.max_body,
        public_url=parts.settings.public_url.rstrip("/"),
        clock=parts.clock,
        traces=parts.traces,
    )


def checks(parts: Parts) -> Checks:
    """What the health and metrics routes of this process look at."""
    return Checks(parts.broker, parts.store, parts.metrics, make_ages(parts), parts.queues)


async def serve_workers(
    parts: Parts,
    steps: Sequence[Step],
    stop: asyncio.Event,
    listen: str | None,
    *,
    receive: bool = False,
    clockwork: Sequence[str] = (),
) -> None:
    """Run worker steps until `stop`, the EPDs' listeners with `receive`, and what the clock asks for.

    Health and metrics are on `listen`.
    """
    running = [run_steps(parts, steps, stop)] if steps else []
    if receive:
        running.append(run_listeners(parts, stop))
    if clockwork:
        running.append(run_clockwork(parts, clockwork, stop))
    if listen is not None:
        app = web.Application()
        add_routes(app, checks(parts))
        running.append(serve_app(app, parts.settings, listen, stop))
    await _together(stop, *running, keep_vitals(parts, stop))


async def serve_everything(parts: Parts, stop: asyncio.Event) -> None:
    """Gateway, listeners and all worker steps in one process.

    The gateway and the listeners stop first, so that what they took is worked off.
    """
    workers_stop = asyncio.Event()

    async def inlets() -> None:
        listeners = [run_listeners(parts, stop)] if listening(parts) else []
        try:
            await _together(stop, _serve_api(parts, stop), *listeners)
        finally:
            workers_stop.set()

    clockwork = run_clockwork(parts, CLOCKWORK, stop)
    await _together(stop, inlets(), run_steps(parts, list(Step), workers_stop), clockwork, keep_vitals(parts, stop))


async def _together(stop: asyncio.Event, *parts: Awaitable[None]) -> None:
    """Run all; when one fails the others are told to stop."""

    async def watched(part: Awaitable[None]) -> None:
        try:
            await part
        finally:
            stop.set()

    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(watched(part))


async def serve_app(app: web.Application, settings: Settings, address: str, stop: asyncio.Event) -> None:
    """Serve until `stop`; then nobody else gets in, and requests under way are finished."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise SettingInvalid(f"listen address {address!r} (MESSAGING_LISTEN) must be host:port, such as 127.0.0.1:8080")
    tls = _tls(settings)
    if tls is None and not is_loopback(host):
        raise SettingInvalid(f"{address} is not loopback: set MESSAGING_TLS_CERTIFICATE and MESSAGING_TLS_KEY")
    runner = GatewayRunner(app, access_log=None, shutdown_timeout=min(_DRAIN_SECONDS, settings.stop_seconds))
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, int(port), reuse_port=True, ssl_context=tls, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as problem:
            raise SettingInvalid(f"listen address {address} (MESSAGING_LISTEN): {problem.strerror}") from problem
        log.info("listening", address=address)
        await stop.wait()
    finally:
        await runner.cleanup()


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as problem:
        raise SettingInvalid("MESSAGING_TLS_CERTIFICATE or MESSAGING_TLS_KEY cannot be read") from problem
    return context
