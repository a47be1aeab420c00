"""Folding one character to the plain lower-case letter that a reader sees in it.

The matchers read a folded copy: compatibility forms (NFKC), accents, look-alikes from other scripts and
styled letters all become plain letters; invisible characters disappear. What was typed is never changed.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_CYRILLIC = dict(zip("авекмнорстухіјѕԁһѵԛԝгпьдзиёєғґ", "abekmhopctyxijsdhvqwrnbdzneefr", strict=True))
_GREEK = dict(zip("αβγεηικνορτυχωϲϳϱ", "abyenikvoptuxwcjp", strict=True))
_SPECIAL = {"ß": "ss", "æ": "ae", "œ": "oe", "ŋ": "n", "þ": "th", "ı": "i", "ȷ": "j", "ſ": "s", "µ": "u"}
_ARABIC = {"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ـ": ""}
_ARABIC_PERSIAN = {"ی": "ي", "ک": "ك"}
_FIXED = _CYRILLIC | _GREEK | _SPECIAL | _ARABIC | _ARABIC_PERSIAN | {"،": ",", "؟": "?", "؛": ".", "。": "."}
_PUNCTUATION = dict.fromkeys("’‘‚‛“”„«»´", "'") | dict.fromkeys("–—‑‒−•·", "-") | {"×": "x", "€": "e", "°": " "}
_FIXED |= _PUNCTUATION | {"\xa0": " "}
_INVISIBLE = {"Mn", "Me", "Cf", "Cs"}
"""Marks, format signs, and half a surrogate pair, which stands for nothing and which no matcher takes."""
_STYLED = ((0x1F130, 26), (0x1F150, 26), (0x1F170, 26), (0x1F1E6, 26))


@lru_cache(maxsize=8192)
def fold(character: str) -> str:
    """The folded form of one character: usually one character, none when it is invisible, at times more."""
    folded = []
    for part in unicodedata.normalize("NFKD", character.lower()):
        if unicodedata.category(part) not in _INVISIBLE:
            folded.append(_fold_part(part))
    return "".join(folded)


def _fold_part(part: str) -> str:
    if part in _FIXED:
        return _FIXED[part]
    if part.isascii():
        return part.lower()
    for first, count in _STYLED:
        if first <= ord(part) < first + count:
            return chr(ord("a") + ord(part) - first)
    if part.isdecimal():
        return str(unicodedata.decimal(part))
    return _latin_look(part)


def _latin_look(part: str) -> str:
    """Read `LATIN SMALL LETTER L WITH STROKE` or `LATIN LETTER SMALL CAPITAL K` as that letter."""
    words = unicodedata.name(part, "").split(" ")
    if words[0] == "LATIN" and "LETTER" in words:
        after = [word for word in words[words.index("LETTER") + 1 :] if word not in ("SMALL", "CAPITAL", "TURNED")]
        if after and len(after[0]) == 1:
            return after[0].lower()
    return part


def one_to_one() -> dict[int, str]:
    """A `str.translate` table for the characters that fold to exactly one: the fast path keeps positions."""
    blocks = (range(0x250), range(0x370, 0x530), range(0x1D00, 0x1F00), range(0x2000, 0x2070), range(0xFF01, 0xFF5F))
    table = {ord("…"): "."} | {ord(mark): look for mark, look in _PUNCTUATION.items()}
    for block in blocks:
        for point in block:
            folded = fold(chr(point))
            if len(folded) == 1 and folded != chr(point):
                table[point] = folded
    return table
