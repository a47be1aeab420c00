"""screen: what the screening makes of a text, and how well it does on a labelled file."""

from __future__ import annotations

import sys
from typing import TextIO

import click
import msgspec

from messaging_service.domain.errors import SettingInvalid
from messaging_service.screening.evaluate import evaluate, read_rows, report_text
from messaging_service.screening.markup import plainly_markup
from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Verdict, verdict_json


def add_to(main: click.Group) -> None:
    """Add the command."""
    main.add_command(screen)


class _Line(msgspec.Struct):
    text: str
    language: str = "nl"
    format: str = ""


@click.command()
@click.option("--explain", is_flag=True, help="Show each verdict for people: rules, words and context.")
@click.option(
    "--evaluate",
    "evaluation",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE.tsv",
    help="Judge a labelled file: recall, specificity and precision per topic, and the misses.",
)
def screen(explain: bool, evaluation: TextIO | None) -> None:
    """Screen texts: JSON lines {"text": …, "language": …} on standard input, one verdict a line, in order."""
    screener = Screener.load()
    if evaluation is not None:
        click.echo(report_text(evaluate(read_rows(evaluation), screener)))
        return
    for number, raw in enumerate(sys.stdin.buffer, 1):
        try:
            line = msgspec.json.decode(raw, type=_Line)
        except msgspec.DecodeError as problem:
            raise SettingInvalid(f"line {number} of the input: {problem}") from problem
        markup = line.format == "html" or (not line.format and plainly_markup(line.text))
        verdict = screener.screen(line.text, markup=markup, language=line.language)
        click.echo(_explanation(line.text, verdict) if explain else msgspec.json.encode(verdict_json(verdict)))


def _explanation(text: str, verdict: Verdict) -> str:
    said = [
        click.style(verdict.outcome.upper(), bold=True),
        *(["urgent"] if verdict.urgent else []),
        *(["alarm"] if verdict.alarm else []),
    ]
    lines = [" ".join(said)]
    for match in verdict.matches:
        counted = "" if match.counts else ", does not count"
        context = f" ({match.context}{counted})" if match.context or counted else ""
        lines.append(f"  {match.topic}: “{text[match.start : match.end]}” by {match.rule}{context}")
    return "\n".join(lines)
