"""Which parts of a text stand between quotation marks: words that the writer passes on from somebody else."""

from __future__ import annotations

from collections.abc import Iterator

_CLOSING = {'"': '"', "“": "”", "”": "”", "„": "”“", "«": "»", "»": "«", "‘": "’"}
_LONGEST = 400
_OWN_LETTERS = 12


def quoted_spans(text: str) -> list[tuple[int, int]]:
    """Code points from each opening mark up to its closing one, in order.

    A text that is nothing but a quotation quotes nobody: then there are none. Straight single marks are left
    alone, for they are apostrophes too.
    """
    if not any(mark in text for mark in _CLOSING):
        return []
    spans = list(_pairs(text))
    outside = len(text) - sum(end - start for start, end in spans)
    return spans if outside >= _OWN_LETTERS else []


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    while position < len(text):
        closing = _CLOSING.get(text[position])
        end = _closed(text, position, closing) if closing else None
        if end is None:
            position += 1
        else:
            yield position, end
            position = end


def _closed(text: str, start: int, closing: str) -> int | None:
    """One past the first closing mark; a quotation is short, which also keeps the search linear."""
    found = [at for mark in closing if (at := text.find(mark, start + 1, start + _LONGEST)) >= 0]
    return min(found) + 1 if found else None
