"""Whether a text can be found anywhere in files, in the forms in which it might be written down."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote


def forms(text: str) -> set[bytes]:
    """`text` in UTF-8, UTF-16, Latin-1, base64 at each alignment, hex, percent-encoded and as JSON writes it."""
    plain = text.encode()
    written = {plain, text.encode("utf-16-le"), text.encode("utf-16-be"), text.encode("latin-1", "ignore")}
    found = set(written)
    for one in written:
        found |= {_inner_base64(one, shift) for shift in range(3)}
        found |= {one.hex().encode(), one.hex().upper().encode()}
    found |= {quote(text).encode(), json.dumps(text)[1:-1].encode()}
    return found | {form.translate(_URL_SAFE) for form in found}


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _inner_base64(text: bytes, shift: int) -> bytes:
    """What base64 makes of `text` when `shift` unknown bytes stand before it: only what depends on nothing else."""
    encoded = base64.b64encode(b"\0" * shift + text)
    first = -(-8 * shift // 6)
    last = (8 * (shift + len(text))) // 6
    return encoded[first:last]


def files_below(*folders: Path) -> list[Path]:
    """Every file in these folders, however deep."""
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


def found_in(texts: Iterable[str], files: Iterable[Path]) -> list[str]:
    """Each text and the file in which one of its forms stands."""
    wanted = {text: forms(text) for text in texts}
    found = []
    for path in files:
        content = path.read_bytes()
        found += [f"{text!r} in {path}" for text, written in wanted.items() if any(form in content for form in written)]
    return found
