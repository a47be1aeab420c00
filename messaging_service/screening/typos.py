"""Spelling mistakes in long terms: one letter wrong, missing, doubled or swapped; two in the longest.

One edit leaves one half of a word whole, so a word is compared only with the terms that share a half
with it: a few look-ups a word, and a comparison of bounded length for the rare candidate.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_SHORTEST = 7
_LONGEST = 24
_TWO_EDITS_FROM = 11
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Typos:
    """Long single-word terms by their first and last half; `exempt` are real words that look like one.

    `known` are words that no text can hold without a term being found at them.
    """

    heads: Mapping[str, Sequence[tuple[str, int]]]
    tails: Mapping[str, Sequence[tuple[str, int]]]
    exempt: frozenset[str]
    known: frozenset[str]
    settled: dict[str, frozenset[int]] = field(default_factory=dict)

    def found(self, words: Sequence[str], known: Container[int]) -> Iterator[tuple[int, int]]:
        """(word index, term) for every word that is not in `known` and lies close to a term."""
        for index, word in enumerate(words):
            if len(word) >= _SHORTEST and index not in known:
                for term in self._settled(word):
                    yield index, term

    def guessed(self, words: Sequence[str]) -> set[int]:
        """The terms that `found` may find at most, whatever it is told to be known."""
        close: set[int] = set()
        for word in words:
            if len(word) >= _SHORTEST and word not in self.known:
                close |= self._settled(word)
        return close

    def _settled(self, word: str) -> frozenset[int]:
        """What `word` is close to, kept for the words that come again; rare ones are not kept for ever."""
        if word not in self.settled:
            if len(self.settled) >= _KEPT:
                self.settled.clear()
            apart = len(word) > _LONGEST or word in self.exempt
            self.settled[word] = frozenset() if apart else frozenset(self._close(word))
        return self.settled[word]

    def _close(self, word: str) -> set[int]:
        close = set()
        for half in {len(word) // 2, (len(word) - 1) // 2, (len(word) + 1) // 2}:
            candidates = (*self.heads.get(word[:half], ()), *self.tails.get(word[-half:], ()))
            close |= {term for written, term in candidates if near(word, written)}
        return close


def index_typos(terms: Iterable[tuple[str, int]], exempt: frozenset[str], known: frozenset[str]) -> Typos:
    """Index the single-word terms (written form, number) that are long enough for a mistake to be plain."""
    heads: dict[str, list[tuple[str, int]]] = {}
    tails: dict[str, list[tuple[str, int]]] = {}
    for written, term in terms:
        if _SHORTEST <= len(written) <= _LONGEST and written.isalpha():
            heads.setdefault(written[: len(written) // 2], []).append((written, term))
            tails.setdefault(written[-(len(written) // 2) :], []).append((written, term))
    return Typos(heads, tails, exempt, known)


def near(word: str, term: str) -> bool:
    """Whether `word` is `term` but for one edit (insert, drop, change, swap), two from eleven letters on."""
    allowed = 1 + (len(term) >= _TWO_EDITS_FROM)
    if abs(len(word) - len(term)) > allowed:
        return False
    start = 0
    while start < min(len(word), len(term)) and word[start] == term[start]:
        start += 1
    word, term = word[start:], term[start:]
    while word and term and word[-1] == term[-1]:
        word, term = word[:-1], term[:-1]
    return _edits(word, term) <= allowed


def _edits(word: str, term: str) -> int:
    """How many edits lie between two short strings (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(term) + 1))
    for at, letter in enumerate(word, 1):
        above, row = row, [at]
        for place, wanted in enumerate(term, 1):
            best = min(above[place - 1] + (letter != wanted), above[place] + 1, row[-1] + 1)
            if at > 1 and place > 1 and letter == term[place - 2] and word[at - 2] == wanted:
                best = min(best, before[place - 2] + 1)
            row.append(best)
        before = above
    return row[-1]
