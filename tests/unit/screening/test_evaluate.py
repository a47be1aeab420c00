"""Measuring on labelled texts: rates, intervals and misses."""

from __future__ import annotations

import pytest

from messaging_service.screening.errors import LexiconFault
from messaging_service.screening.evaluate import Rate, evaluate, read_rows, report_text
from messaging_service.screening.screener import Screener


def test_wilson_interval() -> None:
    """The interval is Wilson's: 8 of 10 gives 0.49 to 0.94, and no case at all gives 0 to 1."""
    low, high = Rate(8, 10).interval
    assert (round(low, 2), round(high, 2)) == (0.49, 0.94)
    assert Rate(0, 0).interval == (0.0, 1.0)


def test_misses_are_reported() -> None:
    """A wrongly labelled row turns up as a miss, and in the recall."""
    rows = read_rows(
        [
            "label\tlang\ttopic\ttext",
            "urgent\tnl\tcardiac\tpijn op de borst",
            "urgent\tnl\tnone\twanneer is mijn afspraak",
        ]
    )
    report = evaluate(rows, Screener.load())
    assert (report.measures[0].recall.hits, report.measures[0].recall.total) == (1, 2)
    assert "wanneer is mijn afspraak" in report_text(report)


def test_a_line_without_a_known_label_is_named() -> None:
    """A file of another shape is refused with the number of the line."""
    with pytest.raises(LexiconFault, match="line 1"):
        read_rows(["perhaps\tnl\tcardiac\tpijn"])


def test_who_is_never_refused_is_reported_as_a_group() -> None:
    """Victims and emergencies have a line each that says how many were refused, with the interval."""
    rows = read_rows(["allow\tnl\tvictim\tmijn ex sloeg mij", "urgent\tnl\tcardiac\tpijn op de borst"])
    told = report_text(evaluate(rows, Screener.load()))
    assert "never refused: victims: 0 of 1 refused [0.000-0.793]" in told
    assert "never refused: emergencies: 0 of 1 refused" in told


def test_a_refused_victim_is_counted() -> None:
    """The group counts what the screening refuses, not what the label hopes."""
    rows = read_rows([f"{label}\tnl\tself_harm\tjullie zijn kankerlijers" for label in ("allow", "refuse")])
    assert evaluate(rows, Screener.load()).never_refused["self-harm"] == Rate(1, 1)
