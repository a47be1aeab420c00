"""doctor: everything that the service stands on is tried, and each fault says what to do."""

from __future__ import annotations

import asyncio
import sys

import click

from messaging_service.bootstrap.doctor import Finding, Health, examine
from messaging_service.cli.console import as_json, print_json

_SIGNS = {Health.GOOD: ("✓", "green"), Health.ADVICE: ("–", "yellow"), Health.FAULT: ("✗", "red")}


def add_to(main: click.Group) -> None:
    """Add the command."""
    main.add_command(doctor)


@click.command()
@as_json
def doctor(json_output: bool) -> None:
    """Try settings, keys, store, broker, clock, EPDs, mail and webhooks, and say for each fault what to do.

    Nothing is changed and nobody is told. Exit status 1 when there is a fault.
    """
    found = asyncio.run(_examined(json_output))
    if json_output:
        print_json(found)
    faults = sum(finding.health is Health.FAULT for finding in found)
    if not json_output:
        click.secho(f"{faults} faults" if faults else "no faults", fg="red" if faults else "green", bold=True)
    sys.exit(1 if faults else 0)


async def _examined(quiet: bool) -> list[Finding]:
    found = []
    async for finding in examine():
        found.append(finding)
        if not quiet:
            _show(finding)
    return found


def _show(finding: Finding) -> None:
    sign, colour = _SIGNS[finding.health]
    click.secho(f"{sign} {finding.what}: ", fg=colour, nl=False)
    click.echo(finding.says)
    if finding.remedy:
        click.echo(f"    → {finding.remedy}")
