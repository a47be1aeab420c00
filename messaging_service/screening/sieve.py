"""Which rules may match at all: so cheap a look that everyday post is done after it.

A rule is left over only if one sentence holds a term of each of its parts (for a rule on the whole message: if the
message does). What a sentence holds is one whole number with a bit for each distinct part, so that asking for a rule
is one comparison. The sieve may let too much through, never too little: what it leaves is judged word by word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from operator import or_

from messaging_service.screening.findings import Finder
from messaging_service.screening.numbers import in_any
from messaging_service.screening.reading import Reading
from messaging_service.screening.rules import Rule
from messaging_service.screening.terms import NUMBER, Slot

_A_NUMBER = 1
_NUMBERS_KEPT = 4096

_Asked = tuple[int, int, Rule]
"""What must stand in the sentence of a rule's key, what must stand anywhere, and the rule."""


class Sieve:
    """Compiled for `rules`, over the automaton of `finder`. Time is linear in the length of the text."""

    def __init__(self, rules: Sequence[Rule], finder: Finder) -> None:
        bits = _bits(rules)
        self._finder = finder
        self._masks = _masks(bits, finder.terms)
        self._keyed = _keyed(rules, bits, finder.terms)
        self._keyed_by_number, self._keyed[NUMBER] = self._keyed[NUMBER], ()
        self._ranges = [(slot.numbers, bit) for slot, bit in bits.items() if slot.numbers]
        self._fitting = lru_cache(_NUMBERS_KEPT)(self._fits)

    def candidates(self, reading: Reading) -> list[Rule]:
        """The rules that may match in `reading`, each once."""
        masks, keyed = self._masks, self._keyed
        astray = self._finder.typos.guessed(reading.words)
        asked: list[_Asked] = []
        anywhere = first = 0
        for sentence in reading.sentences():
            terms = self._finder.terms_in(sentence)
            terms += astray
            here = reduce(or_, map(masks.__getitem__, terms), 0)
            end = first + sentence.count(" ") - 1
            if here & _A_NUMBER and (fitting := self._numbers(reading.words, first, end)):
                here |= fitting
                asked += [entry for entry in self._keyed_by_number if entry[0] & here == entry[0]]
            asked += [entry for term in terms for entry in keyed[term] if entry[0] & here == entry[0]]
            first, anywhere = end, anywhere | here
        return list({id(rule): rule for _, need, rule in asked if need & anywhere == need}.values())

    def _numbers(self, words: Sequence[str], first: int, end: int) -> int:
        """The bits of the parts that some number from word `first` up to `end` fits."""
        named = self._finder.numbers.words
        fitting = 0
        for index in range(first, end):
            word = words[index]
            if word in named or word[0].isdigit():
                fitting |= self._fitting(word, words[index + 1] if index + 1 < len(words) else "")
        return fitting

    def _fits(self, word: str, following: str) -> int:
        number = self._finder.numbers.read((word, following), 0)
        return sum(bit for ranges, bit in self._ranges if in_any(number, ranges))


def _bits(rules: Sequence[Rule]) -> dict[Slot, int]:
    """A bit for each distinct part; the lowest says that there is some number, fitting or not."""
    bits: dict[Slot, int] = {}
    for rule in rules:
        for part in rule.parts:
            bits.setdefault(part, _A_NUMBER << (1 + len(bits)))
    return bits


def _masks(bits: Mapping[Slot, int], terms: int) -> list[int]:
    """For each term the bits of the parts that it serves; a number serves those that it fits."""
    masks = [0] * terms
    for slot, bit in bits.items():
        for term in slot.terms:
            masks[term] |= bit
    masks[NUMBER] = _A_NUMBER
    return masks


def _keyed(rules: Sequence[Rule], bits: Mapping[Slot, int], terms: int) -> list[tuple[_Asked, ...]]:
    """For each term the rules that are asked for where it stands: those whose rarest part it serves."""
    keyed: list[tuple[_Asked, ...]] = [()] * terms
    for rule in rules:
        need = reduce(or_, [bits[part] for part in rule.parts])
        entry = 0 if rule.whole_message else need, need, rule
        for term in rule.parts[rule.key].terms:
            keyed[term] = (*keyed[term], entry)
    return keyed
