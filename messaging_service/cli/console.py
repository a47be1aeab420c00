"""What the commands share: settings to running parts, tables for people, JSON for machines."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TextIO, TypeVar, cast

import click
import msgspec
import structlog
from rich.console import Console
from rich.table import Table

from messaging_service.bootstrap import Parts, open_parts
from messaging_service.config import load_settings
from messaging_service.domain.errors import SettingInvalid

T = TypeVar("T")
_WIDTH_OF_A_FILE = 200
as_json = click.option("--json", "json_output", is_flag=True, help="Print JSON, for machines.")


class _StandardError:
    """Whatever standard error is by the time something is logged."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def with_parts(use: Callable[[Parts], Awaitable[T]]) -> T:
    """Connect, use and close; a server that is down is an error at once.

    What is logged goes to standard error: standard output is the command's own.
    """

    structlog.configure(logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _StandardError())))

    async def run() -> T:
        async with open_parts(load_settings(), "command", declare=False) as parts:
            return await use(parts)

    return asyncio.run(run())


def asked_tenants(there: Iterable[str], tenant: str | None) -> list[str]:
    """The tenant that was asked for, or all of them. Raises SettingInvalid for one that is not there."""
    known = list(there)
    if tenant is None:
        return known
    if tenant not in known:
        raise SettingInvalid(f"no such tenant: {tenant}; there are: {', '.join(known)}")
    return [tenant]


def print_json(value: object) -> None:
    """One line of JSON."""
    click.echo(msgspec.json.encode(value))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table for people, or the sentence `empty`."""
    if not rows:
        click.echo(empty)
        return
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")  # an identifier that is cut short is of no use
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE).print(table)


def moment(milliseconds: int) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def age(milliseconds: int) -> str:
    """An age for people: 12 s, 5 min, 3 h or 2 d."""
    seconds = milliseconds // 1000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
