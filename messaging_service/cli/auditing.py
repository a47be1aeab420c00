"""audit: verify the access log, keep its anchor elsewhere, hand it over, and tell who looked at one patient."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from messaging_service.application.access_anchors import Anchor
from messaging_service.application.export_access_log import export_access_log
from messaging_service.application.read_access_log import AccessView
from messaging_service.application.verify_access_log import Verification
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.keeping import make_read_access_log, make_verify_access_log
from messaging_service.cli.console import as_json, asked_tenants, moment, print_json, print_table, with_parts
from messaging_service.domain.errors import SettingInvalid

_MOST_ANCHOR_BYTES = 10_000
_THERE = click.Path(path_type=Path, dir_okay=False, exists=True)
_NEW = click.Path(path_type=Path, dir_okay=False)


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(audit)


@click.group()
def audit() -> None:
    """The access log: who read or changed which patient's data (NEN 7513)."""


@audit.command("verify")
@click.argument("tenant")
@click.option("--anchor", type=_THERE, help="A file with what `audit anchor` printed.")
@as_json
def verify(tenant: str, anchor: Path | None, json_output: bool) -> None:
    """Verify TENANT's access log against its anchors. Exit status 1 when something was changed, taken out or added.

    Without --anchor an end that was cut off the anchors as well as the entries is not found.
    """
    kept = _read_anchor(anchor) if anchor else None

    async def use(parts: Parts) -> Verification:
        asked_tenants(parts.tenants, tenant)
        verifying = make_verify_access_log(parts)
        size = await verifying.size(tenant)
        with click.progressbar(length=size, label="verifying", file=sys.stderr) as progress:
            return await verifying(tenant, kept, progress.update)

    found = with_parts(use)
    if json_output:
        print_json({"ok": found.ok, **msgspec.to_builtins(found)})
    else:
        _print_verification(found)
    sys.exit(0 if found.ok else 1)


@audit.command("anchor")
@click.argument("tenant")
def show_anchor(tenant: str) -> None:
    """Print TENANT's newest anchor as JSON. Keep it where the store is not: `audit verify --anchor FILE`."""

    async def use(parts: Parts) -> Anchor | None:
        asked_tenants(parts.tenants, tenant)
        return await parts.anchors.last(tenant)

    if (found := with_parts(use)) is None:
        raise click.ClickException(f"nothing is anchored at {tenant} yet")
    print_json(found)


@audit.command("export")
@click.argument("tenant")
@click.option("--since", type=click.DateTime(), help="From this moment on (UTC).")
@click.option("--until", type=click.DateTime(), help="Before this moment (UTC).")
@click.option("--output", type=_NEW, help="A new file; left out: standard output.")
def export(tenant: str, since: datetime | None, until: datetime | None, output: Path | None) -> None:
    """Write TENANT's entries as JSON lines, oldest first. Names stay sealed; that it was exported is logged.

    Works half of the time and rests the other half, so that the service is not slowed down.
    """

    async def use(parts: Parts) -> int:
        asked_tenants(parts.tenants, tenant)
        to = _new_file(output) if output else sys.stdout.buffer
        size, done, began = await make_verify_access_log(parts).size(tenant), 0, time.monotonic()
        with click.progressbar(length=size, label="exporting", file=sys.stderr) as progress:
            pages = export_access_log(parts.store, parts.access_log, tenant, _milliseconds(since), _milliseconds(until))
            async for page in pages:
                to.writelines(msgspec.json.encode(entry) + b"\n" for entry in page)
                progress.update(len(page))
                done += len(page)
                await asyncio.sleep(time.monotonic() - began)
                began = time.monotonic()
        to.flush()
        return done

    count = with_parts(use)
    click.echo(f"{count} entries", err=True)


@audit.command("of-patient")
@click.argument("tenant")
@click.argument("account")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many at most.")
@as_json
def of_patient(tenant: str, account: str, limit: int, json_output: bool) -> None:
    """Show who read or changed the data of the patient with that ACCOUNT id, newest first. It is logged."""

    async def use(parts: Parts) -> list[AccessView]:
        asked_tenants(parts.tenants, tenant)
        return await make_read_access_log(parts).of_patient(parts.tenants[tenant], account, limit)

    found = with_parts(use)
    if json_output:
        print_json([{**msgspec.to_builtins(view.entry), "name": view.name} for view in found])
        return
    rows = [
        (moment(e.at), e.action, e.object_kind, e.object, e.role, view.name or e.actor[:16], e.purpose, e.basis)
        for view in found
        for e in [view.entry]
    ]
    print_table(("when", "action", "what", "id", "role", "who", "purpose", "basis"), rows, "nobody")


def _print_verification(found: Verification) -> None:
    click.echo(f"{found.tenant}: {found.entries} entries, {found.anchors} anchors, {found.unanchored} not anchored yet")
    rows = [(each.fault, each.run or "anchors", each.first, each.last) for each in found.faults]
    if rows:
        print_table(("wrong", "run", "from", "to"), rows, "")
    for each in found.in_doubt:
        click.secho(f"in doubt: {each.run} {each.first} to {each.last}: the store failed while they were written")
    if found.last is not None:
        click.echo(f"last anchor {found.last.number} of {moment(found.last.at)}")
    said, colour = ("nothing is wrong", "green") if found.ok else (f"{len(rows)} faults", "red")
    click.secho(said, fg=colour)


def _read_anchor(path: Path) -> Anchor:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_ANCHOR_BYTES), type=Anchor)
    except msgspec.DecodeError as problem:
        raise SettingInvalid(f"--anchor {path}: not what `audit anchor` prints") from problem


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.replace(tzinfo=UTC).timestamp() * 1000)


def _new_file(path: Path) -> BinaryIO:
    """Readable for its owner alone."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as problem:
        raise SettingInvalid(f"--output {path}: {problem.strerror}") from problem
