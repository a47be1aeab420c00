"""Numbers with their units: `39,5`, `glucose 32`, `al tien minuten`, `anderhalf uur`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from messaging_service.screening.terms import NumberRange

Number = tuple[float | None, str, bool]
"""A value, its canonical unit, and whether it is bare: digits without a unit."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The words and units of all languages; a unit has a canonical name and a factor."""

    words: Mapping[str, float]
    units: Mapping[str, tuple[str, float]]

    def read(self, words: Sequence[str], index: int) -> Number:
        """The number at `words[index]`, its canonical unit (`uur` counts 60 minutes), and whether it is bare.

        Bare are digits without a unit; `een` without a unit is an article, not a one.
        """
        digits, letters = _split(words[index])
        value = self.words.get(words[index]) if not digits else _value(digits)
        following = letters if digits and letters else words[index + 1] if index + 1 < len(words) else ""
        unit, factor = self.units.get(following, ("", 1.0))
        return (None if value is None else value * factor), unit, bool(digits) and not unit


def in_any(number: Number, ranges: Sequence[NumberRange]) -> bool:
    """Whether `number`, as `Numbers.read` gives it, lies in one of `ranges`."""
    value, unit, bare = number
    return value is not None and any(
        limit.low <= value <= limit.high and ((bare and limit.bare) or unit == limit.unit != "") for limit in ranges
    )


def _split(word: str) -> tuple[str, str]:
    end = 0
    while end < len(word) and (word[end].isdigit() or word[end] == "."):
        end += 1
    return word[:end], word[end:]


def _value(digits: str) -> float | None:
    parts = digits.split(".")
    if not parts[0] or len(parts) > 2 or len(digits) > 9:
        return None
    return float(digits)
