"""A sandbox EPD to try things out with: PyPI `hl7`'s MLLP server, an inbox, and moods on demand.

It shares no code with the service. `python deploy/sandbox/epd.py --port 0 --control-port 0` prints one JSON
line with the ports it took. On the control port:

GET  /inbox                                                    what a clinician would see
POST /mode {"mode": "down"}                                    how it answers, see MODES
POST /slow {"patient": "1234"}                                 from now on it takes its time over this patient alone
POST /reply {"document": "…", "text": "…", "to": "host:port"}  a clinician answers a message
POST /read {"document": "…", "to": "host:port"}                a clinician opened it: the sender is told by MDM^T04
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import hl7
from aiohttp import web
from hl7.client import MLLPClient
from hl7.mllp import InvalidBlockError, start_hl7_server

MODES = ("normal", "slow", "refuse", "reject", "lie", "hang", "garbage", "down", "engine", "commit", "commit-only")
"""engine: says AA and loses it; commit: CA and then AA; commit-only: CA, and the rest never comes."""

CODECS = {"8859/1": "iso8859-1", "8859/15": "iso8859-15", "UNICODE UTF-8": "utf-8"}
LONGEST_MESSAGE = 4 * 1024 * 1024
"""hl7's own limit of 64 KiB drops longer messages without a word."""

UNKNOWN_PATIENT = "ERR|||204^Unknown key identifier^HL70357|E\r"
INTERNAL_ERROR = "ERR|||207^Application internal error^HL70357|E\r"


@dataclass(slots=True)
class Filed:
    """A document as a clinician sees it, and how often it came under its number (TXA-12, of a result OBR-3).

    `read`: a clinician opened it; `receipt` is then what the sender acknowledged, empty until it did.
    """

    document: str
    parent: str
    arrival: int
    patient_ids: list[str]
    patient_name: str
    hospital: str
    location: str
    attending: str
    originator: str
    written_at: str
    urgent: bool
    lines: list[tuple[str, str]]
    count: int = 1
    corrected: int = 0
    replaced_by: str = ""
    withdrawn: bool = False
    read: bool = False
    receipt: str = ""
    control_ids: list[str] = field(default_factory=list)

    @property
    def body(self) -> str:
        """The message's own text."""
        return "\n".join(line for code, line in self.lines if code == "BODY")


