"""Lines of any script on the pages of a PDF: broken, shaped and embedded so that they can be read and searched.

Latin, Greek and Cyrillic are broken here, by widths that are looked up once: the library's own way costs five times as
much. Everything else (Arabic, Devanagari, emoji …) it breaks and shapes itself, in the fonts that have the signs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import Align, XPos, YPos
from fpdf.errors import FPDFException

BODY = "NotoSans"
UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Stands for a sign that no font here has: Chinese, Japanese and Korean, among others."""
_LEADING = 1.45
_POINT_MM = 25.4 / 72


class TextPages:
    """An A4 document that text is added to, from the top down."""

    def __init__(self, language: str, title: str) -> None:
        self._pdf = _Numbered()
        self._pdf.set_lang(language)
        self._pdf.set_title(title)
        self._pdf.set_margin(20)
        self._pdf.set_auto_page_break(True, 20)
        self._fallbacks: list[str] = []
        self._widths: dict[tuple[str, float], float] = {}
        self.met_unknown = False
        self._pdf.add_font(BODY, "", _files()[BODY])
        self._pdf.set_font(BODY, size=10)
        self._pdf.add_page()

    def add(self, text: str, size: float = 10, grey: int = 0) -> None:
        """Add text; its line breaks stay, long lines are broken."""
        self._pdf.set_text_color(grey)
        self._pdf.set_font_size(size)
        for line in text.expandtabs(4).splitlines() or [""]:
            clean = "".join(self._drawable(char) for char in line if _is_visible(char))
            if all(ord(char) in _signs(BODY) for char in clean):
                self._plain(clean, size)
            else:
                self._shaped(clean, size)

    def space(self, millimetres: float) -> None:
        """Leave room."""
        self._pdf.ln(millimetres)

    def rule(self) -> None:
        """A thin line across the page."""
        self._pdf.set_draw_color(180)
        self._pdf.line(self._pdf.l_margin, self._pdf.y, self._pdf.w - self._pdf.r_margin, self._pdf.y)
        self._pdf.ln(3)

    def output(self) -> bytes:
        """The document."""
        return bytes(self._pdf.output())

    def _drawable(self, char: str) -> str:
        if ord(char) in _signs(BODY) or any(ord(char) in _signs(name) for name in self._fallbacks):
            return char
        for name in _files():
            if ord(char) in _signs(name):
                self._pdf.add_font(name, "", _files()[name])
                self._fallbacks.append(name)
                self._pdf.set_fallback_fonts(self._fallbacks, exact_match=False)
                return char
        self.met_unknown = True
        return UNKNOWN

    def _plain(self, line: str, size: float) -> None:
        for part in self._broken(line, size):
            self._pdf.cell(0, size * _LEADING * _POINT_MM, part, new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _shaped(self, line: str, size: float) -> None:
        height, align = size * _LEADING * _POINT_MM, Align.R if _is_right_to_left(line) else Align.L
        self._pdf.set_text_shaping(True)
        try:
            self._pdf.multi_cell(0, height, line, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        except (FPDFException, IndexError, KeyError, ValueError):  # a sequence of signs that the library fails on
            self.met_unknown = True
            self._pdf.set_x(self._pdf.l_margin)
            self._pdf.set_text_shaping(False)
            self._plain("".join(char if ord(char) in _signs(BODY) else UNKNOWN for char in line), size)
        finally:
            self._pdf.set_text_shaping(False)

    def _broken(self, line: str, size: float) -> Iterator[str]:
        """The line in parts that fit; broken at spaces, and within a word only where it is too long by itself."""
        left, part, room = self._pdf.epw, "", self._pdf.epw
        for word in _words(line):
            width = self._width(word, size)
            if width > left and part:
                yield part.rstrip()
                part, left = "", room
            while width > room:
                fits = self._fitting(word, size, room)
                yield word[:fits]
                word = word[fits:]
                width = self._width(word, size)
            part, left = part + word, left - width
        yield part.rstrip()

    def _fitting(self, word: str, size: float, room: float) -> int:
        for number, char in enumerate(word):
            room -= self._width(char, size)
            if room < 0:
                return max(number, 1)
        return len(word)

    def _width(self, text: str, size: float) -> float:
        return sum(self._char_width(char, size) for char in text)

    def _char_width(self, char: str, size: float) -> float:
        key = (char, size)
        if key not in self._widths:
            self._widths[key] = self._pdf.get_string_width(char)
        return self._widths[key]


class _Numbered(FPDF):
    """Pages with their number at the foot."""

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font(BODY, size=8)
        self.set_text_color(110)
        self.cell(0, 5, str(self.page_no()), align=Align.C)


def _words(line: str) -> Iterable[str]:
    """Words with the spaces after them."""
    start = 0
    for end in range(1, len(line)):
        if line[end - 1] == " " and line[end] != " ":
            yield line[start:end]
            start = end
    if line:
        yield line[start:]


def _is_visible(char: str) -> bool:
    """Joiners count, since scripts and emoji need them; other format and control characters draw nothing."""
    return unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn") or char in "\u200c\u200d"


def _is_right_to_left(line: str) -> bool:
    strong = (kind for char in line if (kind := unicodedata.bidirectional(char)) in ("L", "R", "AL"))
    return next(strong, "L") != "L"


@cache
def _files() -> dict[str, Path]:
    """The fonts by name, as the package brings them; the body's first, slanted ones left out."""
    folder = Path(str(resources.files("manimgx_fonts")))
    found = {path.name.partition("[")[0]: path for path in sorted(folder.glob("*.ttf")) if "Italic" not in path.name}
    return {BODY: found.pop(BODY), **found}


@cache
def _signs(name: str) -> frozenset[int]:
    """The code points that a font has."""
    with TTFont(_files()[name], lazy=True) as font:
        return frozenset(font.getBestCmap())
