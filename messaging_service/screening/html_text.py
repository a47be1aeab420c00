"""Readable plain text from clean HTML, for an EPD that takes text only."""

from __future__ import annotations

from html.parser import HTMLParser

_PARAGRAPHS = frozenset(
    ["p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "blockquote", "pre", "table", "dl", "hr"]
)
_LINES = frozenset(["br", "li", "tr", "dt", "dd"])


def html_to_text(html: str) -> str:
    """`html` as text: paragraphs apart by a blank line, list items with `- `, links as `text (address)`."""
    writer = _Writer()
    writer.feed(html)
    writer.close()
    return writer.text()


class _Writer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self.addresses: list[tuple[str, int]] = []
        self.preserved = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _PARAGRAPHS:
            self._paragraph()
            self.preserved += tag == "pre"
        elif tag == "br" or (tag in _LINES and self.lines[-1].strip()):
            self.lines.append("")
        if tag == "li":
            self.lines[-1] = "- "
        elif tag in ("td", "th") and self.lines[-1]:
            self.lines[-1] += "  "
        elif tag == "a":
            self.addresses.append((dict(attrs).get("href") or "", len(self.lines[-1])))

    def handle_endtag(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._paragraph()
            self.preserved -= tag == "pre" and self.preserved > 0
        elif tag == "a" and self.addresses:
            self._address(*self.addresses.pop())

    def handle_data(self, data: str) -> None:
        if self.preserved:
            first, *rest = data.split("\n")
            self.lines[-1] += first
            self.lines.extend(rest)
            return
        words = data.split()
        glued = data[:1].isspace() and bool(self.lines[-1].strip()) and not self.lines[-1].endswith(" ")
        self.lines[-1] += " " * glued + " ".join(words) + " " * (bool(words) and data[-1:].isspace())

    def text(self) -> str:
        """What was written so far, without blank lines at the ends."""
        return "\n".join(line.rstrip() for line in self.lines).strip("\n")

    def _address(self, address: str, start: int) -> None:
        shown = self.lines[-1][start:].strip()
        if address and address.split(":", 1)[-1] not in (shown, f"//{shown}"):
            self.lines[-1] = f"{self.lines[-1].rstrip()} ({address})"

    def _paragraph(self) -> None:
        if len(self.lines) > 1 or self.lines[-1]:
            while len(self.lines) < 2 or self.lines[-1].strip() or self.lines[-2].strip():
                self.lines.append("")
