"""parked: list, show, replay, close and give away what a step gave up on."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import wraps
from typing import Any

import click

from messaging_service.application.actors import OPERATIONS
from messaging_service.application.mend import Mend, Operator
from messaging_service.application.park import ParkedMessage
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.operating import make_mend
from messaging_service.cli.console import as_json, asked_tenants, moment, print_json, print_table, with_parts
from messaging_service.domain.message import Step

_HOUR_MS = 3_600_000
_STEPS = [step.value for step in Step]


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(parked)


@click.group()
def parked() -> None:
    """Messages that a step gave up on and a person has to mend."""


def _shown(message: ParkedMessage) -> dict[str, Any]:
    """All but the body: that is sealed, or holds the same identifiers."""
    return {key: value for key, value in asdict(message).items() if key != "body"}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which parked messages a command is about."""

    ids: tuple[str, ...]
    tenant: str | None
    reason: str | None
    step: str | None
    older_than: float | None

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but ids says which."""
        return bool(self.tenant or self.reason or self.step or self.older_than is not None)

    async def of(self, parts: Parts) -> list[ParkedMessage]:
        """Those, oldest first. Raises ParkedNotFound for an id that is not there, SettingInvalid for such a tenant."""
        mend = make_mend(parts)
        if self.ids:
            return [one for id in self.ids for one in await mend.named(id, parked_only=True)]
        asked_tenants(parts.tenants, self.tenant)
        before = parts.clock() - self.older_than * _HOUR_MS if self.older_than is not None else None
        return [
            message
            for message in await mend.listed()
            if self.tenant in (None, message.tenant)
            and (self.reason is None or _spelled(self.reason) == _spelled(message.reason))
            and self.step in (None, message.step)
            and (before is None or message.parked_at < before)
        ]


def _spelled(reason: str) -> str:
    """`AE 204`, as people say it, is `AE-204`."""
    return reason.strip().replace(" ", "-")


def chosen(command: Callable[..., None]) -> Callable[..., None]:
    """The options by which a command is told which messages it is about; they come in as one `Chosen`."""

    @click.option("--tenant", help="Only this hospital's.")
    @click.option("--reason", help="Only those parked for this reason.")
    @click.option("--step", type=click.Choice(_STEPS), help="Only those that this step gave up on.")
    @click.option("--older-than", type=click.FloatRange(min=0), metavar="HOURS", help="Only those parked so long ago.")
    @wraps(command)
    def with_chosen(
        tenant: str | None,
        reason: str | None,
        step: str | None,
        older_than: float | None,
        ids: tuple[str, ...] = (),
        **rest: Any,
    ) -> None:
        command(Chosen(ids, tenant, reason, step, older_than), **rest)

    return with_chosen


@parked.command("list")
@chosen
@as_json
def list_parked(which: Chosen, json_output: bool) -> None:
    """List parked messages, oldest first."""
    found = with_parts(which.of)
    if json_output:
        print_json([_shown(message) for message in found])
        return
    rows = [(m.id, m.tenant, m.step, m.reason, m.owner, moment(m.parked_at)) for m in found]
    print_table(("id", "tenant", "step", "reason", "owner", "parked"), rows, "nothing is parked")


@parked.command("show")
@click.argument("id")
@as_json
def show_parked(id: str, json_output: bool) -> None:
    """Show a parked message: where it stopped, why, and whose it is to mend. ID may be the message's own."""

    async def use(parts: Parts) -> list[ParkedMessage]:
        return await make_mend(parts).named(id)

    for one in with_parts(use):
        found = _shown(one)
        if json_output:
            print_json(found)
            continue
        found["parked_at"] = moment(found["parked_at"])
        for name, value in found.items():
            click.echo(f"{name:10} {value}")


@parked.command("replay")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay all that are parked.")
@click.option("--by", default="", help="Who you are, for the access log.")
@chosen
@as_json
def replay_parked(which: Chosen, everything: bool, by: str, json_output: bool) -> None:
    """Send parked messages through their step again: these IDS, or those that the options choose.

    Doing it twice changes nothing. An id may be the message's own.
    """
    _require_choice(which, everything)
    operator = _operator(by)
    _mend_each(with_parts(which.of), "replayed", lambda mend, id: mend.replay(id, operator), json_output)


@parked.command("close")
@click.argument("ids", nargs=-1)
@click.option("--remark", required=True, help="How they were dealt with; no content, no patient number.")
@click.option("--all", "everything", is_flag=True, help="Close all that are parked.")
@click.option("--yes", is_flag=True, help="Do not ask, where the options choose which.")
@click.option("--by", default="", help="Who you are, for the access log.")
@chosen
@as_json
def close_parked(which: Chosen, remark: str, everything: bool, yes: bool, by: str, json_output: bool) -> None:
    """Close parked messages that a person dealt with otherwise: these IDS, or those that the options choose.

    It cannot be undone. An id may be the message's own.
    """
    _require_choice(which, everything)
    found, operator = with_parts(which.of), _operator(by)
    if found and not which.ids and not yes:
        click.confirm(f"Close {len(found)} parked messages? It cannot be undone.", abort=True, err=True)
    _mend_each(found, "closed", lambda mend, id: mend.close(id, remark, operator), json_output)


@parked.command("give")
@click.argument("id")
@click.argument("owner")
def give_parked(id: str, owner: str) -> None:
    """Give a parked message to OWNER."""

    async def use(parts: Parts) -> None:
        mend = make_mend(parts)
        for one in await mend.named(id, parked_only=True):
            await mend.give(one.id, owner)

    with_parts(use)
    click.echo(f"{id} is {owner}'s")


def _operator(name: str) -> Operator:
    return Operator(replace(OPERATIONS, name=name))


def _require_choice(which: Chosen, everything: bool) -> None:
    """An option beside an id would be read as a limit, or as a remark, and be neither."""
    if which.ids and (which.is_narrowed or everything):
        raise click.UsageError("name the ids, or choose by --reason, --step, --tenant, --older-than or --all: not both")
    if not (which.ids or which.is_narrowed or everything):
        raise click.UsageError("name the ids, or give --reason, --step, --tenant, --older-than or --all")


def _mend_each(
    found: Sequence[ParkedMessage], done: str, mending: Callable[[Mend, str], Awaitable[None]], json_output: bool
) -> None:
    async def use(parts: Parts) -> None:
        mend = make_mend(parts)
        with click.progressbar(found, label=done, file=sys.stderr) as progress:
            for message in progress:
                await mending(mend, message.id)

    if found:
        with_parts(use)
    elif not json_output:
        click.echo("none is parked that is so; `messaging-service parked list` shows those there are", err=True)
    if json_output:
        print_json({done: len(found)})
    else:
        click.echo(f"{len(found)} {done}")
