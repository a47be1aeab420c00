"""Figures, the aims they are held to, and the machine they were measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_LIBRARIES = ("aiohttp", "uvloop", "aio-pika", "motor", "msgspec", "cryptography", "hl7apy", "bleach", "ahocorasick-rs")
_VERDICTS = {True: "[green]met[/]", False: "[red]not met[/]", None: ""}


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured; `aim` is the least value, or with `at_most` the greatest, that satisfies."""

    part: str
    name: str
    value: float
    unit: str
    aim: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without an aim."""
        if self.aim is None:
            return None
        return self.value <= self.aim if self.at_most else self.value >= self.aim

    @property
    def wanted(self) -> str:
        """The aim for people."""
        return "" if self.aim is None else f"{'≤' if self.at_most else '≥'} {self.aim:g}"


def circumstances() -> dict[str, str]:
    """When and on what: date, machine, versions."""
    nodes = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} × {_processor()}, {_memory_gb():.0f} GB, Linux {platform.release()}",
        "load": f"load average {os.getloadavg()[0]:.1f} at the start",
        "python": platform.python_version(),
        "rabbitmq": nodes[-1].name.rpartition("-")[2] if nodes else "none",
        **{name: version(name) for name in _LIBRARIES},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def as_json(figures: Sequence[Figure], around: dict[str, str]) -> dict[str, Any]:
    """Everything as plain values."""
    return {**around, "figures": [{**asdict(figure), "met": figure.met} for figure in figures]}


def show(console: Console, figures: Iterable[Figure], around: dict[str, str]) -> None:
    """The table, and what it was measured on."""
    table = Table("", "measured", "value", "unit", "aim", "", title_justify="left")
    part = ""
    for figure in figures:
        if part and figure.part != part:
            table.add_section()
        part = figure.part
        row = (part, figure.name, _readable(figure.value), figure.unit, figure.wanted, _VERDICTS[figure.met])
        table.add_row(*row, style="bold" if figure.aim is not None else "")
    console.print(table)
    console.print(f"{around['date']}, {around['machine']}, {around['load']}", highlight=False)
    libraries = ", ".join(f"{name} {around[name]}" for name in ("python", "rabbitmq", *_LIBRARIES))
    console.print(libraries, highlight=False, style="dim")


def _readable(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
