"""Which rules may match at all: so cheap a look that everyday post is done after it.

A rule is left over only if one sentence holds a term of each of its parts (for a rule on the whole message: if the
message does). What a sentence holds is one whole number with a bit for each distinct part, so that asking for a rule
is one comparison. Small words stand in nearly every sentence: a part that may be one of them is looked for last. The
sieve may let too much through, never too little: what it leaves is judged word by word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from operator import or_

from messaging_service.screening.findings import Search
from messaging_service.screening.numbers import Numbers, in_any
from messaging_service.screening.reading import Reading
from messaging_service.screening.rules import Rule
from messaging_service.screening.terms import NUMBER, Slot, TermTable
from messaging_service.screening.typos import Typos

_A_NUMBER = 1
_NUMBERS_KEPT = 4096

_Asked = tuple[int, int, Sequence[Slot], Rule]
"""The parts that must stand in one sentence and anywhere, the parts of small words, and the rule."""


class Sieve:
    """Compiled for `rules`. Time is linear in the length of the text."""

    def __init__(self, rules: Sequence[Rule], table: TermTable, small: frozenset[int], typos: Typos, numbers: Numbers):
        """`small` are terms that stand in nearly every sentence."""
        told = [(rule, _telling(rule, small)) for rule in rules]
        bits = _bits(told)
        self._masks = _masks(bits, len(table.lengths))
        self._keyed = _keyed(told, bits, len(table.lengths))
        self._search = Search(table, lambda term: self._masks[term] != 0)
        self._others = Search(table, lambda term: self._masks[term] == 0)
        self._keyed_by_number, self._keyed[NUMBER] = self._keyed[NUMBER], ()
        self._ranges = [(slot.numbers, bit) for slot, bit in bits.items() if slot.numbers]
        self._typos = typos
        self._numbers = numbers
        self._fitting = lru_cache(_NUMBERS_KEPT)(self._fits)

    @property
    def searches(self) -> tuple[Search, Search]:
        """The searches that find all terms of `table` between them."""
        return self._search, self._others

    def candidates(self, reading: Reading) -> list[Rule]:
        """The rules that may match in `reading`, each once."""
        masks, keyed = self._masks, self._keyed
        astray = [(term, 0) for term in self._typos.guessed(reading.words)]
        asked: list[_Asked] = []
        anywhere = first = 0
        for sentence in reading.sentences():
            found = self._search.terms_and_places(sentence)
            found += astray
            here = reduce(or_, [masks[term] for term, _ in found], 0)
            if here & _A_NUMBER:
                places = [first + sentence.count(" ", 0, start) for term, start in found if term == NUMBER]
                fitting = reduce(or_, [self._number(reading.words, place) for place in places])
                if fitting:
                    here |= fitting
                    asked += [entry for entry in self._keyed_by_number if entry[0] & here == entry[0]]
            likely = [entry for term, _ in found for entry in keyed[term] if entry[0] & here == entry[0]]
            asked += self._with_small_words(likely, found, sentence) if likely else likely
            first += sentence.count(" ") - 1
            anywhere |= here
        return list({id(rule): rule for _, need, _, rule in asked if need & anywhere == need}.values())

    def _with_small_words(self, asked: list[_Asked], found: Sequence[tuple[int, int]], sentence: str) -> list[_Asked]:
        """Those of `asked` whose parts of small words stand in `sentence` as well."""
        if not any(small for _, _, small, _ in asked):
            return asked
        terms = {term for term, _ in (*found, *self._others.terms_and_places(sentence))}
        return [entry for entry in asked if not any(part.terms.isdisjoint(terms) for part in entry[2])]

    def _number(self, words: Sequence[str], index: int) -> int:
        return self._fitting(words[index], words[index + 1] if index + 1 < len(words) else "")

    def _fits(self, word: str, following: str) -> int:
        """The bits of the parts that the number `word` fits."""
        number = self._numbers.read((word, following), 0)
        return sum(bit for ranges, bit in self._ranges if in_any(number, ranges))


_Told = Sequence[tuple[Rule, Sequence[Slot]]]
"""Rules with the parts that say something, the one that is looked for first before the others."""


def _telling(rule: Rule, small: frozenset[int]) -> Sequence[Slot]:
    first = [rule.parts[rule.key], *rule.parts]
    return [part for part in dict.fromkeys(first) if part.terms.isdisjoint(small)] or first[:1]


def _bits(told: _Told) -> dict[Slot, int]:
    """A bit for each distinct part; the lowest says that there is some number, fitting or not."""
    parts = dict.fromkeys(part for _, telling in told for part in telling)
    return {part: _A_NUMBER << (1 + index) for index, part in enumerate(parts)}


def _masks(bits: Mapping[Slot, int], terms: int) -> list[int]:
    """For each term the bits of the parts that it serves; a number serves those that it fits."""
    masks = [0] * terms
    for slot, bit in bits.items():
        for term in slot.terms:
            masks[term] |= bit
    masks[NUMBER] = _A_NUMBER
    return masks


def _keyed(told: _Told, bits: Mapping[Slot, int], terms: int) -> list[tuple[_Asked, ...]]:
    """For each term the rules that are asked for where it stands: those whose first part it serves."""
    keyed: list[tuple[_Asked, ...]] = [()] * terms
    for rule, telling in told:
        need = reduce(or_, [bits[part] for part in telling])
        small = [part for part in rule.parts if part not in telling]
        entry = (0, need, (), rule) if rule.whole_message else (need, need, small, rule)
        for term in telling[0].terms:
            keyed[term] = (*keyed[term], entry)
    return keyed
