"""Which parts of a text stand between quotation marks: words that the writer passes on from somebody else."""

from __future__ import annotations

from collections.abc import Iterator

_CLOSING = {'"': '"', "“": "”", "”": "”", "„": "”“", "«": "»", "»": "«", "‘": "’", "'": "'"}
_APOSTROPHES = "'’"
_LONGEST = 400
_OWN_LETTERS = 12


def quoted_spans(text: str) -> list[tuple[int, int]]:
    """Code points from each opening mark up to its closing one, in order.

    A text that is nothing but a quotation quotes nobody: then there are none. A mark that is an apostrophe as well
    opens only before a word of two letters or more and closes only behind one (`'s avonds`, `zo'n` and `auto's` quote
    nothing).
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
        end = _closed(text, position, closing) if closing and _opens(text, position) else None
        if end is None:
            position += 1
        else:
            yield position, end
            position = end


def _opens(text: str, at: int) -> bool:
    """Whether the mark at `at` may open a quotation; most may anywhere."""
    return text[at] not in _APOSTROPHES or (
        not text[max(at - 1, 0) : at].isalnum() and len(word := text[at + 1 : at + 3]) == 2 and word.isalnum()
    )


def _closed(text: str, start: int, closing: str) -> int | None:
    """One past the first closing mark; a quotation is short, which also keeps the search linear."""
    found = [at for mark in closing if (at := _found(text, mark, start + 1)) >= 0]
    return min(found) + 1 if found else None


def _found(text: str, mark: str, first: int) -> int:
    """Where the first `mark` from `first` on stands that is no apostrophe within a word; -1 if none is near."""
    last = first - 1 + _LONGEST
    at = text.find(mark, first, last)
    while at >= 0 and mark in _APOSTROPHES and text[at + 1 : at + 2].isalnum():
        at = text.find(mark, at + 1, last)
    return at
