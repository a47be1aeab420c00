"""Cutting lines that are longer than an EPD takes, without tearing what a reader sees as one character."""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"
_LOOK_BACK = 32


def wrap(line: str, limit: int) -> list[str]:
    """`line` in pieces of at most `limit` code points; joined without a separator they are `line` again.

    Cuts after the last space in the second half of a piece, else between two characters, a combining mark,
    an emoji sequence or a flag never apart from its base unless it alone exceeds 32 code points.
    """
    if len(line) <= limit:
        return [line]
    pieces = []
    start = 0
    while len(line) - start > limit:
        end = _cut(line, start, start + limit)
        pieces.append(line[start:end])
        start = end
    pieces.append(line[start:])
    return pieces


def _cut(line: str, start: int, end: int) -> int:
    space = line.rfind(" ", start + (end - start) // 2, end)
    if space >= 0 and not _extends(line[space + 1]):
        return space + 1
    for place in range(end, max(start, end - _LOOK_BACK), -1):
        if not _torn_at(line, place):
            return place
    return end


def _torn_at(line: str, place: int) -> bool:
    """Whether a cut before `line[place]` would tear a character (after Unicode TR 29, simplified)."""
    before, after = line[place - 1], line[place]
    if before == _JOINER or _extends(after):
        return True
    return _is_flag_half(before) and _is_flag_half(after) and _flag_halves_before(line, place) % 2 == 1


def _extends(char: str) -> bool:
    return char == _JOINER or unicodedata.category(char)[0] == "M" or "\U0001f3fb" <= char <= "\U0001f3ff"


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _flag_halves_before(line: str, place: int) -> int:
    count = 0
    while count < place and count < _LOOK_BACK and _is_flag_half(line[place - 1 - count]):
        count += 1
    return count
