"""Several values as one byte string that can be read in one way only.

Without lengths ("ab", "c") and ("a", "bc") would authenticate alike, and a sealed field could be moved
between places whose names merely concatenate to the same text.
"""

from __future__ import annotations

_ABSENT = b"\xff" * 8


def framed(*parts: str | bytes | None) -> bytes:
    """Each part as an 8-byte big-endian length and its bytes, one after the other; text is UTF-8.

    None is eight 0xFF bytes, a length that no part has, so it differs from "" and b"". Lone surrogates, which
    a JSON string may hold, encode as their three bytes (`surrogatepass`): every `str` has exactly one
    encoding, and no error arises that would carry the text.
    """
    pieces = []
    for part in parts:
        if part is None:
            pieces.append(_ABSENT)
        else:
            raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
            pieces += (len(raw).to_bytes(8, "big"), raw)
    return b"".join(pieces)
