"""MLLP frames: VT, content, FS CR (HL7 Minimal Lower Layer Protocol, release 1)."""

from __future__ import annotations

START, END = b"\x0b", b"\x1c\x0d"
MAX_FRAME = 1_048_576


def framed(content: bytes) -> bytes:
    """`content` as it goes over the line.

    Raises:
        ValueError: it holds the bytes that end a frame.
    """
    if END in content:
        raise ValueError("the content would end its own frame")
    return START + content + END


class FrameBroken(Exception):
    """The peer sent more than the cap without ending a frame."""


class FrameDecoder:
    """Bytes in as they come, contents of whole frames out; keeps no more than the cap.

    Bytes before VT are skipped, and a VT inside a frame is content, as it is for other receivers.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        """`max_frame` caps the content of a frame, and what is skipped before one, in bytes."""
        self._max = max_frame
        self._buffer = bytearray()
        self._skipped = 0
        self._searched = 0

    @property
    def idle(self) -> bool:
        """Whether nothing of a frame waits here."""
        return not self._buffer

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames that `chunk` completes.

        Raises:
            FrameBroken: the cap is passed; the connection is of no use any more.
        """
        end = len(chunk) - len(END)
        if not self._buffer and chunk[:1] == START and 0 < end <= self._max and chunk.find(END) == end:
            self._skipped = 0
            return [bytes(chunk[1:end])]  # as nearly every answer comes: one frame, whole
        self._buffer += chunk
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> bytes | None:
        self._skip_to_start()
        end = self._buffer.find(END, self._searched)
        if max(end, 0) > self._max + 1 or (end < 0 and len(self._buffer) > self._max + len(START + END)):
            raise FrameBroken
        if end < 0:
            self._searched = max(0, len(self._buffer) - 1)
            return None
        frame = bytes(self._buffer[1:end])
        del self._buffer[: end + len(END)]
        self._searched = 0
        return frame

    def _skip_to_start(self) -> None:
        start = self._buffer.find(START)
        if start == 0:
            self._skipped = 0
            return
        garbage = len(self._buffer) if start < 0 else start
        del self._buffer[:garbage]
        self._skipped += garbage
        if self._skipped > self._max:
            raise FrameBroken
