"""Documents to file, and the oracle that reads them back: hl7apy, then our own unescape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

from messaging_service.domain.message import Identifier
from messaging_service.epd.document import FilingDocument
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.skeleton import RAW
from messaging_service.epd.text import unescape

HOSTILE = [
    "|",
    "^",
    "~",
    "\\",
    "&",
    "\r",
    "\n",
    "\r\n",
    "\t",
    "\x00",
    "\x0b",
    "\x1c",
    "\x1c\r",
    "\x07",
    "\x7f",
    "\x85",
    "\u2028",
    "\u202e",
    "\\F\\",
    "\\E\\",
    "\\.br\\",
    "\\X0D\\",
    "\rPID|||666",
    "MSH|^~\\&|",
    "😀",
    "👩\u200d👧",
    "é",
    "e\u0301",
    "ő",
    "“",
    "€",
    "½",
    "a",
    " ",
    "%s",
    "%(body)s",
]

AMSTERDAM = ZoneInfo("Europe/Amsterdam")

DOCUMENT = FilingDocument(
    message_id="01JFVX4D8M5Q2W9Z7K3N6R1TBC",
    control_id="K7Q2M4ZX1",
    thread="01JFVX4D8M5Q2W9Z7K3N6R1TAA",
    written_at=datetime(2026, 1, 5, 9, 30, tzinfo=AMSTERDAM),
    sent_at=datetime(2026, 1, 5, 9, 30, 2, tzinfo=AMSTERDAM),
    identifiers=(Identifier("local", "1234"), Identifier("bsn", "999911120")),
    patient_name="J. van der Meer",
    author_name="P. van der Meer",
    author_role="representative",
    care_team_code="CARD-A",
    care_team_name="Hartfalen & Ritme",
    department_code="CARD",
    subject="Vraag over medicijnen",
    body="Goedemorgen,\n\nMag ik de plaspil 's avonds nemen?",
)


def with_body(body: str, subject: str = "Vraag") -> FilingDocument:
    """A document of that text."""
    return replace(DOCUMENT, body=body, subject=subject)


def parsed(raw: bytes, profile: EpdProfile) -> Any:
    """What hl7apy reads, held to the structure of the profile's version; raises when it is not valid."""
    text = without_role(raw.decode(profile.codec))
    message = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT)
    message.validate()
    return message


def without_role(text: str) -> str:
    """The message without ROL, which stands in it by local agreement alone."""
    return "\r".join(line for line in text.split("\r") if not line.startswith("ROL|"))


def segments(element: Any) -> Iterator[Any]:
    """All segments in order, groups opened."""
    for child in element.children:
        if child.classname == "Group":
            yield from segments(child)
        else:
            yield child


def shown(raw: bytes, profile: EpdProfile, code: str = "BODY") -> str:
    """The lines a clinician sees under `code`, joined by newlines."""
    lines = []
    for segment in segments(parsed(raw, profile)):
        if segment.name == "OBX" and segment.obx_3.obx_3_1.to_er7() == code:
            lines += [unescape(field.to_er7(RAW), profile.codec) for field in segment.obx_5]
    return "\n".join(lines)
