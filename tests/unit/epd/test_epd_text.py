"""Escape sequences, lines and 8-bit character sets."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.epd.charset import fit
from messaging_service.epd.lines import wrap
from messaging_service.epd.text import escape, one_line, split_lines, unescape
from tests.unit.epd.documents import HOSTILE

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.lists(st.sampled_from(HOSTILE) | CHARACTERS, max_size=40).map("".join)


@given(TEXT)
def test_unescape_undoes_escape(text: str) -> None:
    """Any line comes back as it was typed, also one that spells an escape sequence."""
    line = one_line(text)
    assert unescape(escape(line)) == line


@given(TEXT)
def test_escaped_text_holds_nothing_that_structures_a_message(text: str) -> None:
    """No delimiter, no segment end, no frame byte and no line end of any kind survives escaping."""
    escaped = escape(text)
    assert not re.search("[|^~&\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]", escaped)
    assert len(escaped.splitlines()) <= 1


@pytest.mark.parametrize(
    ("received", "read"),
    [
        ("\\F\\\\S\\\\T\\\\R\\\\E\\", "|^&~\\"),
        ("a\\.br\\b\\.sp\\c", "a\nb\nc"),
        ("\\H\\let op\\N\\", "let op"),
        ("\\XC3A9\\", "é"),
        ("\\XFF\\", "\ufffd"),
        ("\\Xnothex\\ \\Zabc\\", "\\Xnothex\\ \\Zabc\\"),
        ("C:\\temp", "C:\\temp"),
    ],
)
def test_unescape_reads_what_others_write(received: str, read: str) -> None:
    """The standard's sequences are read; broken and unknown ones stay visible."""
    assert unescape(received) == read


def test_hex_bytes_are_read_in_the_sites_character_set() -> None:
    """One byte of 8859/15 is the euro sign."""
    assert unescape("\\XA4\\ 5", "iso8859-15") == "€ 5"


def test_every_line_end_counts_once() -> None:
    """CR LF is one line end; VT, FF, NEL and Unicode's separators are line ends too."""
    assert split_lines("a\r\nb\rc\n\nd\x0be\x85f\u2028g") == ["a", "b", "c", "", "d", "e", "f", "g"]


@given(TEXT.map(one_line), st.integers(20, 40))
def test_wrapping_loses_and_adds_nothing(line: str, limit: int) -> None:
    """The pieces make up the line, and none is longer than the EPD takes."""
    pieces = wrap(line, limit)
    assert "".join(pieces) == line
    assert all(0 < len(piece) <= limit for piece in pieces) or line == ""


def test_wrapping_cuts_at_a_space() -> None:
    """Words stay whole where a space is near."""
    assert wrap("een twee drie vier vijf zes", 20) == ["een twee drie vier ", "vijf zes"]


@pytest.mark.parametrize("whole", ["e\u0301", "👩\u200d👧", "👍🏽", "🇳🇱", "❤\ufe0f"])
@pytest.mark.parametrize("before", range(14, 22))
def test_wrapping_keeps_a_character_whole(whole: str, before: int) -> None:
    """A letter and its accent, an emoji sequence and a flag stay on one line, wherever the cut falls."""
    pieces = wrap("x" * before + whole * 4 + "y" * 20, 20)
    assert sum(piece.count(whole) for piece in pieces) == 4


@given(TEXT, st.sampled_from(["iso8859-1", "iso8859-15"]))
def test_fitting_never_yields_a_silent_question_mark(text: str, codec: str) -> None:
    """The result can be encoded, shows no question mark of its own, and text that fits stays as it is."""
    fitting, changed = fit(text, codec)
    assert fitting.encode(codec).decode(codec) == fitting
    assert fitting.count("?") == text.count("?")
    if text.encode(codec, "ignore").decode(codec) == text:
        assert (fitting, changed) == (text, False)


@pytest.mark.parametrize(
    ("typed", "filed", "changed"),
    [
        ("café", "café", False),
        ("cafe\u0301", "café", False),
        ("‘ja’ – “nee”…", "'ja' - \"nee\"...", True),
        ("Erdős", "Erdos", True),
        ("Yılmaz, Łukasz, Đorđe", "Yilmaz, Lukasz, Dorde", True),
        ("😀", "[U+1F600 GRINNING FACE]", True),
        ("10⁶", "10[U+2076 SUPERSCRIPT SIX]", True),
        ("≤ 5 μg", "<= 5 µg", True),
        ("€ 5", "EUR 5", True),
        ("日", "[U+65E5 CJK UNIFIED IDEOGRAPH-65E5]", True),
        ("\u202e", "[U+202E RIGHT-TO-LEFT OVERRIDE]", True),
        ("\ue000", "[U+E000]", True),
    ],
)
def test_fitting_says_it_in_other_words(typed: str, filed: str, changed: bool) -> None:
    """Signs that read the same are swapped; whatever could change a meaning is named, never guessed."""
    assert fit(typed, "iso8859-1") == (filed, changed)


def test_latin_9_has_the_euro_but_not_the_half() -> None:
    """½ does not become 1/2, which after a 1 would read as eleven halves."""
    assert fit("1½ € 5", "iso8859-15") == ("1[U+00BD VULGAR FRACTION ONE HALF] € 5", True)
