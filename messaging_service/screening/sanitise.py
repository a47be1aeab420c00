"""Making a body safe to show and to store, without losing what the patient wrote.

bleach cleans; nh3, another parser altogether, verifies. bleach is quadratic on nested tags, so length and
nesting are capped before it sees the text. Plain text never meets a parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import bleach
import nh3

from messaging_service.screening.html_text import html_to_text

__all__ = ["CleanBody", "html_to_text", "sanitise"]

TAGS = frozenset(
    ["a", "b", "blockquote", "br", "code", "dd", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol", "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"]
)
SCHEMES = frozenset(("http", "https", "mailto", "tel"))
MAX_HTML = 65_536
MAX_NESTING = 24
_VOID = frozenset(("br", "hr", "img", "input", "meta", "link", "wbr"))
_CLOSES_ITSELF = frozenset(("p", "li", "td", "th", "tr", "dt", "dd"))


@dataclass(frozen=True, slots=True)
class CleanBody:
    """The clean form of a body: `html` may be shown as HTML, `text` is shown escaped, as it was typed."""

    text: str
    format: Literal["text", "html"]


def sanitise(body: str, *, html: bool) -> CleanBody:
    """The clean form of `body`, which the patient's portal declared to be HTML or not.

    Plain text comes back as typed. HTML keeps the tags in `TAGS` and links of the schemes in `SCHEMES`;
    other tags become visible text. HTML that is too long or too deep, or on which bleach and nh3
    disagree, is kept as plain text, so that nothing written is lost and nothing hidden is run.
    """
    if not html or len(body) > MAX_HTML or _nesting(body) > MAX_NESTING:
        return CleanBody(body, "text")
    cleaned = bleach.clean(body, tags=TAGS, attributes={"a": ["href"]}, protocols=SCHEMES, strip=False)
    cleaned = cleaned.replace("\xa0", "&nbsp;")
    if _verified(cleaned) != cleaned:
        return CleanBody(body, "text")
    return CleanBody(cleaned, "html")


def _verified(html: str) -> str:
    return nh3.clean(
        html, tags=set(TAGS), attributes={"a": {"href"}}, url_schemes=set(SCHEMES), link_rel=None, strip_comments=True
    )


def _nesting(html: str) -> int:
    """The deepest that tags of `html` may nest, never too low: an unclosed tag stays open."""
    open_tags: list[str] = []
    deepest = 0
    position = html.find("<")
    while position >= 0:
        closing = html.startswith("/", position + 1)
        name = _name(html, position + 1 + closing)
        if closing and open_tags and open_tags[-1] == name:
            open_tags.pop()
        elif name and not closing and name not in _VOID:
            if name in _CLOSES_ITSELF and open_tags and open_tags[-1] == name:
                open_tags.pop()
            open_tags.append(name)
            deepest = max(deepest, len(open_tags))
        position = html.find("<", position + 1)
    return deepest


def _name(html: str, start: int) -> str:
    end = start
    while end < len(html) and end - start < 24 and (html[end].isalnum() or html[end] == "-"):
        end += 1
    return html[start:end].lower()
