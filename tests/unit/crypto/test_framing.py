"""Framed tuples read back in one way only."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from messaging_service.crypto.framing import framed

parts = st.lists(st.none() | st.text(alphabet="a\x00\xff\ud800", max_size=3), max_size=4)


@given(parts, parts)
def test_different_tuples_differ(one: list[str | None], other: list[str | None]) -> None:
    """No two tuples encode alike: not across boundaries, not with None for "", not with parts left out."""
    assert (framed(*one) == framed(*other)) == (one == other)


def test_boundaries_count() -> None:
    """The pair that plain concatenation confuses is told apart."""
    assert framed("ab", "c") != framed("a", "bc")
    assert framed(None) != framed("")


def test_bytes_on_the_wire() -> None:
    """Eight bytes of length, big-endian, then UTF-8; None is eight times 0xFF."""
    assert framed("é", None, b"\x00") == bytes.fromhex("0000000000000002c3a9" + "ff" * 8 + "000000000000000100")
