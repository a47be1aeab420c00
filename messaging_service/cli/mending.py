"""parked: list, show, replay and close what a step gave up on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from messaging_service.application.park import ParkedMessage
from messaging_service.bootstrap import Parts
from messaging_service.cli.console import as_json, moment, print_json, print_table, with_parts


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(parked)


@click.group()
def parked() -> None:
    """Messages that a step gave up on and a person has to mend."""


def _shown(message: ParkedMessage) -> dict[str, Any]:
    """All but the body: that is sealed, or holds the same identifiers."""
    return {key: value for key, value in asdict(message).items() if key != "body"}


@parked.command("list")
@click.option("--reason", help="Only those parked for this reason.")
@click.option("--step", help="Only those that this step gave up on.")
@as_json
def list_parked(reason: str | None, step: str | None, json_output: bool) -> None:
    """List parked messages, oldest first."""

    async def use(parts: Parts) -> list[ParkedMessage]:
        return await parts.mend().listed()

    found = [
        message
        for message in with_parts(use)
        if (reason is None or message.reason == reason) and (step is None or message.step == step)
    ]
    if json_output:
        print_json([_shown(message) for message in found])
        return
    rows = [(m.id, m.tenant, m.step, m.reason, m.owner, moment(m.parked_at)) for m in found]
    print_table(("id", "tenant", "step", "reason", "owner", "parked"), rows, "nothing is parked")


@parked.command("show")
@click.argument("id")
def show_parked(id: str) -> None:
    """Show one parked message: where it stopped, why, and whose it is to mend."""

    async def use(parts: Parts) -> ParkedMessage:
        return await parts.mend().show(id)

    found = _shown(with_parts(use))
    found["parked_at"] = moment(found["parked_at"])
    for name, value in found.items():
        click.echo(f"{name:10} {value}")


@parked.command("replay")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay all that are parked.")
@click.option("--reason", help="Replay all that are parked for this reason.")
def replay_parked(ids: tuple[str, ...], everything: bool, reason: str | None) -> None:
    """Send parked messages through their step again. Doing it twice changes nothing."""
    if not (ids or everything or reason):
        raise click.UsageError("name the ids, or give --reason or --all")

    async def use(parts: Parts) -> int:
        mend = parts.mend()
        chosen = list(ids) or [m.id for m in await mend.listed() if everything or m.reason == reason]
        with click.progressbar(chosen, label="replaying") as progress:
            for id in progress:
                await mend.replay(id)
        return len(chosen)

    click.echo(f"{with_parts(use)} replayed")


@parked.command("close")
@click.argument("id")
@click.option("--remark", required=True, help="How it was dealt with; no content, no patient number.")
def close_parked(id: str, remark: str) -> None:
    """Close a parked message that a person dealt with otherwise."""

    async def use(parts: Parts) -> None:
        await parts.mend().close(id, remark)

    with_parts(use)
    click.echo(f"{id} closed")
