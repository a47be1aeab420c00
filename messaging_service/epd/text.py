"""HL7 v2 escape sequences, both ways (HL7 v2.5.1 §2.7).

Own code, because hl7apy leaves a typed `\\F\\` as it is (it then reads as `|`), lets a raw CR start a
segment and garbles `\\.br\\` and `\\X0D\\`. Guarantee: what `escape` returns holds no delimiter, no CR, no
MLLP frame byte and no escape sequence that was not put there by it.
"""

from __future__ import annotations

import re

LINE_BREAK = "\\.br\\"
REPETITION = "~"

_LINE_ENDS = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_SPECIAL = re.compile(r"[|^~\\&\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_TABLE: dict[int, str] = {code: f"\\X{code:02X}\\" for code in (*range(0x20), 0x7F) if code != 0x09}
_TABLE |= dict.fromkeys((0x85, 0x2028, 0x2029), " ")
_TABLE |= {ord("|"): "\\F\\", ord("^"): "\\S\\", ord("~"): "\\R\\", ord("\\"): "\\E\\", ord("&"): "\\T\\"}
_SEQUENCE = re.compile(r"\\([^\\\r\n]*)\\")
_PLAIN = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", ".br": "\n", ".sp": "\n", "H": "", "N": ""}


def split_lines(text: str) -> list[str]:
    """The lines of `text`, without their ends; every line end that Unicode or a terminal knows counts.

    VT, FF, NEL, U+2028 and U+2029 show as line breaks too, and receivers that split on them would break a
    segment.
    """
    return _LINE_ENDS.split(text)


def one_line(text: str) -> str:
    """`text` with a space for each line end, for fields that hold one line."""
    return _LINE_ENDS.sub(" ", text)


def escape(line: str) -> str:
    """`line` with delimiters and control characters as escape sequences; a TAB stays.

    A line end that is still inside becomes `\\Xhh\\`, or a space where it is no single byte: callers split
    first.
    """
    return line.translate(_TABLE) if _SPECIAL.search(line) else line


def unescape(text: str, codec: str = "utf-8") -> str:
    """`text` of one field or repetition as a person reads it; `\\.br\\` becomes a newline.

    `\\X…\\` holds bytes of `codec`; what does not decode shows as U+FFFD. Highlighting is dropped, a
    sequence that is unknown stays as it is: nothing is lost in silence.
    """
    if "\\" not in text:
        return text
    return _SEQUENCE.sub(lambda found: _meaning(found, codec), text)


def _meaning(found: re.Match[str], codec: str) -> str:
    name = found.group(1)
    plain = _PLAIN.get(name)
    if plain is not None:
        return plain
    if name.startswith("X"):
        try:
            return bytes.fromhex(name[1:]).decode(codec, "replace")
        except ValueError:
            return found.group(0)
    return found.group(0)
