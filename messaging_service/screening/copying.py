"""The folded copy of a text, with the way back from each of its characters to the text as typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from messaging_service.screening.folding import fold


@dataclass(frozen=True, slots=True)
class FoldedCopy:
    """Folded text; `origin[i]` is where character i was typed, or None when every position is its own."""

    text: str
    origin: Sequence[int] | None

    def typed_span(self, start: int, end: int) -> tuple[int, int]:
        """The span in the text as typed of the copy's characters `start` up to `end`."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1


def folded_copy(text: str, table: dict[int, str], origin: Sequence[int] | None = None) -> FoldedCopy:
    """Fold `text`, whose characters were typed at `origin`; linear in its length.

    Text of plain letters and accents keeps its length and takes the fast way, by lower case or through `table`.
    """
    quick = text.lower() if text.isascii() else text.translate(table)
    if quick.isascii():
        return FoldedCopy(quick, origin)
    characters: list[str] = []
    positions: list[int] = []
    for index, character in enumerate(text):
        folded = fold(character)
        characters.append(folded)
        positions.extend([index if origin is None else origin[index]] * len(folded))
    return FoldedCopy("".join(characters), positions)
