"""Which stretches of a text lie within others, asked often: one sort, then a look-up each."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate


class Spans:
    """Stretches of a text, from a first code point up to an end."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        """`spans` may overlap and come in any order."""
        ordered = sorted(spans)
        self._starts = [start for start, _ in ordered]
        self._ends = list(accumulate((end for _, end in ordered), max))

    def hold(self, start: int, end: int) -> bool:
        """Whether one of them holds all from `start` up to `end`."""
        at = bisect_right(self._starts, start)
        return at > 0 and self._ends[at - 1] >= end
