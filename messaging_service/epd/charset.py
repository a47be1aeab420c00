"""Text for EPDs that hold an 8-bit character set: what does not fit is shown in other words, never as `?`."""

from __future__ import annotations

import unicodedata

_READS_THE_SAME = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201a": "'",
        "\u201b": "'",
        "\u2032": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u2033": '"',
        "\u2010": "-",
        "\u2011": "-",
        "\u2012": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2212": "-",
        "\u2022": "-",
        "\u2026": "...",
        "\u2002": " ",
        "\u2003": " ",
        "\u2009": " ",
        "\u202f": " ",
        "\u20ac": "EUR",
        "\u2122": "(TM)",
        "\u2264": "<=",
        "\u2265": ">=",
        "\u2260": "!=",
        "\u2248": "~",
        "\u2190": "<-",
        "\u2192": "->",
        "\u0152": "OE",
        "\u0153": "oe",
        "\u0132": "IJ",
        "\u0133": "ij",
        "\ufb01": "fi",
        "\ufb02": "fl",
        "\u03bc": "\u00b5",
        "\u0131": "i",  # Turkish without a dot, and the Slavic letters that Unicode does not take apart
        "\u0141": "L",
        "\u0142": "l",
        "\u0110": "D",
        "\u0111": "d",
    }
)
"""Only what reads the same. No superscripts or fractions: 10⁶ must not become 106, nor 1½ 11/2."""


def fit(text: str, codec: str) -> tuple[str, bool]:
    """`text` such that `codec` can carry it, and whether anything had to be put in other words.

    First composed forms (e + ´ → é, the same character: not counted as a change), then typographic signs in
    ASCII, Latin letters without an accent the set lacks (ő → o), and for all else code point and name in
    brackets: `[U+1F600 GRINNING FACE]`.
    """
    if _carries(codec, text):
        return text, False
    composed = unicodedata.normalize("NFC", text)
    if _carries(codec, composed):
        return composed, False
    foreign = {ord(char): _in_other_words(char, codec) for char in set(composed) if not _carries(codec, char)}
    return composed.translate(foreign), True


def _in_other_words(char: str, codec: str) -> str:
    same = char.translate(_READS_THE_SAME)
    if _carries(codec, same):
        return same
    base = unicodedata.normalize("NFD", char)[0]
    if base != char and base.isalpha() and _carries(codec, base):
        return base
    name = unicodedata.name(char, "")
    return f"[U+{ord(char):04X} {name}]" if name else f"[U+{ord(char):04X}]"


def _carries(codec: str, text: str) -> bool:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
