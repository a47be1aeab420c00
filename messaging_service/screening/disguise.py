"""A second reading of text that seems to hide its words: k4nker, k.a.n.k.e.r, k a n k e r, kaaanker, k*nker.

The plain reading always counts too, so this one may guess freely: it only ever adds what a rule finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from ahocorasick_rs import AhoCorasick

from messaging_service.screening.copying import FoldedCopy
from messaging_service.screening.reading import STOPS, Reading

_LEET = str.maketrans("4@0315!$7+|8", "aaoeisisttlb")
_MASKS = "*#%?"
_SYMBOLS = "@!$|+€"
_JOINTS = "-_.,/~=*'`^:;\\"
_CLASS = (
    dict.fromkeys(range(ord("a"), ord("z") + 1), "a")
    | dict.fromkeys(range(ord("0"), ord("9") + 1), "0")
    | {ord(sign): "@" for sign in _SYMBOLS + "*#%"}
    | {ord(sign): "." for sign in "-_.,/~=^:;\\"}
    | {ord(sign): " " for sign in "\n\t\r"}
)
_SIGNS = AhoCorasick(["a0a", "a@a", "a.a", " 0aaa", " @aa", "a00a", "a@@", " a a a", ".a.a", "a@ ", "a0 "])
_STRETCHED = AhoCorasick([letter * 3 for letter in "abcdefghijklmnopqrstuvwxyz"])

Masked = Mapping[tuple[str, int], Sequence[str]]


def seems_disguised(folded: str) -> bool:
    """Whether the folded text shows any sign of hidden words; two passes."""
    signs = _SIGNS.find_matches_as_indexes(folded.translate(_CLASS))
    return bool(signs or _STRETCHED.find_matches_as_indexes(folded))


def disguised_reading(copy: FoldedCopy, masked: Masked, spelling: Mapping[str, str]) -> Reading:
    """Read `copy` with letters put back together; `masked` holds the words that `*` may hide."""
    words: list[str] = []
    places: list[tuple[int, int]] = []
    for start, end in _join_single_letters(copy.text, _chunks(copy.text)):
        for word in _unhide(copy.text[start:end], masked):
            words.append(word)
            places.append((start, end))
    return Reading(words, copy, spelling, places)


def _chunks(text: str) -> list[tuple[int, int]]:
    chunks = []
    position = 0
    for chunk in text.split():
        start = text.find(chunk, position)
        position = start + len(chunk)
        chunks.append((start, position))
    return chunks


def _join_single_letters(text: str, chunks: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs of three or more single letters one blank apart become one chunk."""
    joined: list[tuple[int, int]] = []
    run: list[tuple[int, int]] = []
    for start, end in [*chunks, (len(text) + 9, len(text) + 9)]:
        single = end - start == 1 and (text[start].isalnum() or text[start] in _SYMBOLS)
        if run and (not single or start - run[-1][1] != 1):
            joined.extend([(run[0][0], run[-1][1])] if len(run) > 2 else run)
            run = []
        if single:
            run.append((start, end))
        elif end > start:
            joined.append((start, end))
    return joined


def _unhide(chunk: str, masked: Masked) -> list[str]:
    """The words that one chunk may stand for, then the stop that ends it."""
    if chunk.isascii() and chunk.isalpha():
        return squeezed(chunk)
    bare = chunk.strip(".,;:?!'\"()-")
    stop = [sign for sign in ("?", ".", ",") if sign in chunk[len(chunk.rstrip(".,;:?!'\")")) :].replace("!", ".")][:1]
    if not bare:
        return [mark for mark in STOPS if mark in chunk.replace("!", ".")][:1]
    if any(sign in bare for sign in _MASKS) and (found := _unmask(bare, masked)):
        return [found, *stop]
    letters = "".join(c for c in bare if c not in _JOINTS and not c.isspace())
    if not bare[0].isdigit() or sum(c.isalpha() for c in letters) > 2:
        letters = letters.translate(_LEET) if any(c.isalpha() for c in letters) else letters
    words = [word for word in dict.fromkeys(squeezed(letters)) if word]
    return words + stop


def squeezed(word: str) -> list[str]:
    """`word` with stretched letters cut to one, and to two where that differs (`heeel` is `heel`)."""
    if word.isascii() and word.isalpha() and not _STRETCHED.find_matches_as_indexes(word):
        return [word]
    runs = [(letter, len(list(run))) for letter, run in groupby(word)]
    if all(length < 3 for _, length in runs):
        return [word]
    once = "".join(letter if length > 2 else letter * length for letter, length in runs)
    twice = "".join(letter * min(length, 2) for letter, length in runs)
    return [once, twice]


def _unmask(word: str, masked: Masked) -> str | None:
    for candidate in masked.get((word[0], len(word)), ()):
        if all(sign in (letter, *_MASKS) for sign, letter in zip(word, candidate, strict=True)):
            return candidate
    return None
