"""destroyed: destroy by a medical-records decision, and once more after an older store was restored."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import click

from messaging_service.adapters.destroyed_list import DestroyedList
from messaging_service.application.actors import OPERATIONS
from messaging_service.application.destroy import Decision, Receipt
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.keeping import make_destroy
from messaging_service.cli.console import as_json, asked_tenants, print_json, print_table, with_parts
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.message import Identifier

_LIST = click.Path(dir_okay=False, path_type=Path)


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(destroyed)


@click.group()
def destroyed() -> None:
    """What medical records decided to destroy (BW 7:455)."""


@destroyed.command("carry-out")
@click.argument("tenant")
@click.option("--decision", required=True, help="The reference of the decision in the hospital's own file.")
@click.option("--by", required=True, help="Who decided.")
@click.option("--on", required=True, type=click.DateTime(["%Y-%m-%d"]), help="The day of the decision.")
@click.option("--list", "path", required=True, type=_LIST, help="The list, kept apart from the store; added to.")
@click.option("--message", "messages", multiple=True, help="One message alone; may be repeated.")
@click.option("--patient", help="The patient's number: everything. Asked for when left out, so that no shell keeps it.")
@as_json
def carry_out(
    tenant: str,
    decision: str,
    by: str,
    on: datetime,
    path: Path,
    messages: tuple[str, ...],
    patient: str | None,
    json_output: bool,
) -> None:
    """Destroy a patient's messages at TENANT, and the key that seals them; the receipt says what lay where.

    What the EPD has not filed is spared, and then the key is: carry it out again later. Ends with 1 when anything was
    spared. Without --message it is about the whole patient, who has to be given.
    """
    decided = Decision(tenant, decision, by, on.date().isoformat())
    if not messages and patient is None:
        patient = click.prompt("Number of the patient")

    async def use(parts: Parts) -> list[Receipt]:
        asked_tenants(parts.tenants, tenant)
        destroy, write_down = make_destroy(parts), DestroyedList(path).add
        if messages:
            return [await destroy.messages(decided, messages, OPERATIONS, write_down)]
        system = next(iter(parts.tenants[tenant].identity.identifiers))
        record = await parts.patients.find(tenant, (Identifier(system, str(patient).strip()),))
        if record is None:
            raise SettingInvalid("this number is not known here")
        records = await parts.patients.members(record)
        return [await destroy.record(decided, each, OPERATIONS, write_down) for each in reversed(records)]

    _report(with_parts(use), json_output)


@destroyed.command("apply")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
def apply(file: Path, json_output: bool) -> None:
    """Destroy anew what is on the list in FILE and came back with an older store; before the service is started.

    Whatever is younger than its destruction is spared. Ends with 1 when anything was.
    """
    listed = DestroyedList(file)

    async def use(parts: Parts) -> list[Receipt]:
        return [await make_destroy(parts).again(line, OPERATIONS) for line in listed.read()]

    _report(with_parts(use), json_output)


def _report(receipts: list[Receipt], json_output: bool) -> None:
    if json_output:
        print_json(receipts)
    else:
        for receipt in receipts:
            _print(receipt)
    sys.exit(1 if any(receipt.spared for receipt in receipts) else 0)


def _print(receipt: Receipt) -> None:
    decided = receipt.decision
    click.echo(f"{decided.tenant}: decision {decided.reference}, {decided.by}, {decided.on}")
    rows = [(each.place, each.destroyed, each.spared, each.remark) for each in receipt.places]
    print_table(("where", "destroyed", "spared", ""), rows, "")
    click.echo("the key is destroyed" if receipt.key_destroyed else "the key is kept")
    for id in receipt.spared:
        click.secho(f"spared: {id}", fg="yellow")
