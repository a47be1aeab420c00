"""What a lexicon holds once it is read: rules, and the words around them that change what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from messaging_service.screening.terms import Slot


@dataclass(frozen=True, slots=True)
class Rule:
    """Parts that must stand together, and what follows when they do.

    `key` is the part that is looked for first, the rarest. `within` is how many words may lie between the
    key and another part. `need` has a bit for each part. `topic` is a topic of urgency or a category of
    prohibited material. `match` and `no_match` are the examples that the tests check.
    """

    id: str
    kind: str
    topic: str
    language: str
    parts: tuple[Slot, ...]
    key: int
    ordered: bool
    within: int
    whole_message: bool
    unless: frozenset[int]
    unless_anywhere: frozenset[int]
    alarm: bool
    refuses: bool
    heeds: frozenset[str]
    match: tuple[str, ...]
    no_match: tuple[str, ...]


_NO_TERMS = frozenset[int]()


class ContextWords(dict[str, frozenset[int]]):
    """The words of one language that turn a finding into history, a question, a denial … by their role."""

    def __missing__(self, role: str) -> frozenset[int]:
        """A language without words for `role`."""
        return _NO_TERMS


@dataclass(frozen=True, slots=True)
class Lexicon:
    """All rules and context words, with the numbers that words and units stand for.

    `units` maps a unit's word to its canonical name and factor (`uur` is 60 minutes). `version` names the
    content: it changes whenever any rule does.
    """

    version: str
    rules: tuple[Rule, ...]
    context: Mapping[str, ContextWords]
    number_words: Mapping[str, float]
    units: Mapping[str, tuple[str, float]]
    not_typos: frozenset[str]
    maskable: frozenset[str]
    spelling: Mapping[str, str]
    function_words: Mapping[str, frozenset[str]]
