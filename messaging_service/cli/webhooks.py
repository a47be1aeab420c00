"""webhooks: what portals were told, told again."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.telling import make_owed_webhooks, make_webhooks
from messaging_service.cli.console import as_json, asked_tenants, print_json, with_parts


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(webhooks)


@click.group()
def webhooks() -> None:
    """What portals are told of their patients' messages."""


@webhooks.command("replay")
@click.option("--tenant", required=True, help="The hospital whose portal is told again.")
@click.option("--since", required=True, type=click.DateTime(), help="From this moment on (UTC), at most a week ago.")
@as_json
def replay(tenant: str, since: datetime, json_output: bool) -> None:
    """Tell a portal again what happened since then, and what was given up after a day.

    Each event has the webhook-id it had before. The worker step send_webhooks posts them, within a minute.
    """
    moment = int(since.replace(tzinfo=UTC).timestamp() * 1000)

    async def use(parts: Parts) -> int:
        asked_tenants(parts.tenants, tenant)
        return await make_owed_webhooks(parts, make_webhooks(parts)).replay(tenant, moment)

    found = with_parts(use)
    if json_output:
        print_json({"tenant": tenant, "events": found})
        return
    click.echo(f"{found} events will be posted again")
