"""Text made to break things: refused with a clear problem, or filed so that the EPD shows what was typed."""

from __future__ import annotations

import json
import re

import pytest

from tests.parts.patient import Answer, Patient
from tests.parts.system import System

pytestmark = pytest.mark.asyncio(loop_scope="session")

DELIMITERS = "a|b^c~d\\e&f en \\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\.br\\ \\X0D\\ \\H\\hoog\\N\\ \\Zeigen\\"
SEGMENTS = "eerste\rOBX|99|TX|EVIL^^L||ingespoten\rMSH|^~\\&|EVIL\nlaatste"
CHARACTERS = "\u202egespiegeld\u202c \u200bonzichtbaar \ufeff \N{PILL} \u0416 漢字 e\u0301"


async def post_raw(patient: Patient, body: bytes, content_type: str = "application/json") -> Answer:
    """Post bytes as they are."""
    return await patient.send("POST", "/v1/messages", data=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize("tenant", ["spijkenisse", "sein"])
async def test_the_epd_shows_the_delimiters_that_were_typed(system: System, number: str, tenant: str) -> None:
    """`|^~\\&`, `\\F\\` and every other escape sequence, typed by a patient in subject and body."""
    patient = system.patient(tenant, number)
    answer = await patient.post(DELIMITERS, DELIMITERS)
    await patient.until_is(answer.id, "filed")
    document = system.filed(tenant, answer.id)
    assert document.body == DELIMITERS
    assert [line for code, line in document.lines if code == "SUBJECT"] == [f"Onderwerp: {DELIMITERS}"]
    assert (await patient.get(f"/v1/messages/{answer.id}")).body["body"] == DELIMITERS


@pytest.mark.parametrize("tenant", ["spijkenisse", "sein"])
async def test_a_raw_cr_starts_no_segment(system: System, number: str, tenant: str) -> None:
    """CR, LF and what looks like segments after them stay lines of the one body."""
    patient = system.patient(tenant, number)
    answer = await patient.post("Regels", SEGMENTS)
    await patient.until_is(answer.id, "filed")
    document = system.filed(tenant, answer.id)
    assert document.body == SEGMENTS.replace("\r", "\n")
    assert {code for code, _ in document.lines} & {"EVIL"} == set()
    (frame,) = [frame for frame in system.epds[tenant].frames if answer.id.encode() in frame]
    segments = [line[:3] for line in frame.split(b"\r") if line]
    assert segments[:5] == [b"MSH", b"EVN", b"PID", b"PV1", b"TXA"]
    assert set(segments[5:]) == {b"OBX"}


async def test_characters_the_epd_knows_come_through(system: System, number: str) -> None:
    """Right-to-left overrides, zero width, combining and far-away characters, where the EPD takes Unicode."""
    client = system.patient("sein", number)
    answer = await client.post("Tekens", CHARACTERS)
    await client.until_is(answer.id, "filed")
    assert system.filed("sein", answer.id).body == CHARACTERS


async def test_characters_the_epd_does_not_know_are_named(system: System, number: str) -> None:
    """An EPD of ISO 8859-1 is shown what stands for the rest, and a note that says so; nothing is dropped."""
    patient = system.patient("spijkenisse", number)
    answer = await patient.post("Tekens", "Ik neem 1 \N{PILL} per dag \u2264 3 \u20ac, caf\u00e9")
    await patient.until_is(answer.id, "filed")
    document = system.filed("spijkenisse", answer.id)
    assert "caf\u00e9" in document.body
    assert "\ufffd" not in document.body
    assert "Ik neem 1 " in document.body
    assert [line for code, line in document.lines if code == "NOTE"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"subject": "a", "body": "\xff\xfe", "language": "nl"}', 400),
        (b'{"subject": "a", "body": "\\ud800", "language": "nl"}', 400),
        (b'{"subject": "a", "body": "' + b"x" * 20_000 + b'", "language": "nl"}', 413),
        (b'{"subject": "a", "body": "  \\n ", "language": "nl"}', 400),
        (b'{"subject": "a", "body": "b", "attachments": []}', 400),
        (b"[" * 50_000, 400),
        (b'{"a":' * 10_000, 400),
        (b"{}", 400),
        (b"", 400),
        (b"geen json", 400),
    ],
)
async def test_what_cannot_be_read_is_refused(system: System, number: str, body: bytes, status: int) -> None:
    """A problem with its own type and the general notice; nothing is accepted."""
    patient = system.patient("sein", number)
    answer = await post_raw(patient, body)
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.body["status"] == status
    assert "112" in answer.body["notice"]["telephone"]
    assert (await patient.get("/v1/threads")).body["threads"] == []


@pytest.mark.parametrize("tenant", ["spijkenisse", "sein"])
@pytest.mark.parametrize("control", ["\0", "\x01", "\x0b", "\x1c\r", "\x1b[31m", "\x7f", "\x85", "\u2028"])
async def test_control_characters_are_refused_or_shown(system: System, number: str, control: str, tenant: str) -> None:
    """NUL, the bytes that frame MLLP, terminal codes: 400, or filed whole, every line end as a line end."""
    patient = system.patient(tenant, number)
    answer = await patient.post("Tekens", f"voor{control}na")
    if answer.status == 400:
        assert "112" in answer.body["notice"]["telephone"]
        return
    await patient.until_is(answer.id, "filed")
    document = system.filed(tenant, answer.id)
    assert document.count == 1
    lines = re.sub("[\r\x0b\x85\u2028]", "\n", f"voor{control}na")
    named = "voor[U+2028 LINE SEPARATOR]na" if control == "\u2028" else lines
    assert document.body in (lines, named)


async def test_an_attachment_is_415(system: System, number: str) -> None:
    """Attachments cannot be sent yet, and the answer says so."""
    answer = await post_raw(system.patient("sein", number), b"--x\r\n", "multipart/form-data; boundary=x")
    assert answer.status == 415
    assert "112" in answer.body["notice"]["telephone"]


async def test_a_nesting_bomb_is_filed_as_text_or_refused_in_time(system: System, number: str) -> None:
    """4,000 nested tags neither stall the gateway nor lose the words in them."""
    client = system.patient("sein", number)
    bomb = "<div>" * 1_500 + "Help mij even." + "</div>" * 1_500
    answer = await client.send(
        "POST",
        "/v1/messages",
        data=json.dumps({"subject": "Bom", "body": bomb, "format": "html", "language": "nl"}),
        headers={"Content-Type": "application/json"},
    )
    if answer.status == 202:
        await client.until_is(answer.id, "filed")
        assert "Help mij even." in system.filed("sein", answer.id).body
    else:
        assert answer.status in (400, 413)
        assert "112" in answer.body["notice"]["telephone"]


async def test_the_longest_message_is_filed_whole(system: System, number: str) -> None:
    """16 KiB of text, with one line longer than an HL7 field likes, comes out word for word."""
    client = system.patient("sein", number)
    words = " ".join(f"woord{n}" for n in range(1_300))
    body = f"{words}\n{'lang' * 900}"
    assert 14_000 < len(body) < 16_384
    answer = await client.post("Lang verhaal", body)
    await client.until_is(answer.id, "filed")
    shown = system.filed("sein", answer.id).body
    assert shown.replace("\n", "").replace(" ", "") == body.replace("\n", "").replace(" ", "")
