"""HTML as its reader sees it: tags and comments gone, entities decoded, every character traced to its place."""

from __future__ import annotations

import html

from ahocorasick_rs import AhoCorasick

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "option",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "title",
        "tr",
        "ul",
    ]
)
_SIGNS = (
    "</",
    "<b>",
    "<b ",
    "<i>",
    "<p>",
    "<p ",
    "<br",
    "<div",
    "<span",
    "<a ",
    "<img",
    "<!--",
    "<script",
    "<svg",
    "&#",
)
_ENTITY_LIMIT = 32
_OPENINGS = AhoCorasick(["<", "&"])


def plainly_markup(text: str) -> bool:
    """Whether `text`, not declared as HTML, nevertheless holds tags or numeric entities."""
    if "<" not in text and "&#" not in text:
        return False
    lowered = text.lower()
    return any(sign in lowered for sign in _SIGNS)


def visible_text(source: str) -> tuple[str, list[int]]:
    """What a reader of `source` sees, and where each of its characters begins in `source`.

    Inline tags and comments vanish, so that `kan<b></b>ker` reads as one word; block tags break the line.
    One pass, each character looked at a fixed number of times.
    """
    shown: list[str] = []
    origin: list[int] = []
    position = 0
    ascii_only = source.encode("ascii", "replace").decode()  # one sign for each, half a surrogate pair included
    for _, start, _ in _OPENINGS.find_matches_as_indexes(ascii_only):
        if start < position:  # within a tag
            continue
        shown.append(source[position:start])
        origin.extend(range(position, start))
        text, position = _read_sign(source, start)
        shown.append(text)
        origin.extend([start] * len(text))
    shown.append(source[position:])
    origin.extend(range(position, len(source)))
    return "".join(shown), origin


def _read_sign(source: str, start: int) -> tuple[str, int]:
    """What is shown for the `<` or `&` at `start`, and where the rest goes on."""
    if source[start] == "&":
        text, length = _entity(source, start)
        return text, start + length
    end = _tag_end(source, start)
    if end is None:
        return "<", start + 1
    return "\n" if _tag_name(source, start) in _BLOCKS else "", end


def _tag_end(source: str, start: int) -> int | None:
    """Just past the tag or comment that opens at `start`, or None when it is only a `<` sign."""
    following = source[start + 1 : start + 2]
    if not (following.isascii() and following.isalpha()) and following not in ("/", "!", "?"):
        return None
    if source.startswith("<!--", start):
        close = source.find("-->", start + 4)
        return len(source) if close < 0 else close + 3
    close = source.find(">", start)
    return len(source) if close < 0 else close + 1


def _tag_name(source: str, start: int) -> str:
    start += 2 if source.startswith("</", start) else 1
    end = start
    while end < len(source) and end - start < 12 and source[end].isalnum():
        end += 1
    return source[start:end].lower()


def _entity(source: str, start: int) -> tuple[str, int]:
    """The character that the entity at `start` stands for and the entity's length; `&` itself otherwise."""
    end = start + 1
    while end < len(source) and end - start < _ENTITY_LIMIT and (source[end].isalnum() or source[end] == "#"):
        end += 1
    if source[end : end + 1] == ";":
        end += 1
    written = source[start:end]
    decoded = html.unescape(written)
    return (decoded, len(written)) if decoded != written else ("&", 1)