class SandboxEpd:
    """The EPD. `inbox` is by TXA-12 in order of first arrival; `frames` are the raw messages as they came."""

    def __init__(self, host: str = "127.0.0.1", *, slow_seconds: float = 2.0) -> None:
        self.inbox: dict[str, Filed] = {}
        self.frames: list[bytes] = []
        self.mode = "normal"
        self.port = 0
        self.connections = 0
        self.slow_seconds = slow_seconds
        self.slow_patients: set[str] = set()
        self._host = host
        self._server: asyncio.Server | None = None
        self._talks: dict[asyncio.Task[None], Any] = {}
        self._news = asyncio.Condition()
        self._told = 0

    async def start(self, port: int = 0) -> None:
        """Listen on `port`; 0 takes a free one and keeps it for later."""
        self._server = await start_hl7_server(
            self._connected, self._host, port or self.port, limit=LONGEST_MESSAGE, encoding="iso8859-1"
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def set_mode(self, mode: str) -> None:
        """Answer like `mode` from now on; `down` stops listening and hangs up, any other listens again."""
        if mode not in MODES:
            raise ValueError(mode)
        self.mode = mode
        if mode == "down":
            await self.close()
        elif self._server is None:
            await self.start()
        async with self._news:
            self._news.notify_all()

    async def until(self, condition: Callable[[SandboxEpd], bool], timeout: float = 20.0) -> None:
        """Wait until `condition` holds; looked at on every message and change of mode."""
        async with asyncio.timeout(timeout), self._news:
            await self._news.wait_for(lambda: condition(self))

    async def close(self) -> None:
        """Stop listening and hang up."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for talk, writer in list(self._talks.items()):
            talk.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _connected(self, reader: Any, writer: Any) -> None:
        self.connections += 1
        talk = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._talks[talk] = writer
        talk.add_done_callback(lambda done: self._talks.pop(done, None))

    async def _talk(self, reader: Any, writer: Any) -> None:
        try:
            while True:
                for answer in await self._take(await reader.readblock()):
                    writer.write(answer)
                    await writer.drain()
        except (asyncio.IncompleteReadError, InvalidBlockError, ConnectionError, ValueError):
            return
        finally:
            writer.close()

    async def reply(self, document: str, text: str, host: str, port: int) -> str:
        """A clinician answers a document, by MDM^T02 to a listener; returns the acknowledgement."""
        now, number = self._moment()
        said = text
        for sign, escaped in (("\\", "E"), ("|", "F"), ("^", "S"), ("~", "R"), ("&", "T")):
            said = said.replace(sign, f"\\{escaped}\\")
        about = (
            f"TXA|1|PN|TX|{now}|||||D1^Dokter^A|||{number}^EPD|{document}||||AU",
            f"OBX|1|TX|BODY^Bericht^L||{'~'.join(said.splitlines())}||||||F",
        )
        return await self._tell("T02^MDM_T02", now, number, self.inbox[document], about, host, port)

    async def read(self, document: str, host: str, port: int) -> str:
        """A clinician opened a document: MDM^T04 with AU in TXA-17 to a listener; returns the acknowledgement."""
        filed = self.inbox[document]
        filed.read = True
        now, number = self._moment()
        about = (f"TXA|1|PN|TX|{now}||||||||{document}|||||AU||AV",)
        answer = await self._tell("T04^MDM_T01", now, number, filed, about, host, port)
        filed.receipt = answer.partition("MSA|")[2][:2]
        return answer

    def _moment(self) -> tuple[str, str]:
        """Now, and a number for a message of this moment."""
        self._told += 1
        moment = datetime.now(UTC)
        return moment.strftime("%Y%m%d%H%M%S+0000"), f"R{moment:%y%m%d%H%M%S}-{self._told}"

    async def _tell(
        self, event: str, now: str, number: str, filed: Filed, about: Sequence[str], host: str, port: int
    ) -> str:
        message = "\r".join(
            (
                f"MSH|^~\\&|EPD|{filed.hospital}|MESSAGING||{now}||MDM^{event}|{number}|P|2.5||||||UNICODE UTF-8",
                f"EVN|{event[:3]}|{now}",
                f"PID|||{'~'.join(filed.patient_ids)}||{filed.patient_name}",
                "PV1||O",
                *about,
                "",
            )
        )
        return await asyncio.to_thread(_send, message, host, port)

    async def _take(self, block: bytes) -> list[bytes]:
        message = hl7.parse(block.decode(_codec(block)))
        self.frames.append(block)
        seen = _as_seen(message, arrival=len(self.inbox) + 1)
        if self.mode not in ("refuse", "reject", "engine"):
            self._file(message, seen)
        async with self._news:
            self._news.notify_all()
        slow = any(number.partition("^")[0] in self.slow_patients for number in seen.patient_ids)
        if self.mode == "slow" or slow:
            await asyncio.sleep(self.slow_seconds)
        return self._answers(message)

    def _file(self, message: Any, seen: Filed) -> None:
        known = self.inbox.get(seen.document)
        change = _change(message)
        if change == "withdraw":
            if known is not None:
                known.withdrawn = True
        elif change == "edit" and known is not None:
            known.lines, known.corrected = seen.lines, known.corrected + 1
        else:
            known = self.inbox.setdefault(seen.document, seen)
            known.count += known is not seen
            if change == "replace" and (old := self.inbox.get(seen.parent)) is not None:
                old.replaced_by = seen.document
        if known is not None:
            known.control_ids.append(str(message.segment("MSH")(10)))

    def _answers(self, message: Any) -> list[bytes]:
        if self.mode == "hang":
            return []
        if self.mode == "garbage":
            return [b"HTTP/1.1 400 Bad Request\r\n\r\n\x0bnot HL7\x1c\r"]
        codes = {"refuse": ["AE"], "reject": ["AR"], "commit": ["CA", "AA"], "commit-only": ["CA"]}
        return [self._answer(message, code) for code in codes.get(self.mode, ["AA"])]

    def _answer(self, message: Any, code: str) -> bytes:
        ack = message.create_ack(code)
        if self.mode == "lie":
            ack.segment("MSA").assign_field("NOT-YOURS", 2)
        error = {"refuse": UNKNOWN_PATIENT, "reject": INTERNAL_ERROR}.get(self.mode, "")
        return b"\x0b" + f"{str(ack).rstrip()}\r{error}".encode("iso8859-1", "replace") + b"\x1c\r"


def _send(message: str, host: str, port: int) -> str:
    with MLLPClient(host, port) as client:
        return str(client.send_message(message).strip(b"\x0b\x1c\r").decode("iso8859-1"))


def _change(message: Any) -> str:
    """What the message does to a document that is there: edit, replace or withdraw it; empty for a new one."""
    if str(message.segment("MSH")(9)(1)(1)) == "ORU":
        return {"C": "edit", "X": "withdraw"}.get(str(message.segment("OBR")(25)), "")
    return {"T08": "edit", "T10": "replace", "T11": "withdraw"}.get(str(message.segment("MSH")(9)(1)(2)), "")


def _codec(block: bytes) -> str:
    """What MSH-18 declares; the header itself is ASCII."""
    header = block.split(b"\r", 1)[0].split(block[3:4])
    declared = header[17].decode("ascii", "replace") if len(header) > 17 else ""
    return CODECS.get(declared, "ascii")


def _as_seen(message: Any, arrival: int) -> Filed:
    is_result = str(message.segment("MSH")(9)(1)(1)) == "ORU"
    about, places = (message.segment("OBR"), (3, 29, 16, 7)) if is_result else (message.segment("TXA"), (12, 13, 9, 4))
    document, parent, originator, written_at = (_text(message, about, place) for place in places)
    lines = [
        (str(obx(3)(1)(1)), message.unescape(str(repetition)).replace("\r", "\n"))
        for obx in (message.segments("OBX") if "OBX" in {str(segment[0]) for segment in message} else [])
        for repetition in obx[5]
    ]
    return Filed(
        document=document,
        parent=parent,
        arrival=arrival,
        patient_ids=[str(identifier) for identifier in message.segment("PID")(3)],
        patient_name=_text(message, message.segment("PID"), 5).partition("^")[0],
        hospital=_text(message, message.segment("MSH"), 6),
        location=_text(message, message.segment("PV1"), 3),
        attending=_text(message, message.segment("PV1"), 7),
        originator=originator,
        written_at=written_at,
        urgent=any(code == "PRIORITY" for code, _ in lines),
        lines=lines,
    )


def _text(message: Any, segment: Any, number: int) -> str:
    return str(message.unescape(str(segment[number]))) if len(segment) > number else ""


def control_app(epd: SandboxEpd) -> web.Application:
    """The control surface."""

    async def inbox(request: web.Request) -> web.Response:
        documents = [{**asdict(filed), "body": filed.body} for filed in epd.inbox.values()]
        return web.json_response({"mode": epd.mode, "received": len(epd.frames), "documents": documents})

    async def mode(request: web.Request) -> web.Response:
        try:
            asked = await request.json()
            await epd.set_mode(asked["mode"])
        except (ValueError, KeyError, TypeError):
            return web.json_response({"modes": MODES}, status=400)
        return web.json_response({"mode": epd.mode})

    async def slow(request: web.Request) -> web.Response:
        epd.slow_patients.add(str((await request.json())["patient"]))
        return web.json_response({"slow": sorted(epd.slow_patients)})

    async def tell(request: web.Request) -> web.Response:
        """That a clinician answered, where there is a text, or read."""
        asked = await request.json()
        host, _, port = asked["to"].rpartition(":")
        document, to = asked["document"], (host, int(port))
        if document not in epd.inbox:
            return web.json_response({"documents": list(epd.inbox)}, status=404)
        is_reply = request.path == "/reply"
        try:
            answer = await (epd.reply(document, asked["text"], *to) if is_reply else epd.read(document, *to))
        except OSError as problem:
            return web.json_response({"answer": "", "problem": str(problem)}, status=502)
        return web.json_response({"answer": answer})

    app = web.Application()
    app.add_routes([web.get("/inbox", inbox), web.post("/mode", mode), web.post("/slow", slow)])
    app.add_routes([web.post("/reply", tell), web.post("/read", tell)])
    return app


async def serve(port: int, control_port: int) -> None:
    """Run on loopback until SIGINT or SIGTERM."""
    epd = SandboxEpd()
    await epd.start(port)
    runner = web.AppRunner(control_app(epd))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", control_port)
    await site.start()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(json.dumps({"port": epd.port, "control_port": runner.addresses[0][1]}), flush=True)
    await stop.wait()
    await epd.close()
    await runner.cleanup()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=2575, help="MLLP port on loopback; 0 takes a free one")
    parser.add_argument("--control-port", type=int, default=0, help="HTTP control port; 0 takes a free one")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.control_port))


if __name__ == "__main__":
    main()
