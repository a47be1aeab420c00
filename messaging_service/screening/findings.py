"""Where the terms of the lexicon stand in one reading: the single Aho-Corasick pass, and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick

from messaging_service.screening.numbers import Numbers, in_any
from messaging_service.screening.reading import Reading
from messaging_service.screening.terms import NUMBER, Slot, TermTable
from messaging_service.screening.typos import Typos

Hit = tuple[int, int]


class Findings:
    """The terms found in `reading`, by word: `at[i]` holds (term, last word) of each that starts there."""

    __slots__ = ("at", "numbers", "places", "present", "read", "reading", "terms")

    def __init__(self, reading: Reading, at: dict[int, list[Hit]], present: int, numbers: Numbers) -> None:
        self.reading = reading
        self.at = at
        self.present = present
        self.numbers = numbers
        self.terms = frozenset(term for hits in at.values() for term, _ in hits)
        self.places: dict[int, list[Hit]] = {}
        self.read: dict[int, tuple[float | None, str, bool]] = {}

    def starting(self, word: int, slot: Slot) -> Hit | None:
        """The first and last word of a term of `slot` that starts at `word`."""
        for term, last in self.at.get(word, ()):
            if term in slot.terms and (term != NUMBER or self.number_fits(word, slot)):
                return word, last
        return None

    def number_fits(self, word: int, slot: Slot) -> bool:
        """Whether the number at `word` is one that `slot` asks for."""
        return not slot.numbers or in_any(self._number(word), slot.numbers)

    def _number(self, word: int) -> tuple[float | None, str, bool]:
        if word not in self.read:
            self.read[word] = self.numbers.read(self.reading.words, word)
        return self.read[word]

    def within(self, first: int, end: int, terms: frozenset[int]) -> Iterator[Hit]:
        """The terms of `terms` that start from word `first` up to `end`, in order."""
        for word in range(first, end):
            for term, last in self.at.get(word, ()):
                if term in terms:
                    yield word, last

    def anywhere(self, slot: Slot) -> list[Hit]:
        """Every place in the whole text where a term of `slot` stands."""
        if id(slot) not in self.places:
            self.places[id(slot)] = self._look_everywhere(slot)
        return self.places[id(slot)]

    def _look_everywhere(self, slot: Slot) -> list[Hit]:
        wanted = slot.terms & self.terms
        if not wanted:
            return []
        if len(wanted) == 1 and NUMBER not in wanted:
            (only,) = wanted
            return sorted((word, last) for word, hits in self.at.items() for term, last in hits if term == only)
        return [hit for word in sorted(self.at) if (hit := self.starting(word, slot)) is not None]


@dataclass(frozen=True, slots=True)
class Finder:
    """The compiled search: one automaton over the patterns of all terms of all languages."""

    automaton: AhoCorasick
    patterns: Sequence[tuple[int, int, int, bool]]
    masks: Sequence[int]
    typos: Typos
    numbers: Numbers

    def find(self, reading: Reading) -> Findings:
        """Search `reading` once, then look up its unknown long words for spelling mistakes."""
        at: dict[int, list[Hit]] = {}
        present = 0
        offsets = {start: index for index, start in enumerate(reading.starts)}
        patterns = self.patterns
        for pattern, start, _ in self.automaton.find_matches_as_indexes(reading.copy, overlapping=True):
            term, more, mask, at_word_start = patterns[pattern]
            word = offsets[start + 1] if at_word_start else reading.word_at(start)
            present |= mask
            if word in at:
                at[word].append((term, word + more))
            else:
                at[word] = [(term, word + more)]
        for word, term in self.typos.found(reading.words, at):
            at.setdefault(word, []).append((term, word))
            present |= self.masks[term]
        return Findings(reading, at, present, self.numbers)


def compile_finder(table: TermTable, masks: Mapping[int, int], typos: Typos, numbers: Numbers) -> Finder:
    """Build the automaton for every term in `table`; `masks` says which rule parts a term serves."""
    return Finder(
        automaton=AhoCorasick(table.patterns),
        patterns=tuple(
            (term, table.lengths[term] - 1, masks.get(term, 0), pattern.startswith(" "))
            for pattern, term in zip(table.patterns, table.term_of, strict=True)
        ),
        masks=tuple(masks.get(term, 0) for term in range(len(table.lengths))),
        typos=typos,
        numbers=numbers,
    )
