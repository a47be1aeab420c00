"""What screening concludes about one text, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

QUOTED = "quoted"
TOLD = "told"
"""In a sentence that reports what was said or done to the writer."""

ABUSE = "abuse"
"""What abuse speaks of is no emergency."""

OUTWEIGHED = "outweighed"
"""The words around it speak so clearly against it that it does less: no alarm, or no refusal."""


_CAUTIOUS = (QUOTED, TOLD, OUTWEIGHED)


class Outcome(StrEnum):
    """What happens to the message: delivered, delivered with a mark for the care team, or refused."""

    ACCEPT = "accept"
    CAUTION = "caution"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Match:
    """One rule that matched, and what the words around it did to it.

    `start` and `end` count code points in the text as it was typed. `context` is empty, or names why a
    match does not count (`negated`, `history` …) or counts without paging anyone (`maybe history` …).
    """

    rule: str
    kind: str
    topic: str
    start: int
    end: int
    context: str
    counts: bool
    alarm: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The conclusion over all matches; an urgent text is never refused (terms articles 3.2 and 3.7).

    `prohibited` says that something in it is a reason to refuse, also where urgency stands against that. A mere mark
    (a rule that only cautions, a quotation, a report, a finding that is outweighed) names its category and leaves
    `prohibited` false.
    """

    urgent: bool
    alarm: bool
    topics: tuple[str, ...]
    prohibited: bool
    categories: tuple[str, ...]
    outcome: Outcome
    matches: tuple[Match, ...]
    lexicon: str


def refuses(match: Match, refusing: frozenset[str]) -> bool:
    """Whether `match` alone is a reason to refuse: it counts, its rule refuses, no context says caution."""
    return match.counts and match.rule in refusing and match.context not in _CAUTIOUS


def conclude(matches: tuple[Match, ...], refusing: frozenset[str], lexicon: str) -> Verdict:
    """The verdict that follows from `matches`; `refusing` holds the ids of the rules that refuse."""
    urgency = [match for match in matches if match.kind == "urgency" and match.counts]
    abuse = [match for match in matches if match.kind == "prohibited" and match.counts]
    prohibited = any(refuses(match, refusing) for match in abuse)
    outcome = Outcome.ACCEPT
    if abuse:
        outcome = Outcome.REFUSE if prohibited and not urgency else Outcome.CAUTION
    return Verdict(
        urgent=bool(urgency),
        alarm=any(match.alarm for match in urgency),
        topics=tuple(dict.fromkeys(match.topic for match in urgency)),
        prohibited=prohibited,
        categories=tuple(dict.fromkeys(match.topic for match in abuse)),
        outcome=outcome,
        matches=matches,
        lexicon=lexicon,
    )


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """`verdict` in the shape that the command line prints and the store keeps; no patient text in it."""
    return {
        "urgent": verdict.urgent,
        "alarm": verdict.alarm,
        "topics": list(verdict.topics),
        "prohibited": verdict.prohibited,
        "categories": list(verdict.categories),
        "outcome": verdict.outcome.value,
        "matches": [_match_json(match) for match in verdict.matches],
        "lexicon": verdict.lexicon,
    }


def _match_json(match: Match) -> dict[str, Any]:
    return {
        "rule": match.rule,
        "kind": match.kind,
        "topic": match.topic,
        "start": match.start,
        "end": match.end,
        "context": match.context,
        "counts": match.counts,
        "alarm": match.alarm,
    }
