"""unmatched, replies and records: documents that belong nowhere for certain, who read which reply, merges undone."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Any

import click

from messaging_service.application.unmatched import CLOSED, Unmatched
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.receiving import make_care, make_replies, make_unmatched
from messaging_service.cli.console import as_json, moment, print_json, print_table, with_parts
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.message import Identifier
from messaging_service.epd.inbound_events import Person, RecordsParted


def add_to(main: click.Group) -> None:
    """Add the commands."""
    for command in (unmatched, records):
        main.add_command(command)


@click.group()
def unmatched() -> None:
    """Clinicians' documents that belong to no thread for certain and wait for a person."""


def _shown(document: Unmatched) -> dict[str, Any]:
    """All but the content: which document it is in the EPD says where it belongs."""
    return {key: value for key, value in asdict(document).items() if key not in ("sealed", "version")}


@unmatched.command("list")
@as_json
def list_unmatched(json_output: bool) -> None:
    """List those that wait, oldest first."""

    async def use(parts: Parts) -> list[Unmatched]:
        return await make_unmatched(parts).listed()

    found = with_parts(use)
    if json_output:
        return print_json([_shown(each) for each in found])
    rows = [(u.id, u.tenant, u.sender, u.document, u.told, u.reason, moment(u.received_at)) for u in found]
    columns = ("id", "tenant", "sender", "document", "told", "reason", "received")
    return print_table(columns, rows, "nothing is unmatched")


@unmatched.command("show")
@click.argument("id")
def show_unmatched(id: str) -> None:
    """Show one: which document of which sender, and why it belongs nowhere. Its content is in the EPD."""

    async def use(parts: Parts) -> Unmatched:
        return await make_unmatched(parts).show(id)

    for name, value in _shown(with_parts(use)).items():
        click.echo(f"{name:12} {moment(value) if isinstance(value, int) else value}")


@unmatched.command("bind")
@click.argument("id")
@click.argument("thread")
def bind_unmatched(id: str, thread: str) -> None:
    """Put a document into the THREAD it belongs to; the patient can read it at once."""

    async def use(parts: Parts) -> None:
        found = await make_unmatched(parts).show(id)
        tenant = parts.tenants[found.tenant]
        await make_replies(parts).bind(tenant, found, thread, getpass.getuser())

    with_parts(use)
    click.echo(f"{id} bound to {thread}")


@unmatched.command("close")
@click.argument("id")
@click.option("--remark", required=True, help="How it was dealt with; no content, no patient number.")
def close_unmatched(id: str, remark: str) -> None:
    """Take a document off the list that belongs to no patient here; its content goes."""

    async def use(parts: Parts) -> None:
        found = await make_unmatched(parts).show(id)
        await make_unmatched(parts).settle(found, CLOSED, remark)

    with_parts(use)
    click.echo(f"{id} closed")


@click.group()
def records() -> None:
    """Patients' records, as the EPD joins and parts them."""


@records.command("part")
@click.argument("tenant")
@click.option("--one", prompt="Number of the one patient", help="Asked for when left out, so that no shell keeps it.")
@click.option("--other", prompt="Number of the other patient", help="Likewise.")
def part_records(tenant: str, one: str, other: str) -> None:
    """Part two records of TENANT that the EPD merged by mistake, as an A37 would; each has its own threads again."""

    async def use(parts: Parts) -> None:
        at = parts.tenants.get(tenant)
        if at is None:
            raise SettingInvalid(f"no tenant {tenant!r}")
        system = next(iter(at.identity.identifiers))
        people = [Person((Identifier(system, number.strip()),), "") for number in (one, other)]
        if not all([await parts.patients.known(tenant, person.identifiers) for person in people]):
            raise SettingInvalid("one of these numbers is not known here")
        await make_care(parts).part(at, RecordsParted(parts.clock(), *people))

    with_parts(use)
    click.echo("parted")
