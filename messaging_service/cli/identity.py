"""logins: how many logged in, a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from messaging_service.application.logins import DayOfLogins
from messaging_service.bootstrap import Parts
from messaging_service.cli.console import as_json, print_json, print_table, with_parts
from messaging_service.domain.errors import SettingInvalid


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(logins)


@click.command()
@click.option("--tenant", help="Of this tenant alone.")
@click.option("--days", type=click.IntRange(1, 3_660), default=7, show_default=True, help="How many days back.")
@as_json
def logins(tenant: str | None, days: int, json_output: bool) -> None:
    """How many patients, representatives and staff logged in, a day and tenant, today first.

    One login counts once, however many tokens and requests come of it. Days are in the tenant's time zone.
    """

    async def use(parts: Parts) -> dict[str, list[DayOfLogins]]:
        if tenant is not None and tenant not in parts.tenants:
            raise SettingInvalid(f"--tenant {tenant}: there is no such tenant; there are {', '.join(parts.tenants)}")
        register, counted = parts.logins(), {}
        for one in parts.tenants.values():
            if tenant in (None, one.id):
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
