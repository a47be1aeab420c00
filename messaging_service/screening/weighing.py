"""Weighing a message by the points of all kinds at once: one look-up a word, one sum a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from math import exp, log
from sys import intern

from messaging_service.screening.points import (
    LEAST_BY_OTHERS,
    MOST,
    MOST_BY_OTHERS,
    SCALE,
    Points,
    Window,
    pieces,
    share_of_message,
)

_REMEMBERED = 20_000
_BITS = 15
_HALF = 1 << (_BITS - 1)
_FIELD = (1 << _BITS) - 1
_NONE = repeat(0)


@dataclass(frozen=True, slots=True)
class Opinion:
    """The total of the words alone, and the first and last word of the window that speaks most strongly."""

    total: float
    first: int
    last: int
    window: Sequence[str]


class Scales:
    """Weighs windows by each kind of points. Its memory of words is bounded; safe to share.

    What a term has in each kind, in its sentence and in the message, is packed into one whole number of fields of 15
    bits, which add up without touching: no window of `LONG` words of `HIGHEST` points overflows one.
    """

    def __init__(self, kinds: Sequence[Points]) -> None:
        self._kinds = kinds
        terms = _packed(kinds)
        self._pairs = {tuple(map(intern, term.split(" "))): value for term, value in terms.items() if " " in term}
        self._known = _Known({term: value for term, value in terms.items() if " " not in term})
        self._shifts = [_BITS * at for at in range(2 * len(kinds))]
        self._middle = sum(_HALF << shift for shift in self._shifts)

    def weigh(self, windows: Sequence[Window]) -> list[Opinion]:
        """For each kind what the words of `windows` (one or more) speak for, without what the rules found."""
        sums = [self._sum(words) + self._middle for _, words in windows]
        fields = [[(one >> shift & _FIELD) - _HALF for one in sums] for shift in self._shifts]
        share = share_of_message([words for _, words in windows])
        return [
            _opinion(points.start, fields[2 * at], share * sum(fields[2 * at + 1]), windows)
            for at, points in enumerate(self._kinds)
        ]

    def _sum(self, words: Sequence[str]) -> int:
        pairs = sum(map(self._pairs.get, pairwise(words), _NONE))
        return sum(map(self._known.__getitem__, set(words)), pairs)


def _opinion(start: int, sentences: Sequence[int], message: float, windows: Sequence[Window]) -> Opinion:
    highest = max(sentences)
    others = SCALE * log(sum([exp((one - highest) / SCALE) for one in sentences]))
    lead = highest + min(others, max(LEAST_BY_OTHERS, min(highest, MOST_BY_OTHERS)))
    first, words = windows[sentences.index(highest)]
    rest = max(-MOST, min(MOST, message))
    return Opinion(start + lead + rest, first, first + len(words) - 1, words)


def _packed(kinds: Sequence[Points]) -> Mapping[str, int]:
    packed: dict[str, int] = {}
    for at, points in enumerate(kinds):
        for term, (sentence, message) in points.terms.items():
            packed[term] = packed.get(term, 0) + ((sentence + (message << _BITS)) << (2 * _BITS * at))
    return packed


class _Known(dict[str, int]):
    """What each word is worth with its pieces, reckoned once and remembered up to a limit."""

    def __init__(self, terms: Mapping[str, int]) -> None:
        self.terms = terms

    def __missing__(self, word: str) -> int:
        """Reckon `word`."""
        value = sum([self.terms.get(piece, 0) for piece in pieces(word)])
        if len(self) < _REMEMBERED:
            self[word] = value
        return value
