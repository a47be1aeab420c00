"""What an EPD sends: messages with chosen fields, and PyPI hl7's MLLP client to send them with."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hl7
from hl7.mllp import open_hl7_connection

from messaging_service.domain.message import Identifier

LOCAL = "1234^^^ZKH^PI"
BSN = "999911120^^^NLMINBIZA^NNNLD"


def msh(kind: str, control: str, *, at: str = "20260528120000+0200", **changes: str) -> str:
    """A header; `sender`, `processing`, `version` and `charset` change it."""
    given = {"sender": "EPD", "processing": "P", "version": "2.5", "charset": "UNICODE UTF-8", **changes}
    return (
        f"MSH|^~\\&|{given['sender']}|ZKH|MESSAGING|PORTAAL|{at}||{kind}|{control}|{given['processing']}"
        f"|{given['version']}|||AL|NE|NLD|{given['charset']}".replace("|AL|NE|", "|NE|AL|")
    )


def document(
    text: str = "Komt u maandag langs.",
    *,
    trigger: str = "T02",
    control: str = "C1",
    number: str = "D1",
    parent: str = "",
    placer: str = "",
    patient: str = LOCAL,
    at: str = "20260528120000+0200",
    ward: str = "CARD",
    author: str = "77^Vries&de&Vries^Anna^^^dr.^MD",
    completion: str = "AU",
    **header: str,
) -> str:
    """An MDM with a reply; `text` goes in as it is, so a test may write escape sequences or delimiters."""
    lines = "" if trigger == "T11" else f"OBX|1|TX|BODY^Bericht^L||{text}||||||F\r"
    return (
        msh(f"MDM^{trigger}^MDM_{trigger}", control, at=at, **header)
        + f"\rEVN|{trigger}|{at}\rPID|||{patient}||Jansen&&Jansen^A.^^^^^L\rPV1||O|{ward}\r"
        + f"TXA|1|PN|TX|{at}|||||{author}|||{number}|{parent}|{placer}|||{completion}||AV\r{lines}"
    )


def result(
    text: str = "Uitslag is goed.",
    *,
    control: str = "R1",
    number: str = "F1",
    placer: str = "",
    status: str = "F",
    **m: str,
) -> str:
    """An ORU^R01 with a reply."""
    patient, at = m.pop("patient", LOCAL), m.pop("at", "20260528120000+0200")
    mark = m.pop("mark", "F")
    return (
        msh("ORU^R01^ORU_R01", control, at=at, **m)
        + f"\rPID|||{patient}||Jansen^A.\rPV1||O|CARD\rORC|RE|{placer}\r"
        + f"OBR|1|{placer}|{number}|PN|||{at}|||||||||77^Vries^Anna||||||{at}|||{status}\r"
        + f"OBX|1|FT|BODY^Bericht^L||{text}||||||{mark}|||{at}||88^Bakker^Bob\r"
    )


class Sender:
    """PyPI hl7 as the EPD's side of a connection."""

    def __init__(self, reader: Any, writer: Any) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, message: str | bytes, encoding: str = "utf-8") -> Any:
        """Send a message and return its parsed acknowledgement."""
        self.writer.writeblock(message if isinstance(message, bytes) else message.encode(encoding))
        await self.writer.drain()
        return await self.answer()

    async def answer(self) -> Any:
        """The next acknowledgement."""
        block = await asyncio.wait_for(self.reader.readblock(), 10)
        return hl7.parse(block.decode("latin-1"))


def code(ack: Any) -> str:
    """MSA-1."""
    return str(ack.segment("MSA")(1))


def place(ack: Any) -> tuple[str, str]:
    """ERR-2 and the code of ERR-3."""
    error = ack.segment("ERR")
    return str(error[2]), str(error[3]).partition("^")[0]


@asynccontextmanager
async def sender(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Sender]:
    """A connection to a listener."""
    reader, writer = await open_hl7_connection("127.0.0.1", port, ssl=tls, limit=4_000_000)
    try:
        yield Sender(reader, writer)
    finally:
        writer.close()


def person(number: str = "1234") -> tuple[Identifier, ...]:
    """The identifiers of a PID with that local number."""
    return (Identifier("local", number),)


def admission(
    trigger: str,
    *,
    control: str = "A1",
    patient: str = LOCAL,
    name: str = "Jansen^Anna",
    at: str = "20260528120000+0200",
    visit: str = "V1",
    ward: str = "CARD",
    attending: str = "",
    died: str = "",
    dead: str = "",
    discharged_to: str = "",
    mrg: str = "",
    more: str = "",
    **header: str,
) -> str:
    """An ADT; with `mrg` an MRG-1, with `more` further segments."""
    pv1 = ["PV1", "", "I", ward, *[""] * 3, attending, *[""] * 11, visit, *[""] * 16, discharged_to]
    pid = ["PID", "", "", patient, "", name, *[""] * 23, died, dead]
    segments = [
        msh(f"ADT^{trigger}", control, at=at, **header),
        f"EVN|{trigger}|{at}",
        "|".join(pid),
        *([f"MRG|{mrg}"] if mrg else []),
        *(["|".join(pv1)] if visit or ward else []),
        *([more] if more else []),
    ]
    return "\r".join(segments) + "\r"


def appointment(
    trigger: str,
    starts: str,
    *,
    control: str = "S1",
    number: str = "AFS1",
    patient: str = LOCAL,
    at: str = "20260528120000+0200",
) -> str:
    """An SIU; its start in SCH-11.4."""
    return (
        msh(f"SIU^{trigger}^SIU_S12", control, at=at)
        + f"\rSCH||{number}|||||||||^^^{starts}\rPID|||{patient}||Jansen\r"
    )
