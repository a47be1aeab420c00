"""What the message as a whole says about any finding in it: thanks, a question, a story of long ago.

Only a message without a single sign of something going on now is judged so; in any other message each
finding is judged by its own sentence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from messaging_service.screening.findings import Findings
from messaging_service.screening.rules import ContextWords

CERTAIN, LIKELY, NONE = 2, 1, 0


@dataclass(frozen=True, slots=True)
class Effect:
    """What context did: its name, and whether that is certain (2), likely (1) or nothing (0)."""

    name: str
    weight: int


NOTHING = Effect("", NONE)

_TAKES_AWAY: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("thanks", ("thanks",)),
    ("information", ("information",)),
    ("history", ("past",)),
    ("chronic", ("chronic",)),
)
_MAKES_DOUBTFUL = (
    ("information", "maybe information", ("maybe_information", "requests", "asks")),
    ("chronic", "maybe mild", ("mild",)),
)

_EVERYDAY = tuple(
    "everyday requests asks information maybe_information thanks past recent_past chronic mild resolved idiom".split()  # noqa: SIM905
)


class Frame:
    """One message with the context words of one language; what it says as a whole is worked out once."""

    def __init__(self, findings: Findings, words: ContextWords) -> None:
        self.findings = findings
        self.words = words
        self._effects: dict[frozenset[str], Effect] = {}

    def effect(self, heeds: frozenset[str]) -> Effect:
        """The effect on every finding of the message, for rules that heed the contexts `heeds`."""
        if heeds not in self._effects:
            self._effects[heeds] = self._effect(heeds)
        return self._effects[heeds]

    def _effect(self, heeds: frozenset[str]) -> Effect:
        if "doubt" in heeds and self._everyday:
            return Effect("doubt", CERTAIN)
        if not self.words["acute"] or self._going_on:
            return NOTHING
        for context, roles in _TAKES_AWAY:
            if context in heeds and self._says(*roles) and not (context == "history" and self._says("procedure")):
                return Effect(context, CERTAIN)
        if "information" in heeds and self._asks:
            return Effect("maybe information", LIKELY)
        if self._says("resolved") and self._says("recent_past") and not self._says("unresolved"):
            return Effect("resolved", CERTAIN)
        for context, name, roles in _MAKES_DOUBTFUL:
            if context in heeds and self._says(*roles):
                return Effect(name, LIKELY)
        return NOTHING

    def _says(self, *roles: str) -> bool:
        return any(not self.words[role].isdisjoint(self.findings.terms) for role in roles)

    @cached_property
    def _everyday(self) -> bool:
        """Whether the message bears any mark of everyday post: a question, a request, thanks, something old or mild."""
        return "?" in self.findings.reading.words or self._says(*_EVERYDAY) or self._asks

    @cached_property
    def _asks(self) -> bool:
        """Whether a sentence begins as questions about everyday matters do; many write no question mark.

        With a question mark somewhere, it may be a clause after a comma.
        """
        if not self._says("opens_question"):
            return False
        read = self.findings.reading.words
        stops = (".", ",", "?") if "?" in read else (".", "?")
        starts = [0, *(index + 1 for index, word in enumerate(read) if word in stops)]
        openers = self.words["opens_question"]
        return any(self.findings.holds(start, start + 1, openers) for start in starts)

    @cached_property
    def _going_on(self) -> bool:
        """Whether the message says of anything that it is going on now, by a word that nothing takes back."""
        if not self._says("acute"):
            return False
        end = len(self.findings.reading.words)
        taken_back = {
            word
            for first, last in self.findings.within(0, end, self.words["not_acute"])
            for word in range(first, last + 1)
        }
        return any(first not in taken_back for first, _ in self.findings.within(0, end, self.words["acute"]))
