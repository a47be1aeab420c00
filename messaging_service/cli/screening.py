"""screen: what the screening makes of a text, and how well it does on a labelled file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
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
@click.option("--explain", is_flag=True, help="Show each verdict for people: rules, words, context and points.")
@click.option(
    "--evaluate",
    "evaluation",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE.tsv",
    help="Judge a labelled file: recall, specificity and precision per topic, and the misses.",
)
@click.option(
    "--changes",
    "old_lexicon",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="OLD_LEXICON",
    help="Judge the input under the lexicon in this folder as well, and show the lines whose verdict changed.",
)
def screen(explain: bool, evaluation: TextIO | None, old_lexicon: Path | None) -> None:
    """Screen texts: JSON lines {"text": …, "language": …} on standard input, one verdict a line, in order."""
    screener = Screener.load()
    if evaluation is not None:
        click.echo(report_text(evaluate(read_rows(evaluation), screener)))
    elif old_lexicon is not None:
        _show_changes(Screener.load_from(old_lexicon), screener)
    else:
        for line, verdict in _verdicts(screener, _lines()):
            click.echo(_explained(screener, line, verdict) if explain else msgspec.json.encode(verdict_json(verdict)))


def _lines() -> Iterator[_Line]:
    for number, raw in enumerate(sys.stdin.buffer, 1):
        try:
            yield msgspec.json.decode(raw, type=_Line)
        except msgspec.DecodeError as problem:
            raise SettingInvalid(f"line {number} of the input: {problem}") from problem
        except UnicodeDecodeError:  # its exception carries the text
            raise SettingInvalid(f"line {number} of the input: not in UTF-8") from None


def _verdicts(screener: Screener, lines: Iterable[_Line]) -> Iterator[tuple[_Line, Verdict]]:
    for line in lines:
        yield line, screener.screen(line.text, markup=_markup(line), language=line.language)


def _markup(line: _Line) -> bool:
    return line.format == "html" or (not line.format and plainly_markup(line.text))


def _show_changes(old: Screener, new: Screener) -> None:
    lines = list(_lines())
    changed = 0
    judged = zip(_verdicts(old, lines), _verdicts(new, lines), strict=True)
    for number, ((line, before), (_, after)) in enumerate(judged, 1):
        if _conclusion(before) != _conclusion(after):
            changed += 1
            click.secho(f"line {number}: {_conclusion(before)} → {_conclusion(after)}", bold=True)
            click.echo(_explanation(line.text, after))
    click.echo(f"{changed} of {len(lines)} verdicts changed")


def _conclusion(verdict: Verdict) -> str:
    said = [verdict.outcome.value, *verdict.categories]
    said += ["urgent", *verdict.topics] if verdict.urgent else []
    said += ["alarm"] if verdict.alarm else []
    return " ".join(said)


def _explained(screener: Screener, line: _Line, verdict: Verdict) -> str:
    points = screener.second_opinion.explained(screener.reading(line.text, markup=_markup(line)))
    return "\n".join([_explanation(line.text, verdict), *points])


def _explanation(text: str, verdict: Verdict) -> str:
    lines = [click.style(_conclusion(verdict), bold=True)]
    for match in verdict.matches:
        counted = "" if match.counts else ", does not count"
        context = f" ({match.context}{counted})" if match.context or counted else ""
        lines.append(f"  {match.topic}: “{text[match.start : match.end]}” by {match.rule}{context}")
    return "\n".join(lines)
