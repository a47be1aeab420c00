"""logins and openings: how many logged in, and which messages on-call opened, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from messaging_service.application.logins import DayOfLogins
from messaging_service.application.openings import Account, Opening
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.administering import make_logins
from messaging_service.bootstrap.keeping import make_openings
from messaging_service.cli.console import as_json, asked_tenants, moment, print_json, print_table, with_parts
from messaging_service.tenants import Tenant


def add_to(main: click.Group) -> None:
    """Add the commands."""
    for command in (logins, openings):
        main.add_command(command)


def _asked_for(parts: Parts, tenant: str | None) -> list[Tenant]:
    return [parts.tenants[one] for one in asked_tenants(parts.tenants, tenant)]


@click.command()
@click.option("--tenant", help="Of this tenant alone.")
@click.option("--days", type=click.IntRange(1, 3_660), default=7, show_default=True, help="How many days back.")
@as_json
def logins(tenant: str | None, days: int, json_output: bool) -> None:
    """How many patients, representatives and staff logged in, a day and tenant, today first.

    One login counts once, however many tokens and requests come of it. Days are in the tenant's time zone.
    """

    async def use(parts: Parts) -> dict[str, list[DayOfLogins]]:
        register, counted = make_logins(parts), {}
        for one in _asked_for(parts, tenant):
            today = datetime.fromtimestamp(parts.clock() / 1000, UTC).astimezone(one.zone).date()
            counted[one.id] = await register.per_day(one.id, [today - timedelta(days=back) for back in range(days)])
        return counted

    counted = with_parts(use)
    if json_output:
        print_json(counted)
        return
    rows = [
        (name, day.day, day.patients, day.representatives, day.staff)
        for name, found in counted.items()
        for day in found
    ]
    print_table(("tenant", "day", "patients", "representatives", "staff"), rows, "no tenants")


@click.command()
@click.option("--tenant", help="Of this tenant alone.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many of a tenant's.")
@as_json
def openings(tenant: str | None, limit: int, json_output: bool) -> None:
    """Which urgent messages on-call opened, who did and why; the newest first.

    The reason may say something of the patient. That you look is written into the access log.
    """

    async def use(parts: Parts) -> list[Opening]:
        return [
            opening for one in _asked_for(parts, tenant) for opening in await make_openings(parts).last(one.id, limit)
        ]

    found = with_parts(use)
    if json_output:
        print_json(found)
        return
    rows = []
    for one in found:
        who = one.account or Account("destroyed with the patient's key", "", "")
        rows.append((moment(one.at), one.tenant, one.message, who.name, who.subject, who.reason))
    print_table(("opened", "tenant", "message", "by", "subject", "why"), rows, "nothing was opened")
