"""replies: who was shown one, how many came in time, and messages dealt with otherwise."""

from __future__ import annotations

import getpass
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from messaging_service.application.actors import OPERATIONS
from messaging_service.application.receive_readers import ReadAccess, readers
from messaging_service.application.reply_report import ReplyReport, WeekOfReplies
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.conversing import make_mark_handled
from messaging_service.cli.console import as_json, moment, print_json, print_table, with_parts
from messaging_service.domain.awaited import AwaitedReply, How, Stage, iso_week
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants import Tenant


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(replies)


@click.group()
def replies() -> None:
    """What clinicians wrote, and whether it came in time."""


@replies.command("readers")
@click.argument("id")
@as_json
def show_readers(id: str, json_output: bool) -> None:
    """Who was shown the reply of this ID while it could be seen, out of the access log."""

    async def use(parts: Parts) -> list[ReadAccess]:
        return await readers(parts.store, parts.threads, id)

    found = with_parts(use)
    if json_output:
        return print_json(found)
    rows = [(moment(each.at), each.actor, each.role, each.object_kind) for each in found]
    return print_table(("at", "actor", "role", "what"), rows, "nobody was shown it")


def _tenant(parts: Parts, id: str) -> Tenant:
    if id not in parts.tenants:
        raise SettingInvalid(f"there is no tenant {id!r}; there are {', '.join(parts.tenants)}")
    return parts.tenants[id]


@replies.command("report")
@click.argument("tenant")
@click.option("--team", help="Of this care team alone.")
@click.option("--weeks", type=click.IntRange(1, 520), default=8, show_default=True, help="How many weeks back.")
@click.option("--plot", "picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw it into this SVG file.")
@as_json
def report(tenant: str, team: str | None, weeks: int, picture: Path | None, json_output: bool) -> None:
    """How many messages of TENANT were answered or handled on time and late, and how many are open.

    A line per care team and ISO week of receipt, this week last. "Passed" are open after their reply date.
    """

    async def use(parts: Parts) -> tuple[str, list[str], list[WeekOfReplies]]:
        of = _tenant(parts, tenant)
        if team is not None and of.routing.team(team) is None:
            raise SettingInvalid(f"--team {team}: there is no such care team at {tenant}")
        asked = _weeks(of, parts.clock(), weeks)
        found = await ReplyReport(parts.store)(of, asked)
        return of.name, asked, [line for line in found if team in (None, line.care_team)]

    name, asked, lines = with_parts(use)
    if picture is not None:
        from messaging_service.adapters.reply_plot import plot  # half a second that no other command waits for

        picture.write_bytes(plot(f"{name}: {team or 'all care teams'}", asked, lines))
    if json_output:
        return print_json([{**asdict(line), "messages": line.messages} for line in lines])
    rows = [(w.week, w.care_team, w.messages, w.on_time, w.late, w.open, w.overdue) for w in lines]
    columns = ("week", "care team", "messages", "on time", "late", "open", "passed")
    return print_table(columns, rows, "no messages in these weeks")


def _weeks(tenant: Tenant, now: int, number: int) -> list[str]:
    today = datetime.fromtimestamp(now / 1000, UTC).astimezone(tenant.zone)
    return [iso_week(today - timedelta(weeks=back)) for back in reversed(range(number))]


@replies.command("handled")
@click.argument("tenant")
@click.argument("message")
@click.option("--how", type=click.Choice([How.TELEPHONE, How.VISIT, How.OTHER]), required=True, help="How it was.")
def handled(tenant: str, message: str, how: str) -> None:
    """Say that MESSAGE was dealt with otherwise than in writing: nobody is reminded of it, and the patient is told."""

    async def use(parts: Parts) -> AwaitedReply:
        by = replace(OPERATIONS, name=getpass.getuser())
        return await make_mark_handled(parts)(_tenant(parts, tenant), message, How(how), by)

    stopped = with_parts(use)
    click.echo(f"{message} {'was answered before' if stopped.stage is Stage.ANSWERED else f'handled by {stopped.how}'}")
