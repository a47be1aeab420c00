"""The work that a text takes grows with its length and no faster, on whatever is made to hurt.

Steps are counted, not timed: each call, of Python or of C, is one. So the test says the same on any machine.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import FrameType

import pytest

from messaging_service.screening.sanitise import sanitise
from messaging_service.screening.screener import Screener

SCREENER = Screener.load()
_SHORT, _TIMES = 600, 6
_PIECES = (
    "ik krijg geen lucht", "ik maak je af", "pijn op de borst", "k a n k e r", "k4nk3r", "kaaanker", "k*nker", "112",
    "39,5 graden", "als", "geen", "niet", "maar", "vorige week", "dank", "sinds een uur", "hartinfact", "al 10 minuten",
    "of", "en", "<b>", "</b>", "<p>", "<!--", "-->", "<a href='", "&amp;", "&#97;", "&", "<", '"', "„", "”", "'", ".",
    "?", ",", "\n", "\u200b", "\u0301", "ﷺ", "ｋ", "😀", "1,", "dr.", "a.a", "aaa", " ",
)  # fmt: skip


def _steps(run: Callable[[], object]) -> int:
    taken = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal taken
        taken += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
    return taken


def _settled(run: Callable[[], object]) -> int:
    """The steps of the second time, when what is kept of words is kept."""
    _steps(run)
    return _steps(run)


def _filled(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


def _units() -> list[str]:
    """Every piece alone, and forty heaps of two to six pieces."""
    chance = random.Random(112)
    heaps = [chance.choice((" ", "")).join(chance.choices(_PIECES, k=chance.randint(2, 6))) for _ in range(40)]
    return [*_PIECES, *heaps]


@pytest.mark.parametrize("unit", _units())
def test_screening_is_linear(unit: str) -> None:
    """Six times the text takes at most some six times the steps, however the text repeats itself."""
    texts = (_filled(unit, length) for length in (_SHORT, _SHORT * _TIMES))
    short, long = (_settled(lambda text=text: SCREENER.screen(text, markup=False, language="nl")) for text in texts)
    assert long < 1.5 * _TIMES * max(short, 300)


@pytest.mark.parametrize(
    "unit", ["<b>", "<p>x</p>", "<!--", "<div><p>", "</b>", "<a href='x'>", "&", "<", "<b><i>", "</", "<svg>"]
)
def test_sanitising_is_linear(unit: str) -> None:
    """Nested and broken markup too: what bleach would take too long over, never reaches it."""
    texts = (_filled(unit, length) for length in (_SHORT, _SHORT * _TIMES))
    short, long = (_settled(lambda text=text: sanitise(text, html=True)) for text in texts)
    assert long < 1.5 * _TIMES * max(short, 300)
