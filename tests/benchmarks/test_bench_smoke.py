"""Every figure of `deploy/bench` is produced; how good it is depends on the machine and is never asserted."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.benchmarks.bench import Scale, run
from tests.benchmarks.figures import Figure, as_json, circumstances, show

_SMALL = Scale(
    messages=64, rounds=1, filed=64, repeats=1, window=0.4, answers=(0.05,), streams=40, events=20, among=400, asked=3
)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("a", ["gateway, SQLite: accepted", "gateway, SQLite: p99", "gateway, SQLite / bare handler"]),
        ("b", ["SQLite: filed from a backlog", "SQLite: persist, resident", "SQLite: park, resident"]),
        ("c", ["hl7apy / render"]),
        (
            "e",
            ["EPD answers after 50 ms, 4 connections: filed", "EPD answers after 50 ms, 4 connections: filed / bare"],
        ),
        ("f", ["ADT taken in over 4 connections", "receive, resident after 64"]),
        (
            "g",
            [
                "40 streams: memory of one",
                "40 streams: from written to heard, p99",
                "40 streams: all back after a restart",
            ],
        ),
        ("h", ["list of 20 threads, p99 among 40 messages", "search by subject, p99 among 400"]),
        ("d", ["load the lexicon as compiled", "500 characters of plain Dutch", "2 kB of HTML"]),
    ],
)
def test_every_figure_is_measured(part: str, expected: list[str], tmp_path: Path) -> None:
    """On real parts, with a few messages: the figures that carry an aim are there and positive."""
    figures = {figure.name: figure for figure in run(part, _SMALL, tmp_path, Console(file=io.StringIO()))}
    assert {name: figures[name].value > 0 for name in expected} == dict.fromkeys(expected, True)
    missed = [figure.value for name, figure in figures.items() if "events missed" in name]
    assert missed in ([], [0])
    assert all(figure.value >= 0 and figure.part == part for figure in figures.values())  # a few ticks may be none


def test_the_table_says_whether_an_aim_is_met() -> None:
    """A figure on the wrong side of its aim is shown, and written as JSON, as not met."""
    slow = Figure("b", "filed", 399, "messages/s", aim=400)
    large = Figure("b", "resident", 119, "MB", aim=120, at_most=True)
    shown = io.StringIO()
    show(Console(file=shown, width=120), [slow, large], circumstances())
    assert ["not met" in line for line in shown.getvalue().splitlines() if "filed" in line or "resident" in line] == [
        True,
        False,
    ]
    written = json.loads(json.dumps(as_json([slow, large], circumstances())))
    assert [figure["met"] for figure in written["figures"]] == [False, True]
