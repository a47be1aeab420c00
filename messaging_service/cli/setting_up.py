"""relations: what is needed before the first message."""

from __future__ import annotations

from typing import Annotated, BinaryIO

import click
import msgspec
from msgspec import Meta

from messaging_service.bootstrap import Parts
from messaging_service.cli.console import with_parts
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.message import Identifier


def add_to(main: click.Group) -> None:
    """Add the commands."""
    main.add_command(relations)


class _Relation(msgspec.Struct, forbid_unknown_fields=True):
    """One line of a relations file. `since` is milliseconds since 1970."""

    tenant: str
    identifiers: dict[str, Annotated[str, Meta(min_length=1)]]
    name: str
    care_team: str
    since: int = 0


@click.group()
def relations() -> None:
    """Treatment relations: which care team treats whom."""


@relations.command("load")
@click.argument("file", type=click.File("rb"))
def load_relations(file: BinaryIO) -> None:
    """Load treatment relations from FILE (- for standard input), one JSON object a line.

    {"tenant": "spijkenisse", "identifiers": {"local": "1234"}, "name": "…", "care_team": "cardiology", "since": 0}
    """
    wanted = [_read_relation(number, line) for number, line in enumerate(file, 1) if line.strip()]

    async def use(parts: Parts) -> int:
        for number, relation in wanted:
            try:
                await _begin(parts, relation)
            except SettingInvalid as problem:
                raise SettingInvalid(f"line {number}: {problem.detail}") from problem
        return len(wanted)

    click.echo(f"{with_parts(use)} relations loaded")


async def _begin(parts: Parts, relation: _Relation) -> None:
    tenant = parts.tenants.get(relation.tenant)
    if tenant is None:
        raise SettingInvalid(f"no tenant {relation.tenant!r}")
    known, systems = relation.identifiers, list(tenant.identity.identifiers)
    if set(known) - set(systems) or systems[0] not in known:
        raise SettingInvalid(f"identifiers must be of {systems}, {systems[0]!r} among them")
    identifiers = [Identifier(system, known[system]) for system in systems if system in known]
    await parts.relations.begin(tenant, identifiers, relation.name, relation.care_team, relation.since)


def _read_relation(number: int, line: bytes) -> tuple[int, _Relation]:
    try:
        return number, msgspec.json.decode(line, type=_Relation)
    except msgspec.DecodeError as problem:
        raise SettingInvalid(f"line {number}: {problem}") from problem
    except UnicodeDecodeError:  # its exception carries the text
        raise SettingInvalid(f"line {number}: not in UTF-8") from None
