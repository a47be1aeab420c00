"""alarms: those that nobody acknowledged, acknowledging them, and trying their way."""

from __future__ import annotations

import asyncio

import click

from messaging_service.application.actors import OPERATIONS
from messaging_service.application.escalate import StoredAlarm
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.alarming import make_alarms, make_rehearsals, make_rehearse
from messaging_service.cli.console import as_json, asked_tenants, moment, print_json, print_table, with_parts
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.refusals import NotFound
from messaging_service.screening.screener import Screener

_LISTED = 1_000
_WAITS_SECONDS = 30
_BETWEEN_LOOKS = 0.25


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(alarms)


@click.group()
def alarms() -> None:
    """Alarms of urgent messages that on-call was told of."""


@alarms.command("list")
@click.option("--tenant", help="Only this hospital's.")
@as_json
def list_alarms(tenant: str | None, json_output: bool) -> None:
    """List the alarms that nobody acknowledged, oldest first."""

    async def use(parts: Parts) -> list[StoredAlarm]:
        chosen = asked_tenants(parts.tenants, tenant)
        return [alarm for one in chosen for alarm in await make_alarms(parts).open(one, _LISTED)]

    found = with_parts(use)
    if json_output:
        print_json(found)
        return
    rows = [(a.messages[0], a.tenant, moment(a.raised_at), a.counted, a.climbed) for a in found]
    print_table(("message", "tenant", "raised", "messages", "rungs told"), rows, "every alarm is acknowledged")


@alarms.command("ack")
@click.argument("messages", nargs=-1, required=True)
def acknowledge(messages: tuple[str, ...]) -> None:
    """Acknowledge the alarms of these MESSAGES: somebody has them in hand, and they climb no further."""

    async def use(parts: Parts) -> None:
        for message in messages:
            await _acknowledge(parts, message)
            click.echo(f"{message} acknowledged")

    with_parts(use)


async def _acknowledge(parts: Parts, message: str) -> None:
    for tenant in parts.tenants:
        try:
            await make_alarms(parts).acknowledge(tenant, message, OPERATIONS)
        except NotFound:
            continue
        return
    raise SettingInvalid(f"no alarm of {message}; `messaging-service alarms list` shows those there are")


@alarms.command("rehearse")
@click.argument("tenant")
def rehearse(tenant: str) -> None:
    """Try the way of TENANT's alarms now, and wait until on-call took the rehearsal. Exit status 1 when it did not."""
    failed = with_parts(lambda parts: _rehearsed(parts, tenant))
    if failed is None:
        raise click.ClickException(f"not taken within {_WAITS_SECONDS} s; does the escalate worker run?")
    if failed:
        raise click.ClickException(f"not taken by: {', '.join(failed)}")
    click.secho("on-call took the rehearsal on every channel", fg="green")


async def _rehearsed(parts: Parts, tenant: str) -> tuple[str, ...] | None:
    asked_tenants(parts.tenants, tenant)
    began, rehearsals = parts.clock(), make_rehearsals(parts)
    await make_rehearse(parts, Screener.load()).send(parts.tenants[tenant])
    for _ in range(int(_WAITS_SECONDS / _BETWEEN_LOOKS)):
        last = await rehearsals.last(tenant)
        if last is not None and last.taken_at >= began:
            return last.failed
        await asyncio.sleep(_BETWEEN_LOOKS)
    return None
