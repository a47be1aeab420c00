"""Making a body safe to show and to store, without losing what the patient wrote.

bleach cleans; nh3, another parser altogether, verifies. bleach is quadratic on nested tags, so length and
nesting are capped before it sees the text. Plain text never meets a parser.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

import nh3
from bleach.sanitizer import Cleaner

from messaging_service.screening.html_text import html_to_text

__all__ = ["CleanBody", "html_to_text", "sanitise"]

_TEXT_TAGS = (
    "a b blockquote br code dd div dl dt em h1 h2 h3 h4 h5 h6 hr i li ol p pre s small span strong sub sup u ul"
)
_TABLE_TAGS = "table tbody td th thead tr"
_OTHER_TAGS = """
    abbr acronym address applet area article aside audio base basefont bdi bdo big body button canvas caption center
    cite col colgroup data datalist del details dfn dialog dir embed fieldset figcaption figure font footer form frame
    frameset head header hgroup html iframe img input ins kbd label legend link main map mark marquee math menu meta
    meter nav noembed noframes noscript object optgroup option output param picture plaintext progress q rp rt ruby
    samp script search section select slot source strike style summary svg template textarea tfoot time title track
    tt var video wbr xmp
"""
TAGS = frozenset(f"{_TEXT_TAGS} {_TABLE_TAGS}".split())
_ELEMENTS = TAGS.union(_OTHER_TAGS.split())
SCHEMES = frozenset(("http", "https", "mailto", "tel"))
MAX_HTML = 65_536
MAX_NESTING = 24
_NEVER_SHOWN = ("script", "style", "template", "title", "iframe", "object", "noembed", "noframes", "noscript")
_VOID = frozenset(("br", "hr", "img", "input", "meta", "link", "wbr"))
_CLOSES_ITSELF = frozenset(("p", "li", "td", "th", "tr", "dt", "dd"))


@dataclass(frozen=True, slots=True)
class CleanBody:
    """The clean form of a body: `html` may be shown as HTML, `text` is shown escaped, as it was typed."""

    text: str
    format: Literal["text", "html"]


def sanitise(body: str, *, html: bool) -> CleanBody:
    """The clean form of `body`, which the patient's portal declared to be HTML or not.

    Plain text comes back as typed. HTML keeps the tags in `TAGS` and links with one of the schemes in `SCHEMES`
    written out; of other tags the text stays, except of those that no browser shows. HTML that is too long or too
    deep, or on which bleach and nh3 disagree, is kept as plain text, so that nothing written is lost and nothing
    hidden is run.
    """
    if not html or len(body) > MAX_HTML or _nesting(body) > MAX_NESTING:
        return CleanBody(body, "text")
    cleaned = _own.cleaner.clean(_shown(body)).replace("\xa0", "&nbsp;")
    if _verified(cleaned) != cleaned:
        return CleanBody(body, "text")
    return CleanBody(cleaned, "html")


class _Own(threading.local):
    """A cleaner for each thread: making one takes longer than a short text, and one serves one text at a time."""

    def __init__(self) -> None:
        self.cleaner = Cleaner(tags=TAGS, attributes=_keeps, protocols=SCHEMES, strip=True)


def _keeps(tag: str, name: str, value: str) -> bool:
    """A link says where it goes: one without a scheme would lead to wherever it happens to be shown."""
    return (tag, name) == ("a", "href") and value.partition(":")[0].lower() in SCHEMES and ":" in value


_own = _Own()


def _shown(html: str) -> str:
    """`html` without the elements whose content no browser shows, and with `<` as text where no element begins.

    An element that is not closed runs to the end; `pijn<pijn` is no element. Removing may put new tags together, so
    this only tidies: what comes out is still hostile.
    """
    lower = html.lower()
    kept: list[str] = []
    position = 0
    while (start := lower.find("<", position)) >= 0:
        kept.append(html[position:start])
        closing = lower.startswith("/", start + 1)
        name = _name(lower, start + 1 + closing)
        position = start + 1
        if name in _NEVER_SHOWN and not closing:
            position = _end_of(lower, name, start)
        else:
            namespaced = lower.startswith(":", start + 1 + closing + len(name))
            kept.append("<" if not name or name in _ELEMENTS or namespaced else "&lt;")
    return "".join((*kept, html[position:]))


def _end_of(lower: str, name: str, start: int) -> int:
    """Where the element that begins at `start` is over."""
    end = lower.find(f"</{name}", start)
    closed = lower.find(">", end) if end >= 0 else -1
    return closed + 1 if closed >= 0 else len(lower)


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
