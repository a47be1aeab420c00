"""Which rules may match at all: so cheap a look that everyday post is done after it.

A rule is left over only if one sentence holds a term of each of its parts (for a rule on the whole message: if the
message does). What a sentence holds is one whole number with a bit for each distinct part, so that asking for a rule
is one comparison. The sieve may let too much through, never too little: what it leaves is judged word by word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from operator import or_

from messaging_service.screening.findings import Search
from messaging_service.screening.numbers import Numbers
from messaging_service.screening.reading import Reading
from messaging_service.screening.rules import Rule
from messaging_service.screening.terms import NUMBER, NumberRange, Slot, TermTable
from messaging_service.screening.typos import Typos

_A_NUMBER = 1
_BARE = "bare"
_NUMBERS_KEPT = 4096

_Asked = tuple[int, int, Rule]
"""The parts that must stand in one sentence, those that must stand anywhere, and the rule."""


class Sieve:
    """Compiled for `rules`. Time is linear in the length of the text."""

    def __init__(self, rules: Sequence[Rule], table: TermTable, typos: Typos, numbers: Numbers) -> None:
        bits, terms, size = _bits(rules), table.patterns, len(table.patterns) + 1
        masks = self._masks = _masks(bits, size)
        keyed = self._keyed = _keyed(rules, bits, size)
        self._keyed_by_number, keyed[NUMBER] = keyed[NUMBER], ()
        numerals = table.numerals()
        self._numerals = len(numerals)  # the first of the patterns of `_parts`
        asked = [pattern for pattern, term in terms.items() if masks[term] or keyed[term]]
        others = [pattern for pattern, term in terms.items() if not (masks[term] or keyed[term])]
        self._parts = Search(numerals + asked, [NUMBER] * len(numerals) + [terms[pattern] for pattern in asked])
        self.searches = self._parts, Search(others, [terms[pattern] for pattern in others])
        self._pattern_masks = [masks[term] for term in self._parts.terms]
        self._pattern_keyed = [keyed[term] for term in self._parts.terms]
        self._ranges = _ranges(bits)
        self._fits = lru_cache(_NUMBERS_KEPT)(self._parts_fitted)
        self._typos = typos
        self._numbers = numbers

    def candidates(self, reading: Reading) -> list[Rule]:
        """The rules that may match in `reading`, each once."""
        masks, keyed = self._pattern_masks, self._pattern_keyed
        astray = self._typos.guessed(reading.words)
        might_hold = reduce(or_, [self._masks[term] for term in astray], 0)
        might_key = [entry for term in astray for entry in self._keyed[term]]
        asked: list[_Asked] = []
        anywhere = first = 0
        for sentence in reading.sentences:
            found = self._parts.find(sentence)
            here = reduce(or_, [masks[pattern] for pattern, _, _ in found], might_hold)
            entries = might_key
            if here & _A_NUMBER:
                places = [first + sentence.count(" ", 0, at) for pattern, at, _ in found if pattern < self._numerals]
                if fitting := self._fitting(reading.words, places):
                    here, entries = here | fitting, [*might_key, *self._keyed_by_number]
            asked += [entry for entry in entries if entry[0] & here == entry[0]]
            asked += [entry for pattern, _, _ in found for entry in keyed[pattern] if entry[0] & here == entry[0]]
            first += sentence.count(" ") - 1
            anywhere |= here
        return list({id(rule): rule for _, need, rule in asked if need & anywhere == need}.values())

    def _fitting(self, words: Sequence[str], places: Sequence[int]) -> int:
        """The bits of the parts that the number at one of `places` fits."""
        last = len(words) - 1
        return reduce(or_, [self._fits(words[at], words[at + 1] if at < last else "") for at in places], 0)

    def _parts_fitted(self, word: str, following: str) -> int:
        value, unit, bare = self._numbers.read((word, following), 0)
        if value is None:
            return 0
        limits = self._ranges.get(_BARE if bare else unit, ())
        return reduce(or_, [bit for limit, bit in limits if limit.low <= value <= limit.high], 0)


def _ranges(bits: Mapping[Slot, int]) -> dict[str, list[tuple[NumberRange, int]]]:
    """The ranges with the bits of their parts, by unit, and those that take a number without any."""
    ranges: dict[str, list[tuple[NumberRange, int]]] = {}
    for slot, bit in bits.items():
        for limit in slot.numbers:
            for unit in {limit.unit} - {""} | ({_BARE} if limit.bare else set()):
                ranges.setdefault(unit, []).append((limit, bit))
    return ranges


def _bits(rules: Sequence[Rule]) -> dict[Slot, int]:
    """A bit for each distinct part that must be looked for; the lowest says that there is some number, fitting or not.

    Where a rule is asked for, its key stands; only whether a number fits the key is still to be seen.
    """
    parts = dict.fromkeys(part for rule in rules for part in _sought(rule))
    return {part: _A_NUMBER << (1 + index) for index, part in enumerate(parts)}


def _sought(rule: Rule) -> list[Slot]:
    return [part for at, part in enumerate(rule.parts) if at != rule.key or NUMBER in part.terms]


def _masks(bits: Mapping[Slot, int], terms: int) -> list[int]:
    """For each term the bits of the parts that it serves; a number serves those that it fits."""
    masks = [0] * terms
    for slot, bit in bits.items():
        for term in slot.terms:
            masks[term] = masks[term] | bit if masks[term] else bit  # terms of one part alone share its number
    masks[NUMBER] = _A_NUMBER
    return masks


def _keyed(rules: Sequence[Rule], bits: Mapping[Slot, int], terms: int) -> list[tuple[_Asked, ...]]:
    """For each term the rules that are asked for where it stands: those whose rarest part it serves."""
    keyed: list[tuple[_Asked, ...]] = [()] * terms
    for rule in rules:
        need = reduce(or_, [bits[part] for part in _sought(rule)], 0)
        entry = 0 if rule.whole_message else need, need, rule
        alone = (entry,)
        for term in rule.parts[rule.key].terms:
            keyed[term] = (*keyed[term], entry) if keyed[term] else alone
    return keyed
