"""restored: what has to be done after the store was restored from a backup."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from messaging_service.adapters.destroyed_list import DestroyedList
from messaging_service.application.actors import OPERATIONS
from messaging_service.application.restored import Restoration
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.keeping import make_destroy
from messaging_service.bootstrap.operating import make_restored
from messaging_service.cli.console import as_json, asked_tenants, print_json, with_parts
from messaging_service.domain.errors import SettingInvalid


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(restored)


@click.command()
@click.argument("tenant")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="replace"))
@click.option(
    "--destroyed",
    "path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The list of `destroyed carry-out`: what is on it is destroyed again first.",
)
@click.option("--nothing-destroyed", is_flag=True, help="There is no such list: nothing was ever destroyed.")
@as_json
def restored(tenant: str, file: TextIO, path: Path | None, nothing_destroyed: bool, json_output: bool) -> None:
    """Once the store was restored and before the service is started: hold it against TENANT's EPD.

    FILE is the EPD's list of documents since some time before the backup, one TXA-12 a line (- is standard input).
    What is listed counts as filed. All else that is not filed is queued again, under the document id it had. What the
    EPD has and the store has not is named. Ends with 1 when something that was destroyed had to be spared.
    """
    if (path is None) is not nothing_destroyed:
        raise SettingInvalid("give --destroyed LIST, or --nothing-destroyed: whoever was destroyed must stay so")
    lines = DestroyedList(path).read() if path else []
    numbers = file.read().splitlines()

    async def use(parts: Parts) -> tuple[Restoration, list[str]]:
        asked_tenants(parts.tenants, tenant)
        receipts = [await make_destroy(parts).again(line, OPERATIONS) for line in lines if line.tenant == tenant]
        spared = [id for receipt in receipts for id in receipt.spared]
        return await make_restored(parts)(parts.tenants[tenant], numbers), spared

    done, spared = with_parts(use)
    if json_output:
        print_json({"spared": spared, "restored": done})
    else:
        _print(done, spared)
    sys.exit(1 if spared else 0)


def _print(done: Restoration, spared: list[str]) -> None:
    click.echo(f"listed {done.listed}; now filed {len(done.filed)}; queued again {len(done.again)}")
    for id in done.not_here:
        click.secho(f"in the EPD, and not here any more: {id}", fg="yellow")
    for id in spared:
        click.secho(f"spared, since it is younger than what was destroyed: {id}", fg="yellow")
