"""What the message as a whole says about any finding in it: thanks, a question, a story of long ago.

Only a message without a single sign of something going on now is judged so; in any other message each
finding is judged by its own sentence.
"""

from __future__ import annotations

from dataclasses import dataclass

from messaging_service.screening.findings import Findings
from messaging_service.screening.rules import ContextWords

CERTAIN, LIKELY, NONE = 2, 1, 0


@dataclass(frozen=True, slots=True)
class Effect:
    """What context did: its name, and whether that is certain (2), likely (1) or nothing (0)."""

    name: str
    weight: int


NOTHING = Effect("", NONE)

_TAKES_AWAY = (
    ("thanks", ("thanks",)),
    ("information", ("information", "asks")),
    ("history", ("past",)),
    ("chronic", ("chronic",)),
)
_MAKES_DOUBTFUL = (
    ("information", "maybe information", ("maybe_information", "requests")),
    ("history", "maybe history", ("recent_past",)),
    ("chronic", "maybe mild", ("mild",)),
)

_EVERYDAY = tuple(
    "everyday requests asks information maybe_information thanks past recent_past chronic mild resolved idiom".split()  # noqa: SIM905
)


def message_effect(findings: Findings, words: ContextWords, heeds: frozenset[str]) -> Effect:
    """The effect on every finding of a message, for rules that heed the contexts `heeds`."""
    present = findings.terms

    def says(role: str) -> bool:
        return not words[role].isdisjoint(present)

    if "doubt" in heeds and _doubtful(findings, words):
        return Effect("doubt", CERTAIN)
    if not words["acute"] or _going_on(findings, words):
        return NOTHING
    for context, roles in _TAKES_AWAY:
        if context in heeds and any(says(role) for role in roles):
            if context != "history" or not says("procedure"):
                return Effect(context, CERTAIN)
    if "information" in heeds and _opens_question(findings, words):
        return Effect("information", CERTAIN)
    if says("resolved") and not says("unresolved") and says("recent_past"):
        return Effect("resolved", CERTAIN)
    for context, name, roles in _MAKES_DOUBTFUL:
        if context in heeds and any(says(role) for role in roles):
            return Effect(name, LIKELY)
    if "information" in heeds and "?" in findings.reading.words:
        return Effect("maybe information", LIKELY)
    return NOTHING


def _doubtful(findings: Findings, words: ContextWords) -> bool:
    """Whether the message bears any mark of everyday post: a question, a request, thanks, something old or mild."""
    reading = findings.reading
    if "?" in reading.words or any(not words[role].isdisjoint(findings.terms) for role in _EVERYDAY):
        return True
    return _opens_question(findings, words)


def _opens_question(findings: Findings, words: ContextWords) -> bool:
    """Whether a sentence begins as questions about everyday matters do; many write no question mark.

    With a question mark somewhere, it may be a clause after a comma.
    """
    read = findings.reading.words
    stops = (".", ",", "?") if "?" in read else (".", "?")
    starts = [0, *(index + 1 for index, word in enumerate(read) if word in stops)]
    return any(next(findings.within(start, start + 1, words["opens_question"]), None) for start in starts)


def _going_on(findings: Findings, words: ContextWords) -> bool:
    """Whether the message says of anything that it is going on now, by a word that nothing takes back."""
    if words["acute"].isdisjoint(findings.terms):
        return False
    end = len(findings.reading.words)
    taken_back = {
        word for first, last in findings.within(0, end, words["not_acute"]) for word in range(first, last + 1)
    }
    return any(first not in taken_back for first, _ in findings.within(0, end, words["acute"]))
