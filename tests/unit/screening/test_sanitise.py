"""Sanitising: plain text untouched, hostile markup harmless, nothing written lost, time bounded."""

from __future__ import annotations

import nh3
import pytest
from hypothesis import given, settings, strategies

from messaging_service.screening.sanitise import MAX_HTML, MAX_NESTING, SCHEMES, TAGS, html_to_text, sanitise

_PIECES = [
    "<b>", "</b>", "<p>", "<script>", "</script>", "<img src=x onerror=y>", "<svg/onload=z>", "<a href='javascript:q'>",
    "<a href=\"https://example.org\">", "</a>", "<!--", "-->", "<style>", "</style>", "<math><mtext>", "&lt;", "&#106;",
    "pijn<pijn", "<li>", "<table>", "<noscript>", "\x00", "\"", "'", ">", "<", "é", "<p title=\"<script>\">",
]  # fmt: skip


def test_plain_text_comes_back_as_typed() -> None:
    """Plain text is never parsed: angle brackets, ampersands and blanks stay."""
    typed = "pijn<pijn &amp; 38 > 37\n  <b>vet</b>"
    assert sanitise(typed, html=False).text == typed


def test_allowed_markup_stays_and_scripts_do_not() -> None:
    """What patients use to write stays; what runs does not."""
    clean = sanitise('<p>Ik heb <strong>pijn</strong> <img src=x onerror="a()"></p>', html=True)
    assert clean.format == "html"
    assert "<strong>pijn</strong>" in clean.text
    assert "<img" not in clean.text


_LOOSE = strategies.text(alphabet="<>/\"'=&;#!-:[]?abpx \t\n\x00\xa0\u200b＜＞", max_size=8)
_HOSTILE = strategies.lists(strategies.sampled_from(_PIECES) | _LOOSE, max_size=30).map("".join)


@given(_HOSTILE)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_bleach_and_nh3_agree_or_the_text_stays_plain(body: str) -> None:
    """Of any hostile text the clean form is a fixed point of nh3, or the body is kept as plain text."""
    clean = sanitise(body, html=True)
    if clean.format == "text":
        assert clean.text == body
    else:
        again = nh3.clean(
            clean.text, tags=set(TAGS), attributes={"a": {"href"}}, url_schemes=set(SCHEMES), link_rel=None
        )
        assert again == clean.text


@pytest.mark.parametrize("body", ["<b>" * (MAX_NESTING + 1) + "pijn", "<div><p>" * 8_000, "x" * (MAX_HTML + 1)])
def test_bombs_are_kept_as_text(body: str) -> None:
    """Nesting and length bombs never reach bleach, part of which is quadratic: they stay as typed, as text."""
    clean = sanitise(body, html=True)
    assert (clean.format, clean.text) == ("text", body)


def test_a_heap_of_openings_is_cleaned() -> None:
    """Signs that open nothing are escaped; what no browser shows goes, however often it is opened."""
    assert sanitise("<" * 40_000, html=True).text == "&lt;" * 40_000
    assert "<!--" not in sanitise("pijn " + "<!--" * 15_000, html=True).text


def test_readable_text_from_html() -> None:
    """Lists, links, line breaks and paragraphs read well in a text-only EPD."""
    html = '<p>Pijn<br>sinds gisteren</p><ul><li>knie</li><li>heup</li></ul><p><a href="https://a.nl">foto</a></p>'
    assert html_to_text(html) == "Pijn\nsinds gisteren\n\n- knie\n- heup\n\nfoto (https://a.nl)"
