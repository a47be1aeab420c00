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
    """Every distinct term of all files, each once.

    `patterns[i]` is what is searched for term `term_of[i]`; a term has `lengths` words; `short` are those of
    few letters.
    """

    fold_table: dict[int, str]
    patterns: list[str] = field(default_factory=lambda: list(_DIGITS))
    term_of: list[int] = field(default_factory=lambda: [NUMBER] * len(_DIGITS))
    lengths: list[int] = field(default_factory=lambda: [1])
    short: set[int] = field(default_factory=set)
    spelling: dict[str, str] = field(default_factory=dict)
    verbs: set[str] = field(default_factory=set)
    subjects: list[str] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)
    _read: dict[str, int] = field(default_factory=dict)

    def number_word(self, word: str) -> None:
        """Let `word` stand for a number, as `tien` does."""
        self.patterns.append(f" {word} ")
        self.term_of.append(NUMBER)

    def term(self, written: str) -> int:
        """The number of the term `written`: `pijn`, `pijn*`, `*pijn`, `*pijn*`, `pijn op de borst`.

        Raises:
            LexiconFault: nothing is left of the term once it is folded.
        """
        core = written.strip("*")
        if core.strip(_PLAIN):
            core = _folded_term(core, self.fold_table)
        if not core:
            raise LexiconFault(f"the term {written!r} is empty")
        if "*" not in written:
            if not self.spelling.keys().isdisjoint(words := core.split(" ")):
                core = " ".join([self.spelling.get(word, word) for word in words])
            return self._number(f" {core} ")
        return self._number(f"{'' if written[0] == '*' else ' '}{core}{'' if written[-1] == '*' else ' '}")

    def _number(self, pattern: str) -> int:
        known = self._known.get(pattern)
        if known is not None:
            return known
        number = self._known[pattern] = len(self.lengths)
        self.patterns.append(pattern)
        self.term_of.append(number)
        core = pattern.strip()
        self.lengths.append(core.count(" ") + 1)
        if len(core) <= _SHORT:
            self.short.add(number)
        return number

    def whole_words(self) -> Iterator[tuple[str, int]]:
        """The single words without a star, and those with one at their end (without it), with their numbers."""
        for pattern, term in self._known.items():
            if pattern[0] == " " and self.lengths[term] == 1:
                yield pattern.strip(), term

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
            elif alternative.isalpha() and alternative.isascii() and alternative.islower():
                terms.add(self._plain_word(alternative))
            elif (start := alternative.lstrip()[:1]) == "@":
                group = _group(alternative.strip(), groups)
                terms |= group.terms
                numbers += group.numbers
            elif start == "#":
                numbers.append(number_range(alternative.strip()))
                terms.add(NUMBER)
            else:
                terms.update(self._forms(alternative))
        return Slot(frozenset(terms), tuple(numbers))

    def _plain_word(self, written: str) -> int:
        """The term of one word in the form in which texts are searched; most terms are such."""
        number = self._read[written] = self._number(f" {self.spelling.get(written, written)} ")
        return number

    def _forms(self, alternative: str) -> Sequence[int]:
        """The terms for `alternative`: itself, and for `kan niet lopen` also `kan ik niet lopen`."""
        written = alternative.strip()
        verb, _, rest = written.partition(" ")
        if rest and verb in self.verbs and rest.split(" ")[0] not in self.subjects:
            return [self.term(written), *(self.term(f"{verb} {subject} {rest}") for subject in self.subjects)]
        number = self._read[alternative] = self.term(written)
        return (number,)


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
