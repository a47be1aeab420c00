"""serve, gateway and worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import click
import uvloop

from messaging_service import logs
from messaging_service.bootstrap import Parts, open_parts
from messaging_service.config import load_settings
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.message import Step
from messaging_service.serving import end_in_time, serve_everything, serve_gateway, serve_workers, stop_on_signals
from workers.clock import CLOCKWORK
from workers.receive import RECEIVE

CLOCK = "clock"
STEPS = [*(step.value for step in Step), RECEIVE, CLOCK, *CLOCKWORK]


def add_to(main: click.Group) -> None:
    """Add the commands."""
    for command in (serve, gateway, worker):
        main.add_command(command)


@click.command()
def serve() -> None:
    """Run the gateway and all workers in one process, for a try-out or a small practice."""
    _run("serve", serve_everything)


@click.command()
def gateway() -> None:
    """Run the HTTP gateway. Start as many as you like; they share the port given in MESSAGING_LISTEN."""
    _run("gateway", serve_gateway)


@click.command()
@click.argument("steps", type=click.Choice(STEPS), nargs=-1, required=True)
@click.option("--listen", metavar="HOST:PORT", help="Serve /health and /metrics of this process here.")
def worker(steps: tuple[str, ...], listen: str | None) -> None:
    """Run the worker of one or more STEPS.

    persist, file, escalate, notify, park, receive; clock is all that is done by the clock, which can also be named
    one by one.
    """

    async def work(parts: Parts, stop: asyncio.Event) -> None:
        queued = [Step(step) for step in steps if step not in (RECEIVE, CLOCK, *CLOCKWORK)]
        if Step.ESCALATE in queued and not parts.settings.public_url:
            raise SettingInvalid("MESSAGING_PUBLIC_URL is missing: the escalate step puts links under it into alarms")
        clockwork = CLOCKWORK if CLOCK in steps else [step for step in steps if step in CLOCKWORK]
        await serve_workers(parts, queued, stop, listen, receive=RECEIVE in steps, clockwork=clockwork)

    _run("+".join(steps), work)


def _run(name: str, serve_until: Callable[[Parts, asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)

    async def run() -> None:
        stop = stop_on_signals()
        async with open_parts(settings, name, wait=True) as parts:
            await end_in_time(serve_until(parts, stop), stop, settings.stop_seconds)

    uvloop.run(run())
