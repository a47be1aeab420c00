"""A text as a row of words and stops, the form in which the rules read it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from ahocorasick_rs import AhoCorasick

from messaging_service.screening.copying import FoldedCopy

STOPS = (".", "?")
COMMA = ","
_MARKS = {ord(c): " " for c in "\"'`´‘’‚‛“”„«»()[]{}<>*#@&$€£/\\|_^~+=°-–—…•·\t\r\0\x0b\x0c"}
_MARKS |= {point: " " for point in range(0x20) if point != 10}
_MARKS |= {ord("!"): ".", ord(";"): ".", ord(":"): ",", ord("¿"): " ", ord("…"): ".", ord("("): ",", ord(")"): ","}
_DECIMAL = "\x7f"
_BEFORE_DIGIT = AhoCorasick([f"{sign}{digit}" for sign in ".," for digit in "0123456789"])
_ABBREVIATED = {
    f" {word}.": f" {word} " for word in ("dr", "drs", "mw", "mevr", "dhr", "prof", "mr", "mrs", "st", "nr")
}
_ABBREVIATIONS = AhoCorasick(list(_ABBREVIATED))


@dataclass
class Reading:
    """Words and stops in order; `copy` is them joined by single blanks, with one before and one after.

    `places[i]` is the span of word i in the folded copy's text. In `copy` the words stand as `spelling` writes them
    (`nie` as `niet`); `words` keeps what was typed.
    """

    words: list[str]
    source: FoldedCopy
    spelling: Mapping[str, str]
    places: list[tuple[int, int]] | None = None

    @cached_property
    def copy(self) -> str:
        """What is searched: `written` as one line."""
        return f" {' '.join(self.written)} "

    @cached_property
    def starts(self) -> list[int]:
        """Where each word begins in `copy`."""
        return list(accumulate((len(word) + 1 for word in self.written), initial=1))

    @cached_property
    def breaks(self) -> list[int]:
        """Which words are stops."""
        return [index for index, word in enumerate(self.words) if word in STOPS]

    @cached_property
    def written(self) -> list[str]:
        """The words as `spelling` writes them, one by one."""
        if self.spelling.keys().isdisjoint(self.words):
            return self.words
        return list(map(self.spelling.get, self.words, self.words))

    @cached_property
    def sentences(self) -> list[str]:
        """`copy` cut after each stop, each piece with blanks around it; a second stop in a row cuts nothing."""
        return self.copy.replace(" . ", " . \n ").replace(" ? ", " ? \n ").split("\n")

    def word_at(self, offset: int) -> int:
        """The index of the word that covers `offset` in the copy."""
        return bisect_right(self.starts, offset) - 1

    def sentence(self, word: int) -> tuple[int, int]:
        """First word and one past the last word (its stop included) of the sentence around `word`."""
        at = bisect_right(self.breaks, word - 1)
        first = self.breaks[at - 1] + 1 if at else 0
        return first, self.breaks[at] + 1 if at < len(self.breaks) else len(self.words)

    def typed_span(self, first: int, last: int) -> tuple[int, int]:
        """Code points, in the text as typed, from word `first` up to the end of word `last`."""
        if self.places is None:
            self.places = _find_places(self.words, self.source.text)
        return self.source.typed_span(self.places[first][0], self.places[last][1])


def plain_reading(copy: FoldedCopy, spelling: Mapping[str, str]) -> Reading:
    """Split the folded copy into words, numbers with their decimals, commas and stops."""
    return Reading(mark_stops(copy.text).split(), copy, spelling)


def mark_stops(text: str) -> str:
    """`text` with blanks for punctuation, and stops and commas standing apart."""
    if "\n" in text:
        text = _break_lines(text)
    text = _without_title_stops(text.translate(_MARKS))
    text = _protect_decimals(text).replace(".", " . ").replace(",", " , ").replace("?", " ? ")
    return text.replace(_DECIMAL, ".") if _DECIMAL in text else text


def _without_title_stops(text: str) -> str:
    """`dr. vos` is one sentence: the stop of a short form goes."""
    padded = f" {text}"
    if not _ABBREVIATIONS.find_matches_as_indexes(padded):
        return text
    for short, bare in _ABBREVIATED.items():
        if short in padded:
            padded = padded.replace(short, bare)
    return padded[1:]


def _break_lines(text: str) -> str:
    """A line that ends in mid-sentence runs on; any other line end is a stop."""
    lines = text.split("\n")
    joined = [lines[0]]
    for before, line in pairwise(lines):
        runs_on = len(before) > 55 and line[:1].isalpha()
        joined.append((" " if runs_on else ".") + line)
    return "".join(joined)


def _protect_decimals(text: str) -> str:
    """Keep `39,5` and `39.5` one word by a stand-in for the sign between two digits."""
    signs = [at for _, at, _ in _BEFORE_DIGIT.find_matches_as_indexes(text) if text[at - 1 : at].isdigit()]
    if not signs:
        return text
    characters = list(text)
    for at in signs:
        characters[at] = _DECIMAL
    return "".join(characters)


def _find_places(words: list[str], text: str) -> list[tuple[int, int]]:
    """Where each word stands in the folded text; a stop stands for any mark, so it takes the gap's place."""
    places: list[tuple[int, int]] = []
    position = 0
    for word in words:
        if word in STOPS or word == COMMA:
            places.append((position, position))
            continue
        found = text.find(word.split(".")[0], position)
        position = found + len(word)
        places.append((found, position))
    return places
