"""queues, ledger, journey and filing: how much waits and which messages, whether any is lost, what became of one."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import asdict

import click
import msgspec

from messaging_service.application.behind import Asked, Behind, Number
from messaging_service.application.journey import Journey
from messaging_service.application.ledger import LedgerReport
from messaging_service.application.ports import Depth
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.operating import make_ages, make_behind, make_journey, make_ledger
from messaging_service.cli.console import age, as_json, asked_tenants, moment, print_json, print_table, with_parts
from messaging_service.domain.filing import Filing
from messaging_service.domain.message import Lane, Step

_BETWEEN_LOOKS = 2.0


def add_to(main: click.Group) -> None:
    """Add the commands."""
    for command in (queues, ledger, filing, journey):
        main.add_command(command)


@click.group(invoke_without_command=True)
@click.option("--watch", is_flag=True, help="Again every other second, until stopped.")
@as_json
@click.pass_context
def queues(context: click.Context, watch: bool, json_output: bool) -> None:
    """How many messages wait in each queue, and how old the oldest is."""
    if context.invoked_subcommand is not None:
        return
    show = _queues_json if json_output else _queues_table

    async def use(parts: Parts) -> None:
        if not watch:
            show(*await _depths(parts))
            return
        while True:
            found = await _depths(parts)
            if not json_output:
                click.clear()
                click.echo(moment(parts.clock()))
            show(*found)
            await asyncio.sleep(_BETWEEN_LOOKS)

    with suppress(KeyboardInterrupt):
        with_parts(use)


def _queues_json(depths: dict[str, Depth], ages: dict[str, int]) -> None:
    print_json(
        {
            name: {"ready": depth.ready, "consumers": depth.consumers, "oldest_ms": ages.get(name)}
            for name, depth in depths.items()
        }
    )


def _queues_table(depths: dict[str, Depth], ages: dict[str, int]) -> None:
    rows = [
        (name, depth.ready, depth.consumers, age(ages[name]) if name in ages else "") for name, depth in depths.items()
    ]
    print_table(("queue", "waiting", "consumers", "oldest"), rows, "no queues")


async def _depths(parts: Parts) -> tuple[dict[str, Depth], dict[str, int]]:
    depths = await parts.broker.depths(parts.queues)
    return depths, await make_ages(parts).oldest_ms(depths)


@queues.command("declare")
def declare() -> None:
    """Make the queues that these settings and tenants need; existing ones are left as they are."""

    async def use(parts: Parts) -> int:
        await parts.broker.declare(parts.topology)
        return len(parts.queues)

    click.echo(f"{with_parts(use)} queues are there")


@queues.command("behind")
@click.argument("number", type=click.Choice([number.value for number in Number]))
@click.option("--tenant", help="Only this hospital's.")
@click.option("--lane", type=click.Choice([lane.value for lane in Lane]), help="Only those of this lane.")
@click.option("--step", type=click.Choice([step.value for step in Step]), help="Of `failed`: only those of this step.")
@click.option(
    "--most", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Stop after about so many."
)
@as_json
def behind(number: str, tenant: str | None, lane: str | None, step: str | None, most: int, json_output: bool) -> None:
    """List the messages behind NUMBER of the operations page: what a step has not done yet, what failed, and so on."""

    async def use(parts: Parts) -> list[tuple[str, Behind]]:
        lane_asked, step_asked = Lane(lane) if lane else None, Step(step) if step else None
        found = []
        for one in asked_tenants(parts.tenants, tenant):
            asked = Asked(Number(number), one, lane_asked, step_asked)
            found += [(one, each) for each in await make_behind(parts).up_to(asked, most)]
        return found

    found = with_parts(use)
    if json_output:
        print_json([{"tenant": one, **asdict(each)} for one, each in found])
        return
    columns = ("message", "tenant", "lane", "state", "at", "attempts", "step", "about")
    rows = [
        (b.message, one, b.lane, b.state, moment(b.at) if b.at else "", b.attempts, b.step, b.about) for one, b in found
    ]
    print_table(columns, rows, "no message is behind this number")


@click.command()
@as_json
def ledger(json_output: bool) -> None:
    """Prove by id that nothing is lost. Exit status 1 when a message is lost or past its limit.

    Confirmed and persisted are those of the last ten minutes, and what is unsettled of before: what was seen to be
    stored leaves the count after that. The other numbers are of all that is not proved in the EPD yet.
    """

    async def use(parts: Parts) -> LedgerReport:
        return await make_ledger(parts).check()

    report = with_parts(use)
    if json_output:
        print_json({"ok": report.ok, **msgspec.to_builtins(report)})
    else:
        _print_report(report)
    sys.exit(0 if report.ok else 1)


def _print_report(report: LedgerReport) -> None:
    click.echo(
        f"Of ten minutes, and what is unsettled of before: confirmed {report.confirmed}, "
        f"persisted {report.persisted}; of all: waiting {report.waiting}, "
        f"on the way into the EPD {report.under_way}, delivered and not proved yet {report.delivered}, "
        f"parked {report.parked}"
    )
    for name, ids, colour in (
        ("LOST", report.lost, "red"),
        ("LATE", report.late, "yellow"),
        ("NOT PROVED", report.unproven, "yellow"),
        ("no 202 known", report.unconfirmed, None),
    ):
        for id in ids:
            click.secho(f"{name}: {id}", fg=colour)
    for tail in report.tails:
        click.secho(
            f"gateway run {tail.run} ended without closing its journal after number {tail.watermark}; "
            f"{len(tail.persisted)} messages of it are persisted beyond: {' '.join(tail.persisted)}",
            fg="yellow",
        )
    if report.ok:
        click.secho("nothing is lost", fg="green")


@click.group()
def filing() -> None:
    """The way of a message into the EPD."""


@filing.command("show")
@click.argument("message")
@as_json
def show_filing(message: str, json_output: bool) -> None:
    """Show each attempt to file MESSAGE and the EPD's answer: the proof that it was filed."""

    async def use(parts: Parts) -> Filing | None:
        return await parts.threads.filing(message)

    found = with_parts(use)
    if found is None:
        raise click.ClickException(f"{message} is not in the store")
    if json_output:
        print_json(found)
        return
    click.echo(f"{found.id}  tenant {found.tenant}, lane {found.lane}: {found.state}")
    rows = [
        (
            number,
            attempt.control_id,
            attempt.sendings,
            moment(attempt.first_sent_at or attempt.sent_at),
            moment(attempt.sent_at) if attempt.first_sent_at else "",
            attempt.code,
            attempt.error,
            attempt.acknowledged,
            moment(attempt.acknowledged_at) if attempt.acknowledged_at else "",
            attempt.ack_digest[:16],
        )
        for number, attempt in enumerate(found.attempts, 1)
    ]
    columns = (
        "",
        "MSH-10",
        "times",
        "sent",
        "last sent",
        "MSA-1",
        "error",
        "MSA-2",
        "acknowledged",
        "SHA-256 of the answer",
    )
    print_table(columns, rows, "nothing was sent yet")


@click.command()
@click.argument("message")
@as_json
def journey(message: str, json_output: bool) -> None:
    """Show MESSAGE's whole journey: times, attempts, the EPD's answers. No content; that you looked is written down."""

    async def use(parts: Parts) -> Journey:
        return await make_journey(parts)(message)

    found = with_parts(use)
    if json_output:
        print_json({**asdict(found), "parked": [one.id for one in found.parked]})
        return
    click.echo(f"{found.message}  tenant {found.tenant}, thread {found.thread}: {found.state}")
    rows = [
        (moment(one.at), one.what, " ".join(f"{name}={value}" for name, value in one.facts.items() if value != ""))
        for one in found.moments
    ]
    print_table(("when", "what", ""), rows, "nothing is known of it")
