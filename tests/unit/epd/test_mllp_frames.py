"""Frames out of a stream of bytes, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.adapters.mllp_frames import FrameBroken, FrameDecoder, framed

CONTENT = st.binary(max_size=40).filter(lambda content: b"\x1c\r" not in content and not content.endswith(b"\x1c"))
GARBAGE = st.binary(max_size=10).filter(lambda noise: b"\x0b" not in noise)


@given(st.lists(st.tuples(GARBAGE, CONTENT), max_size=5), st.lists(st.integers(1, 7), min_size=1))
def test_frames_come_out_however_the_stream_is_cut(sent: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """Split, glued and preceded by garbage: every frame comes out once, in order, with its exact content."""
    stream = b"".join(noise + framed(content) for noise, content in sent)
    decoder, received, place, turn = FrameDecoder(100), [], 0, 0
    while place < len(stream):
        step = cuts[turn % len(cuts)]
        received += decoder.feed(stream[place : place + step])
        place, turn = place + step, turn + 1
    assert received == [content for _, content in sent]
    assert decoder.idle


@pytest.mark.parametrize("stream", [b"\x0b" + b"x" * 200, b"x" * 200, b"\x0b" + b"x" * 101 + b"\x1c\r"])
@pytest.mark.parametrize("step", [1, 64, 1000])
def test_a_frame_beyond_the_cap_is_refused(stream: bytes, step: int) -> None:
    """A frame without an end, garbage without a frame and a frame too long: memory stays within the cap."""
    decoder = FrameDecoder(100)

    def feed() -> None:
        for place in range(0, len(stream), step):
            decoder.feed(stream[place : place + step])

    with pytest.raises(FrameBroken):
        feed()


def test_a_frame_of_exactly_the_cap_passes() -> None:
    """The cap counts the content alone."""
    assert FrameDecoder(100).feed(framed(b"x" * 100)) == [b"x" * 100]


def test_content_that_would_end_its_frame_is_not_sent() -> None:
    """FS CR inside a message would cut it in two at the receiver."""
    with pytest.raises(ValueError, match="frame"):
        framed(b"a\x1c\rb")
