"""An EPD as small as can be, so that the service is what is measured. It acknowledges at once, or after a while.

`python -m tests.benchmarks.ack_peer [SECONDS]` takes so long for each message of a connection. It prints one JSON line
with its two ports. On the control port each line is answered with how many documents have come, and when the first and
the last did, in seconds since 1970.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from typing import cast

import uvloop

_START, _END = b"\x0b", b"\x1c\r"


class Inbox:
    """Counts documents."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.ids: set[bytes] = set()

    def take(self, frame: bytes) -> bytes:
        """Note a document and acknowledge it."""
        header = frame.split(b"\r", 1)[0].split(b"|")
        self.times.append(time.time())
        self.ids.add(frame[frame.index(b"\rTXA|") :].split(b"|", 13)[12])
        control_id = header[9]
        return b"MSH|^~\\&|EPD||MESSAGING||20260101||ACK|%b|P|2.5\rMSA|AA|%b\r" % (control_id, control_id)


class Receiver(asyncio.Protocol):
    """One MLLP connection."""

    def __init__(self, inbox: Inbox, seconds: float) -> None:
        self._inbox = inbox
        self._seconds = seconds
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_END)) >= 0:
            frame, self._buffer = self._buffer[1:end], self._buffer[end + len(_END) :]
            answer = _START + self._inbox.take(frame) + _END
            if self._seconds:
                asyncio.get_running_loop().call_later(self._seconds, self._transport.write, answer)
            else:
                self._transport.write(answer)


async def count(inbox: Inbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each line with what has come so far, as one line of JSON."""
    while await reader.readline():
        times = inbox.times
        told: dict[str, float] = {"documents": len(inbox.ids), "received": len(times)}
        told |= {"first": times[0], "last": times[-1]} if times else {}
        writer.write(json.dumps(told).encode() + b"\n")
    writer.close()


async def main(seconds: float) -> None:
    """Serve until SIGTERM."""
    loop, inbox, stop = asyncio.get_running_loop(), Inbox(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    mllp = await loop.create_server(lambda: Receiver(inbox, seconds), "127.0.0.1", 0)
    control = await asyncio.start_server(lambda r, w: count(inbox, r, w), "127.0.0.1", 0)
    ports = {"port": mllp.sockets[0].getsockname()[1], "control": control.sockets[0].getsockname()[1]}
    print(json.dumps(ports), flush=True)
    await stop.wait()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0))
