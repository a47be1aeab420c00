"""The terms of a lexicon: how a word, a phrase or a word with a star is written, and numbered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from messaging_service.screening.copying import folded_copy
from messaging_service.screening.errors import LexiconFault
from messaging_service.screening.reading import mark_stops

NUMBER = 0
_SHORT = 4
_PLAIN = "abcdefghijklmnopqrstuvwxyz "
_DIGITS = tuple(f" {digit}" for digit in "0123456789")


@dataclass(frozen=True, slots=True)
class NumberRange:
    """A number from `low` to `high`, in `unit`; `bare` also takes a number without any unit."""

    low: float
    high: float
    unit: str
    bare: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """One part of a rule: any of these terms, or a number in any of these ranges."""

    terms: frozenset[int]
    numbers: tuple[NumberRange, ...] = ()


@dataclass(slots=True)
class TermTable:
    """Every distinct term of all files, each once, numbered from 1 in the order in which it was met; 0 is any number.

    `patterns` holds what is searched for to find a term, with its number; `short` are the numbers of those of few
    letters.
    """

    fold_table: dict[int, str]
    patterns: dict[str, int] = field(default_factory=dict)
    short: set[int] = field(default_factory=set)
    spelling: dict[str, str] = field(default_factory=dict)
    verbs: set[str] = field(default_factory=set)
    subjects: list[str] = field(default_factory=list)
    number_words: list[str] = field(default_factory=list)
    _read: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        """Put the patterns in order, once no further term will be read, and forget how they were written."""
        self.patterns = dict(sorted(self.patterns.items()))
        self._read.clear()

    def numerals(self) -> list[str]:
        """What is searched for to find a number: digits, and the words that stand for one."""
        return [*_DIGITS, *[f" {word} " for word in self.number_words]]

    def lengths(self) -> list[int]:
        """How many words each term has."""
        words = [1] * (len(self.patterns) + 1)
        for pattern, term in self.patterns.items():
            words[term] += pattern.strip().count(" ")
        return words

    def whole_words(self) -> Iterator[tuple[str, int]]:
        """The single words without a star, and those with one at their end (without it), with their numbers."""
        for pattern, term in self.patterns.items():
            if pattern[0] == " " and " " not in (core := pattern.strip()):
                yield core, term

    def slot(self, written: str | Sequence[str], groups: Mapping[str, Slot]) -> Slot:
        """Read one part: alternatives between bars, `@group` names, `#low-high unit` ranges.

        Raises:
            LexiconFault: a group is not known, or a range cannot be read.
        """
        terms: set[int] = set()
        numbers: list[NumberRange] = []
        for alternative in written.split(" | ") if isinstance(written, str) else written:
            known = self._read.get(alternative)
            if known is not None:
                terms.add(known)
            elif alternative[:1] == "@":
                group = _group(alternative, groups)
                terms |= group.terms
                numbers += group.numbers
            elif alternative[:1] == "#":
                numbers.append(number_range(alternative))
                terms.add(NUMBER)
            else:
                terms.update(self._forms(alternative))
        return Slot(frozenset(terms), tuple(numbers))

    def _forms(self, written: str) -> Sequence[int]:
        """The terms for `written`: itself, and for `kan niet lopen` also `kan ik niet lopen`."""
        verb, _, rest = written.partition(" ")
        if rest and verb in self.verbs and rest.split(" ")[0] not in self.subjects:
            return [self._term(written), *(self._term(f"{verb} {subject} {rest}") for subject in self.subjects)]
        number = self._read[written] = self._term(written)
        return (number,)

    def _term(self, written: str) -> int:
        """The number of the term `written`: `pijn`, `pijn*`, `*pijn`, `*pijn*`, `pijn op de borst`.

        Raises:
            LexiconFault: nothing is left of the term once it is folded.
        """
        core = written.strip("* ")
        if core.strip(_PLAIN):
            core = _folded_term(core, self.fold_table)
        if not core:
            raise LexiconFault(f"the term {written!r} is empty")
        if "*" not in written:
            if not self.spelling.keys().isdisjoint(words := core.split(" ")):
                core = " ".join([self.spelling.get(word, word) for word in words])
            pattern = f" {core} "
        else:
            pattern = f"{'' if written[0] == '*' else ' '}{core}{'' if written[-1] == '*' else ' '}"
        number = self.patterns.setdefault(pattern, len(self.patterns) + 1)
        if len(core) <= _SHORT:
            self.short.add(number)
        return number


def _group(name: str, groups: Mapping[str, Slot]) -> Slot:
    if name[1:] not in groups:
        raise LexiconFault(f"the group {name} is not defined")
    return groups[name[1:]]


def _folded_term(written: str, table: dict[int, str]) -> str:
    """`written` in the form in which texts are searched; most terms are in that form already."""
    if not written.strip(_PLAIN):
        return written
    return " ".join(mark_stops(folded_copy(written, table).text).split())


def number_range(written: str) -> NumberRange:
    """Read `#38.5-43 degrees`, `#38.5-43 degrees?` (unit may be missing) or `#20-42` (no unit).

    Raises:
        LexiconFault: it is not written so.
    """
    limits, _, unit = written[1:].partition(" ")
    low, _, high = limits.partition("-")
    try:
        span = float(low), float(high)
    except ValueError:
        raise LexiconFault(f"the range {written!r} is not written as #low-high unit") from None
    return NumberRange(*span, unit.rstrip("?"), bare=not unit or unit.endswith("?"))
