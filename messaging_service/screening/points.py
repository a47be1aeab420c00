"""Points beside the rules: what the words of a message speak for, each a little, where no rule saw it or one saw wrong.

A word has points in its sentence and points in the message. The sentence that speaks most strongly leads (a soft
maximum, so that one sentence in a long, friendly message is heard), and the message adds the rest. All numbers stand in
`lexicon/points_*.toml`, made by `deploy/points/fit.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from itertools import chain, pairwise
from math import sqrt
from typing import Any

import rtoml

from messaging_service.screening.errors import LexiconFault
from messaging_service.screening.reading import Reading

KINDS = ("urgency", "prohibited")
STARTS, ENDS = (4, 6), (5,)
SCALE = 10.0
"""Points to one unit of log odds."""
HIGHEST = 99
"""No term has more points than this, up or down."""
LONG = 30
"""Words in the longest window."""
_WIDTH, _STEP = 24, 12
MOST = 60
"""However long a message runs on, its own points never drown the sentence that leads."""

AT_FULL = 6
"""Words of a message whose own points count in full; of more they count as the square root of the length."""

MOST_BY_OTHERS, LEAST_BY_OTHERS = 12, 4
"""A thousand sentences that say nothing do not add up to one that does: they add no more than the leading one says."""

Window = tuple[int, list[str]]
"""The index of its first word, and its words."""


class Points:
    """The points of one kind (urgency or prohibited), as written: of each term its two numbers.

    Raises:
        LexiconFault: a term has more than `HIGHEST` points.
    """

    def __init__(self, written: Mapping[str, Any]) -> None:
        self.thresholds: Mapping[str, int] = written["thresholds"]
        self.start: int = written["start"]
        self.topics: dict[str, str] = {}
        self.terms: dict[str, tuple[int, ...]] = {}
        shared: dict[tuple[int, ...], tuple[int, ...]] = {}
        for topic, terms in written["words"].items():
            if max(map(abs, chain.from_iterable(terms.values())), default=0) > HIGHEST:
                raise LexiconFault(f"{_highest(terms)!r} has more than {HIGHEST} points")
            self.terms |= {term: shared.setdefault(both := tuple(points), both) for term, points in terms.items()}
            if topic != ORDINARY:
                self.topics |= dict.fromkeys(terms, topic)

    def reasons(self, window: Sequence[str]) -> list[tuple[str, int]]:
        """Each term of `window` that has points, with both its points together, the strongest first."""
        found = {term: self.terms[term] for term in terms_of(window) if term in self.terms}
        told = [(term, sum(both)) for term, both in found.items()]
        return sorted(told, key=lambda entry: (-abs(entry[1]), entry[0]))

    def topic(self, window: Sequence[str], otherwise: str) -> str:
        """The topic whose words speak most strongly in `window`."""
        sums: dict[str, int] = {}
        for term, points in self.reasons(window):
            if points > 0 and (topic := self.topics.get(term)):
                sums[topic] = sums.get(topic, 0) + points
        return max(sums, key=lambda topic: sums[topic]) if sums else otherwise


def _highest(terms: Mapping[str, Sequence[int]]) -> str:
    return max(terms, key=lambda term: max(map(abs, terms[term])))


ORDINARY = "ordinary"


def read_points(folder: Traversable) -> dict[str, Points]:
    """The points of each kind that `folder` holds; an older lexicon may have none.

    Raises:
        KeyError: a file lacks a table.
    """
    files = {kind: folder / f"points_{kind}.toml" for kind in KINDS}
    return {kind: Points(rtoml.loads(file.read_text("utf-8"))) for kind, file in files.items() if file.is_file()}


def version_with_points(version: str, folder: Traversable) -> str:
    """`version` of the rules together with the content of the points, so that either changes it."""
    contents = [file.read_bytes() for kind in KINDS if (file := folder / f"points_{kind}.toml").is_file()]
    if not contents:
        return version
    return hashlib.sha256(b"\0".join([version.encode(), *contents])).hexdigest()[:12]


def windows_of(reading: Reading) -> list[Window]:
    """The sentences of `reading`, each once; one that runs on is cut into pieces that overlap."""
    words, windows, first = _with_sizes(reading.written), {}, 0
    for sentence in reading.sentences:
        end = first + sentence.count(" ") - 1
        if first < end <= first + LONG:
            window = words[first:end]
            windows[tuple(window)] = first, window
        elif end > first:
            windows |= {tuple(piece): (at, piece) for at, piece in _pieces_of(first, words[first:end])}
        first = end
    return list(windows.values()) or [(0, ["."])]


def _pieces_of(first: int, words: list[str]) -> list[Window]:
    return [(first + at, words[at : at + _WIDTH]) for at in range(0, len(words) - _STEP // 2, _STEP)]


def _with_sizes(words: list[str]) -> list[str]:
    return [shown_number(word) if "0" <= word < ":" else word for word in words]


def share_of_message(windows: Sequence[Sequence[str]]) -> float:
    """What a message's own points count: in a long one, where ordinary words add up, each the less."""
    return sqrt(AT_FULL / max(AT_FULL, sum(map(len, windows))))


def terms_of(words: Sequence[str]) -> Iterator[str]:
    """Every term that may have points in a window: words, their pieces, and pairs of neighbours."""
    for word in dict.fromkeys(words):
        yield from pieces(word)
    for before, after in pairwise(words):
        if pieces(before) and pieces(after):
            yield f"{before} {after}"


def pieces(word: str) -> list[str]:
    """`word` itself, and for a long one its beginnings and endings, as the rules write them: `begin*`, `*einde`.

    A full stop or a letter alone says nothing; a question mark does.
    """
    if len(word) < 5 or not word.isalpha():
        return [] if word == "." or (len(word) == 1 and word.isalpha() and word != "u") else [word]
    starts = [f"{word[:size]}*" for size in STARTS if len(word) > size]
    return [word, *starts, *[f"*{word[-size:]}" for size in ENDS if len(word) > size]]


def shown_number(word: str) -> str:
    """A number by its size, as the points write it: `#38`, `#39+`, `#10+`; any other word as it is."""
    try:
        value = float(word)
    except ValueError:
        return word
    if 38 <= value <= 43:
        return "#38" if value < 38.5 else "#39+"
    if "." in word:
        return "#dec"
    steps = [(10, f"#{value:.0f}"), (20, "#10+"), (50, "#20+")]
    return next((name for limit, name in steps if value < limit), "#50+")
