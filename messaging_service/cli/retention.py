"""retention: what is past its term."""

from __future__ import annotations

import click

from messaging_service.application.retain import Retained
from messaging_service.application.retention_rules import KEPT
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.keeping import make_retain
from messaging_service.cli.console import as_json, moment, print_json, print_table, with_parts


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(retention)


@click.command()
@click.option("--dry-run", is_flag=True, help="Count what would go; remove nothing.")
@as_json
def retention(dry_run: bool, json_output: bool) -> None:
    """Remove what is past the terms in [retention], as the worker step `retain` does every minute, and report it.

    A round takes a few thousand of each kind; run it again for more. Messages that the EPD has not filed are spared.
    """

    async def use(parts: Parts) -> list[Retained]:
        retain = make_retain(parts)
        return await (retain.count() if dry_run else retain())

    found = with_parts(use)
    if json_output:
        return print_json({"dry_run": dry_run, "terms": found, "no_term": KEPT})
    columns = ("tenant", "what", "days", "before", "due", "removed", "spared")
    rows = [
        (each.tenant or "(all)", each.collection, each.days, moment(each.before), each.due, each.removed, each.spared)
        for each in found
    ]
    print_table(columns, rows, "no tenants")
    return print_table(("what", "why it has no term"), list(KEPT.items()), "")
