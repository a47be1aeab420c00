"""Where the terms of the lexicon stand in one reading: the single Aho-Corasick pass, and what it found."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ahocorasick_rs import AhoCorasick

from messaging_service.screening.numbers import Number, Numbers, in_any
from messaging_service.screening.reading import Reading
from messaging_service.screening.terms import NUMBER, Slot
from messaging_service.screening.typos import Typos

Hit = tuple[int, int]


class Findings:
    """The terms found in `reading`, by word: `at[i]` holds (term, last word) of each that starts there."""

    __slots__ = ("_spots", "_where", "at", "numbers", "places", "read", "reading", "terms")

    def __init__(self, reading: Reading, found: Iterable[tuple[int, int, int]], numbers: Numbers) -> None:
        """`found` holds first word, term and last word of each."""
        self.reading = reading
        self.at: dict[int, list[Hit]] = {}
        self.numbers = numbers
        self.places: dict[int, list[Hit]] = {}
        self.read: dict[int, Number] = {}
        self._where: dict[int, list[Hit]] = {}
        self._spots: dict[int, list[Hit]] = {}
        for word, term, last in found:
            if word in self.at:
                self.at[word].append((term, last))
            else:
                self.at[word] = [(term, last)]
            if term in self._where:
                self._where[term].append((word, last))
            else:
                self._where[term] = [(word, last)]
        self.terms = frozenset(self._where)

    def starting(self, word: int, slot: Slot) -> Hit | None:
        """The first and last word of a term of `slot` that starts at `word`."""
        for term, last in self.at.get(word, ()):
            if term in slot.terms and (term != NUMBER or self.number_fits(word, slot)):
                return word, last
        return None

    def number_fits(self, word: int, slot: Slot) -> bool:
        """Whether the number at `word` is one that `slot` asks for."""
        return not slot.numbers or in_any(self._number(word), slot.numbers)

    def _number(self, word: int) -> Number:
        if word not in self.read:
            self.read[word] = self.numbers.read(self.reading.words, word)
        return self.read[word]

    def within(self, first: int, end: int, terms: frozenset[int]) -> list[Hit]:
        """The terms of `terms` that start from word `first` up to `end`, in order."""
        spots = self._of(terms)
        return spots[bisect_left(spots, (first,)) : bisect_left(spots, (end,))] if spots else spots

    def holds(self, first: int, end: int, terms: frozenset[int]) -> bool:
        """Whether some term of `terms` starts from word `first` up to `end`."""
        spots = self._of(terms)
        at = bisect_left(spots, (first,)) if spots else 0
        return at < len(spots) and spots[at][0] < end

    def _of(self, terms: frozenset[int]) -> list[Hit]:
        """Where any of `terms` stands; `terms` belongs to the lexicon, and its identity names it."""
        if id(terms) not in self._spots:
            self._spots[id(terms)] = sorted(hit for term in terms & self.terms for hit in self._where[term])
        return self._spots[id(terms)]

    def anywhere(self, slot: Slot) -> list[Hit]:
        """Every place in the whole text where a term of `slot` stands."""
        if id(slot) not in self.places:
            self.places[id(slot)] = self._look_everywhere(slot)
        return self.places[id(slot)]

    def _look_everywhere(self, slot: Slot) -> list[Hit]:
        wanted = slot.terms & self.terms
        if len(wanted) == 1 and NUMBER not in wanted:
            (only,) = wanted
            return sorted(self._where[only])
        words = sorted({word for term in wanted for word, _ in self._where[term]})
        return [hit for word in words if (hit := self.starting(word, slot)) is not None]


class Search:
    """One automaton over some patterns; `terms[i]` is the term that pattern i stands for."""

    def __init__(self, patterns: Sequence[str], terms: Sequence[int]) -> None:
        """Compile `patterns`; in alphabetical order that takes half the time."""
        self.patterns, self.terms = patterns, terms
        self._automaton = AhoCorasick(self.patterns, store_patterns=False)

    def find(self, text: str) -> list[tuple[int, int, int]]:
        """Index, start and end of each pattern in `text`, overlapping or not."""
        return self._automaton.find_matches_as_indexes(text, overlapping=True)


@dataclass(frozen=True, slots=True)
class Finder:
    """The whole search, over all terms of all languages."""

    searches: Sequence[Search]
    lengths: Sequence[int]
    typos: Typos
    numbers: Numbers

    def find(self, reading: Reading) -> Findings:
        """Search `reading` once, then look up its unknown long words for spelling mistakes."""
        copy, offsets = reading.copy, {start: index for index, start in enumerate(reading.starts)}
        hits = [(end, start, search.terms[at]) for search in self.searches for at, start, end in search.find(copy)]
        found, known = [], set()
        for end, start, term in sorted(hits):
            word = offsets[start + 1] if copy[start] == " " else reading.word_at(start)
            found.append((word, term, word + self.lengths[term] - 1))
            if 2 * (end - start) > len(reading.words[word]):  # `hart*` alone does not make `hartinfact` a known word
                known.add(word)
        found += [(word, term, word) for word, term in self.typos.found(reading.words, known)]
        return Findings(reading, found, self.numbers)
