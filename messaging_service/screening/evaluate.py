"""How well the screener does on labelled texts: recall, specificity, precision, and what it missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

from messaging_service.screening.errors import LexiconFault
from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Outcome, Verdict

_POSITIVE = {"urgent": "urgency", "refuse": "prohibited"}
_NEGATIVE = {"routine": "urgency", "allow": "prohibited"}


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text: `label` is urgent, routine, refuse or allow."""

    label: str
    language: str
    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class Rate:
    """`hits` of `total`, with its Wilson 95 % interval; without any case it runs from 0 to 1."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The rate itself, 0 when there is no case."""
        return self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 %."""
        if not self.total:
            return 0.0, 1.0
        z, n, p = 1.959964, self.total, self.value
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class Measure:
    """One threshold on one set: `recall` of the positives, `specificity` of the negatives, `precision`."""

    name: str
    recall: Rate
    specificity: Rate
    precision: Rate


@dataclass(frozen=True, slots=True)
class Miss:
    """A text that a threshold judged wrongly, with the rules that counted."""

    measure: str
    row: Row
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Measures over everything and per topic (recall of positives, specificity of negatives), and misses.

    `never_refused` has, of each group that may never be refused, how many permitted texts were refused all the same.
    """

    measures: tuple[Measure, ...]
    topics: dict[str, tuple[Measure, ...]]
    misses: tuple[Miss, ...]
    never_refused: dict[str, Rate]


def read_rows(lines: Iterable[str]) -> list[Row]:
    """Rows from tab-separated lines `label, lang, topic or category, text`; a heading line is skipped.

    In the text `\\n` and `\\t` stand for a line end and a tab.

    Raises:
        LexiconFault: a line has fewer than four columns or an unknown label.
    """
    rows = []
    for number, line in enumerate(lines, 1):
        columns = line.rstrip("\r\n").split("\t", 3)
        if not line.strip() or line.startswith("#") or columns[0] == "label":
            continue
        if len(columns) != 4 or columns[0] not in _POSITIVE | _NEGATIVE:
            raise LexiconFault(f"line {number} of the evaluation file is not: label, lang, topic, text")
        label, language, topic, text = columns
        rows.append(Row(label, language, topic, text.replace("\\n", "\n").replace("\\t", "\t")))
    return rows


def evaluate(rows: Sequence[Row], screener: Screener) -> Report:
    """Screen every row and count: notice and alarm for urgency, refusal for prohibited material."""
    judged = [(row, screener.screen(row.text, markup=False, language=row.language)) for row in rows]
    topics = sorted({row.topic for row in rows if row.label in _POSITIVE})
    misses = [
        Miss(name, row, tuple(match.rule for match in verdict.matches if match.counts))
        for name, kind in _THRESHOLDS
        for row, verdict in judged
        if _kind(row) == kind and _fires(name, verdict) != (row.label in _POSITIVE)
    ]
    per_topic = {topic: _measures([pair for pair in judged if pair[0].topic == topic]) for topic in topics}
    return Report(_measures(judged), per_topic, tuple(misses), _never_refused(judged))


_GROUPS = {
    "victims": ("victim", "victim_quote"),
    "self-harm": ("self_harm", "selfharm"),
    "intrusive thoughts": ("intrusive", "intrusive_thoughts"),
    "emergencies": (),
}
"""Who is never refused, by the topics that the sets give their texts; any urgent text is among the emergencies."""


def _never_refused(judged: Sequence[tuple[Row, Verdict]]) -> dict[str, Rate]:
    rates = {}
    for group, topics in _GROUPS.items():
        refused = [
            verdict.outcome is Outcome.REFUSE
            for row, verdict in judged
            if (row.label == "allow" and row.topic in topics) or (row.label == "urgent" and not topics)
        ]
        if refused:
            rates[group] = Rate(sum(refused), len(refused))
    return rates


_THRESHOLDS = (("notice", "urgency"), ("alarm", "urgency"), ("refusal", "prohibited"))


def _kind(row: Row) -> str:
    return (_POSITIVE | _NEGATIVE)[row.label]


def _fires(name: str, verdict: Verdict) -> bool:
    if name == "refusal":
        return verdict.outcome is Outcome.REFUSE
    return verdict.urgent if name == "notice" else verdict.alarm


def _measures(judged: Sequence[tuple[Row, Verdict]]) -> tuple[Measure, ...]:
    measures = []
    for name, kind in _THRESHOLDS:
        fired = {True: [0, 0], False: [0, 0]}
        for row, verdict in judged:
            if _kind(row) == kind:
                fired[row.label in _POSITIVE][_fires(name, verdict)] += 1
        (missed, found), (clear, false) = fired[True], fired[False]
        if missed + found + clear + false:
            measures.append(
                Measure(name, Rate(found, missed + found), Rate(clear, clear + false), Rate(found, found + false))
            )
    return tuple(measures)


def report_text(report: Report) -> str:
    """The report for people: one line a measure, per topic, then the misses with their texts."""
    lines = [_measure_line("all", measure) for measure in report.measures]
    for topic, measures in report.topics.items():
        lines += [_measure_line(topic, measure) for measure in measures]
    for group, rate in report.never_refused.items():
        low, high = rate.interval
        lines.append(f"never refused: {group}: {rate.hits} of {rate.total} refused [{low:.3f}-{high:.3f}]")
    for miss in report.misses:
        verb = "missed" if miss.row.label in _POSITIVE else "false"
        lines.append(f"{miss.measure} {verb} [{miss.row.language} {miss.row.topic}] {miss.row.text} {list(miss.rules)}")
    return "\n".join(lines)


def _measure_line(scope: str, measure: Measure) -> str:
    shown = [
        f"{name} {rate.value:.3f} [{rate.interval[0]:.3f}-{rate.interval[1]:.3f}] {rate.hits}/{rate.total}"
        for name, rate in (
            ("recall", measure.recall),
            ("specificity", measure.specificity),
            ("precision", measure.precision),
        )
        if rate.total
    ]
    return f"{scope:18} {measure.name:8} {'  '.join(shown)}"
