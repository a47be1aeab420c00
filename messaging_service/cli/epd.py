"""epd: try out a tenant's EPD and reconcile with its list; filing: correct and withdraw what the EPD has."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TextIO

import click

from messaging_service.application.changes import CorrectedText, StoredChange
from messaging_service.application.check_epd import CheckEpd, Step
from messaging_service.application.reconcile import Reconciliation
from messaging_service.bootstrap import Parts, epd_pool
from messaging_service.bootstrap.conversing import make_correct
from messaging_service.bootstrap.operating import make_reconcile
from messaging_service.cli.console import as_json, print_json, with_parts
from messaging_service.cli.watching import filing
from messaging_service.config import load_settings, load_tenants
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.message import Identifier
from messaging_service.epd.render import DocumentTemplate
from messaging_service.tenants import Tenant


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(epd)


@click.group()
def epd() -> None:
    """A tenant's EPD: try it out, and reconcile with what it has."""


def _identifier(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[Identifier, ...]:
    pairs = [text.partition("=") for text in given]
    if not all(system and value for system, _, value in pairs):
        raise click.BadParameter("write it as system=number, e.g. local=1234")
    return tuple(Identifier(system, value) for system, _, value in pairs)


@epd.command("check")
@click.argument("tenant")
@click.option(
    "--patient",
    "identifiers",
    multiple=True,
    required=True,
    callback=_identifier,
    help="A patient that the EPD keeps for tests, as system=number; may be given more than once.",
)
@click.option(
    "--look",
    is_flag=True,
    help="Wait after each step until you have looked into the EPD, and ask what you saw. Without it the test documents "
    "are withdrawn again at once.",
)
@as_json
def check(tenant: str, identifiers: tuple[Identifier, ...], look: bool, json_output: bool) -> None:
    """File test documents with TENANT's EPD and say what it did. Exit status 1 when a step failed.

    A message, the same again, a correction, a withdrawal, hard characters, the longest line and an urgent one. For
    the acceptance, with somebody at the EPD: --look --json > report.json
    """
    known = _known(load_tenants(load_settings().tenants), tenant)
    steps = asyncio.run(_check(known, identifiers, look=look, to_stderr=json_output))
    ok = all(step.ok for step in steps)
    if json_output:
        print_json({"ok": ok, "steps": steps})
    else:
        click.secho("every step was accepted" if ok else "not every step was accepted", fg="green" if ok else "red")
    sys.exit(0 if ok else 1)


async def _check(tenant: Tenant, identifiers: tuple[Identifier, ...], *, look: bool, to_stderr: bool) -> list[Step]:
    """Every step, printed as it is done."""
    pool, steps = epd_pool(tenant.epd), list[Step]()
    try:
        async for step in CheckEpd(tenant, pool, DocumentTemplate.compile(tenant.epd.profile), identifiers)():
            _print_step(step, to_stderr)
            if look and step.look and step.ok:
                step = step.looked_at(click.confirm("       do you see that?", default=True, err=to_stderr))
            steps.append(step)
    finally:
        await pool.close()
    return steps


def _print_step(step: Step, to_stderr: bool) -> None:
    verdict, colour = ("ok    ", "green") if step.ok else ("FAILED", "red")
    click.secho(f"{verdict} {step.name}", fg=colour, err=to_stderr)
    click.echo(f"       {step.did} ({step.number}): {step.answered}", err=to_stderr)
    if step.look:
        click.echo(f"       to see in the EPD: {step.look}", err=to_stderr)


@epd.command("reconcile")
@click.argument("tenant")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="replace"))
@click.option("--from", "since", required=True, help="When the list begins: 2026-11-21T00:00 in the tenant's zone.")
@click.option("--until", required=True, help="When it ends; what was delivered from then on is left alone.")
@as_json
def reconcile(tenant: str, file: TextIO, since: str, until: str, json_output: bool) -> None:
    """Hold what was delivered to TENANT's EPD against FILE, its list of documents: one TXA-12 a line.

    What is listed is filed; what the list misses is parked. Exit status 1 when it misses any.
    """
    numbers = file.read().splitlines()

    async def use(parts: Parts) -> Reconciliation:
        known = _known(parts.tenants, tenant)
        begins, ends = _moment(since, known), min(_moment(until, known), parts.clock())
        if begins >= ends:
            raise SettingInvalid("--from must be before --until, and both in the past")
        return await make_reconcile(parts)(known, numbers, since=begins, until=ends)

    done = with_parts(use)
    if json_output:
        print_json(done)
    else:
        _print_reconciliation(done)
    sys.exit(1 if done.missing else 0)


def _print_reconciliation(done: Reconciliation) -> None:
    click.echo(f"listed {done.listed}, of these not from here {done.strange}; now filed {len(done.filed)}")
    for id in done.changed:
        click.echo(f"not listed, but corrected or withdrawn since: {id}")
    for id in done.missing:
        click.secho(f"NOT IN THE EPD, parked: {id}", fg="red")


def _known(tenants: Mapping[str, Tenant], id: str) -> Tenant:
    if id not in tenants:
        raise SettingInvalid(f"no tenant {id!r}; there are: {', '.join(tenants)}")
    return tenants[id]


def _moment(text: str, tenant: Tenant) -> int:
    """Milliseconds since 1970."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise SettingInvalid(f"{text!r} is no time such as 2026-11-21T00:00") from problem
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=tenant.zone)
    return int(zoned.timestamp() * 1000)


_reason = click.option("--reason", required=True, help="A code, shown in the EPD: small letters, digits, hyphens.")


@filing.command("withdraw")
@click.argument("message")
@_reason
def withdraw(message: str, reason: str) -> None:
    """Have MESSAGE withdrawn from the EPD. Doing it twice changes nothing."""

    async def use(parts: Parts) -> StoredChange:
        return await make_correct(parts).withdraw(message, reason)

    _ordered(with_parts(use))


@filing.command("correct")
@click.argument("message")
@click.option("--subject", required=True, help="The subject that goes with the text.")
@click.option("--text", "path", required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_reason
def correct(message: str, subject: str, path: Path, reason: str) -> None:
    """Have the text of MESSAGE replaced in the EPD by that of a UTF-8 file. Doing it twice changes nothing."""
    try:
        text = CorrectedText(subject, path.read_text("utf-8"))
    except UnicodeDecodeError:  # its exception carries what was read
        raise SettingInvalid(f"{path}: not text in UTF-8") from None

    async def use(parts: Parts) -> StoredChange:
        return await make_correct(parts).correct(message, text, reason)

    _ordered(with_parts(use))


def _ordered(change: StoredChange) -> None:
    click.echo(f"ordered: messaging-service filing show {change.id}")
