"""The terms of a lexicon: how a word, a phrase or a word with a star is written, and numbered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from messaging_service.screening.copying import folded_copy
from messaging_service.screening.errors import LexiconFault
from messaging_service.screening.reading import mark_stops

NUMBER = 0
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

    `patterns[i]` is what is searched for term `term_of[i]`; a term has `lengths` words and `widths` letters.
    """

    fold_table: dict[int, str]
    patterns: list[str] = field(default_factory=lambda: list(_DIGITS))
    term_of: list[int] = field(default_factory=lambda: [NUMBER] * len(_DIGITS))
    lengths: list[int] = field(default_factory=lambda: [1])
    widths: list[int] = field(default_factory=lambda: [1])
    spelling: dict[str, str] = field(default_factory=dict)
    verbs: set[str] = field(default_factory=set)
    subjects: list[str] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def number_word(self, word: str) -> None:
        """Let `word` stand for a number, as `tien` does."""
        self.patterns.append(f" {word} ")
        self.term_of.append(NUMBER)

    def term(self, written: str) -> int:
        """The number of the term `written`: `pijn`, `pijn*`, `*pijn`, `*pijn*`, `pijn op de borst`.

        Raises:
            LexiconFault: nothing is left of the term once it is folded.
        """
        core = _folded_term(written.strip("*"), self.fold_table)
        if "*" not in written:
            core = " ".join([self.spelling.get(word, word) for word in core.split(" ")])
        if not core:
            raise LexiconFault(f"the term {written!r} is empty")
        key = f"{'*' if written.startswith('*') else ' '}{core}{'*' if written.endswith('*') else ' '}"
        if key not in self._known:
            self._known[key] = len(self.lengths)
            self.patterns.append(key.replace("*", ""))
            self.term_of.append(self._known[key])
            self.lengths.append(core.count(" ") + 1)
            self.widths.append(len(core))
        return self._known[key]

    def whole_words(self) -> Iterator[tuple[str, int]]:
        """The single words without a star, and those with one at their end (without it), with their numbers."""
        for key, term in self._known.items():
            if key.startswith(" ") and " " not in key[1:-1]:
                yield key[1:-1], term

    def slot(self, written: str | Sequence[str], groups: Mapping[str, Slot]) -> Slot:
        """Read one part: alternatives between bars, `@group` names, `#low-high unit` ranges.

        Raises:
            LexiconFault: a group is not known, or a range cannot be read.
        """
        alternatives = written.split(" | ") if isinstance(written, str) else written
        terms: set[int] = set()
        numbers: list[NumberRange] = []
        for alternative in (text.strip() for text in alternatives):
            if alternative.startswith("@"):
                if alternative[1:] not in groups:
                    raise LexiconFault(f"the group {alternative} is not defined")
                terms |= groups[alternative[1:]].terms
                numbers += groups[alternative[1:]].numbers
            elif alternative.startswith("#"):
                numbers.append(number_range(alternative))
                terms.add(NUMBER)
            else:
                terms.add(self.term(alternative))
                terms.update(self.term(inverted) for inverted in self._inverted(alternative))
        return Slot(frozenset(terms), tuple(numbers))

    def _inverted(self, written: str) -> Iterator[str]:
        """`kan niet lopen` with its subject put in: `kan ik niet lopen`."""
        verb, _, rest = written.partition(" ")
        if rest and verb in self.verbs and rest.split(" ")[0] not in self.subjects:
            for subject in self.subjects:
                yield f"{verb} {subject} {rest}"


def _folded_term(written: str, table: dict[int, str]) -> str:
    """`written` in the form in which texts are searched; most terms are in that form already."""
    if written.isascii() and written.islower() and written.replace(" ", "").isalpha():
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
