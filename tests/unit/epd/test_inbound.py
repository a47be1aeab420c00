"""Reading what an EPD sends: typed events, or the code, segment and field of what is wrong."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import hl7apy.parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.domain.message import Identifier
from messaging_service.epd.acknowledgement import AckCode, parse_ack
from messaging_service.epd.inbound import read
from messaging_service.epd.inbound_answer import answer
from messaging_service.epd.inbound_errors import NotUnderstood
from messaging_service.epd.inbound_events import Agreement, ClinicianWrote, Told
from messaging_service.epd.inbound_header import Header
from messaging_service.epd.inbound_segments import MOST_SEGMENTS
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.text import escape
from tests.parts.epd_sender import BSN, LOCAL, document, result

NOW = 1_780_000_000_000
AGREED = Agreement(EpdProfile().authorities, "8859/1", "P", ZoneInfo("Europe/Amsterdam"))


def taken(message: str | bytes, encoding: str = "utf-8", agreed: Agreement = AGREED) -> ClinicianWrote:
    """What is read."""
    raw = message if isinstance(message, bytes) else message.encode(encoding)
    event = read(raw, Header.of(raw), agreed, NOW)
    assert isinstance(event, ClinicianWrote)
    return event


def outcome(raw: bytes) -> tuple[Header | None, NotUnderstood | None]:
    """What can be known of any bytes: the header if there is one, and what is wrong if something is."""
    header = None
    try:
        header = Header.of(raw)
        read(raw, header, AGREED, NOW)
    except NotUnderstood as problem:
        return header, problem
    return header, None


def refused(message: str | bytes, encoding: str = "utf-8") -> tuple[str, str, int, int]:
    """Code, segment, field and sequence of what is wrong."""
    with pytest.raises(NotUnderstood) as raised:
        taken(message, encoding)
    where = raised.value.where
    return raised.value.error, where.segment, where.field, where.sequence


def test_a_reply_is_read_with_all_that_it_says() -> None:
    """Number, parent, patient by both numbers, ward, clinician's name as people write it, role, times, text."""
    event = taken(document("Beste mevrouw,~~tot \\T\\ met maandag.", parent="P1^MSG", patient=f"{LOCAL}~{BSN}"))
    assert (event.told, event.document, event.parent, event.replaces) == (Told.WRITTEN, "D1", "P1^MSG", "")
    assert event.person.identifiers == (Identifier("local", "1234"), Identifier("bsn", "999911120"))
    assert (event.name, event.role, event.clinician) == ("dr. Anna de Vries", "MD", "77")
    assert event.text == "Beste mevrouw,\n\ntot & met maandag."
    assert event.at == event.written_at == int(datetime(2026, 5, 28, 10, tzinfo=UTC).timestamp() * 1000)
    assert event.addressed[0] == "CARD"


@pytest.mark.parametrize(
    ("trigger", "told", "replaces"),
    [
        ("T06", Told.WRITTEN, ""),
        ("T08", Told.CHANGED, ""),
        ("T10", Told.CHANGED, "D0"),
        ("T11", Told.WITHDRAWN, ""),
    ],
)
def test_what_a_trigger_means(trigger: str, told: Told, replaces: str) -> None:
    """T06 adds, T08 changes, T10 replaces the parent, T11 withdraws and carries no text."""
    event = taken(document(trigger=trigger, parent="D0"))
    assert (event.told, event.replaces, event.text == "") == (told, replaces, trigger == "T11")


def test_a_result_is_a_reply_too() -> None:
    """ORU^R01: filler number, the placer field that was agreed, FT with line breaks, the observer as clinician."""
    event = taken(result("Uw uitslag\\.br\\is goed.", placer="M1"))
    assert (event.document, event.placer, event.name) == ("F1", "M1", "Bob Bakker")
    assert event.text == "Uw uitslag\nis goed."
    assert taken(result(status="C")).told is Told.CHANGED
    assert taken(result(status="X")).told is taken(result(mark="W")).told is Told.WITHDRAWN


@pytest.mark.parametrize(("encoding", "kind"), [("A", "PLAIN"), ("Base64", "PLAIN"), ("Base64", "HTML")])
def test_encapsulated_text_is_read(encoding: str, kind: str) -> None:
    """ED with plain text or HTML, as it is or in Base64."""
    text = "<b>Goed</b> nieuws"
    data = base64.b64encode(text.encode()).decode() if encoding == "Base64" else text
    event = taken(
        document().replace("OBX|1|TX|", "OBX|1|ED|").replace("Komt u maandag langs.", f"^TEXT^{kind}^{encoding}^{data}")
    )
    assert (event.text, event.is_html) == (text, kind == "HTML")


@pytest.mark.parametrize(
    ("declared", "codec", "text"),
    [
        ("UNICODE UTF-8", "utf-8", "Café 😀 “ja” \u202e"),
        ("8859/1", "cp1252", "Café “ja” € 5"),
        ("8859/15", "iso8859-15", "Café € 5"),
        ("", "cp1252", "één"),
        ("ASCII", "ascii", "een"),
    ],
)
def test_the_declared_character_set_counts(declared: str, codec: str, text: str) -> None:
    """Each set of MSH-18; where none is declared, the agreed one; Windows' signs in what is called 8859/1."""
    assert taken(document(text, charset=declared), codec).text == text


def test_other_delimiters_are_honoured() -> None:
    """Delimiters of the sender's own choice; its escape sequences mean its delimiters; ours are plain text."""
    standard = document("a!F!b!S!c!R!d!T!e!E!f | ^ & \\ !X41!!.br!g", patient=LOCAL)
    other = standard.replace("|^~\\&|", "\0").replace(" | ^ & \\ ", "\1")
    other = other.translate(str.maketrans("|^~&", "#$%*")).replace("\0", "#$%!*#").replace("\1", " | ^ & \\ ")
    event = taken(other)
    assert event.text == "a#b$c%d*e!f | ^ & \\ A\ng"
    assert (event.document, event.name) == ("D1", "dr. Anna de Vries")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_line_ends(end: str) -> None:
    """CR, LF and both; an LF inside a message that has CRs is text and begins no segment."""
    assert taken(document().replace("\r", end)).text == "Komt u maandag langs."
    event = taken(document("een\nPID \\F\\ 9999^^^ZKH^PI"))
    assert (event.text, event.person.identifiers) == ("een\nPID | 9999^^^ZKH^PI", (Identifier("local", "1234"),))
    assert refused(document("een\nPID|||9999^^^ZKH^PI")) == ("102", "OBX", 8, 1)


def test_z_segments_and_notes() -> None:
    """Z segments are skipped; a note after the text is text of the clinician's too."""
    message = document() + "ZXX|iets^van~de|leverancier\rNTE|1||Neem uw medicijnen mee.\r"
    assert taken(message).text == "Komt u maandag langs.\nNeem uw medicijnen mee."


BAD = {
    "no header": (b"PID|||1234\r", ("100", "MSH", 0, 1)),
    "empty": (b"", ("100", "MSH", 0, 1)),
    "delimiters": (b"MSH|^^^^|EPD\r", ("102", "MSH", 2, 1)),
    "letters as delimiters": (b"MSHabcde", ("102", "MSH", 2, 1)),
    "no control id": (document(control=""), ("101", "MSH", 10, 1)),
    "control in the header": (document(control="C\x1c"), ("102", "MSH", 10, 1)),
    "long control id": (document(control="C" * 200), ("102", "MSH", 10, 1)),
    "version": (document(version="3.0"), ("203", "MSH", 12, 1)),
    "no version": (document(version=""), ("203", "MSH", 12, 1)),
    "test message": (document(processing="T"), ("202", "MSH", 11, 1)),
    "charset": (document(charset="ISO IR87"), ("103", "MSH", 18, 1)),
    "bytes": (document("caf\xe9").encode("latin-1"), ("102", "OBX", 5, 1)),
    "byte that Windows has not": (document("\x81", charset="8859/1").encode("latin-1"), ("102", "OBX", 5, 1)),
    "control that 8859/15 has": (document("\x80", charset="8859/15").encode("latin-1"), ("102", "OBX", 5, 1)),
    "kind": (document().replace("MDM^T02^MDM_T02", "XYZ^T02"), ("200", "MSH", 9, 1)),
    "trigger": (document(trigger="T02").replace("MDM^T02^MDM_T02", "MDM^T99"), ("201", "MSH", 9, 1)),
    "no kind": (document().replace("MDM^T02^MDM_T02", ""), ("101", "MSH", 9, 1)),
    "raw CR in text": (document("een\rtwee"), ("100", "", 0, 1)),
    "injected segment": (document("een\rPID|||9999^^^ZKH^PI"), ("100", "PID", 0, 2)),
    "a second header": (document() + document(control="C2"), ("100", "MSH", 0, 2)),
    "no patient": (document().replace("PID|", "ZID|"), ("100", "PID", 0, 1)),
    "unknown authority": (document(patient="1234^^^ELDERS^XX"), ("101", "PID", 3, 1)),
    "BSN": (document(patient="999911121^^^NLMINBIZA^NNNLD"), ("102", "PID", 3, 1)),
    "no document number": (document(number=""), ("101", "TXA", 12, 1)),
    "draft": (document(completion="DO").replace("|DO|", "|IP|"), ("103", "TXA", 17, 1)),
    "no text": (document(""), ("101", "OBX", 5, 0 + 1)),
    "unescaped delimiter": (document("5 | 6 keer"), ("102", "OBX", 6, 1)),
    "unescaped delimiters": (document("5||6 | 7 keer"), ("102", "OBX", 7, 1)),
    "picture": (document().replace("OBX|1|TX|", "OBX|1|RP|"), ("103", "OBX", 2, 1)),
    "PDF": (document("^application^pdf^Base64^JVBERi0=").replace("OBX|1|TX|", "OBX|1|ED|"), ("103", "OBX", 5, 1)),
    "time": (document(at="28-05-2026"), ("102", "EVN", 2, 1)),
    "no such day": (document(at="20260231120000"), ("102", "EVN", 2, 1)),
    "segments": (document() + "ZZZ|\r" * MOST_SEGMENTS, ("100", "ZZZ", 0, MOST_SEGMENTS)),
    "fields": (document() + "ZZZ" + "|" * 501 + "\r", ("102", "ZZZ", 500, 1)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_has_a_defined_answer(case: str) -> None:
    """Each line of the table: error code, segment, field and which segment of that name."""
    message, expected = BAD[case]
    assert refused(message) == expected


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("version", ["2.5", "2.3"])
def test_every_refusal_can_be_answered(case: str, version: str) -> None:
    """An AE with MSA-2 as it came and the place in ERR, as an EPD's parser reads it; before 2.5 in ERR-1."""
    message, _ = BAD[case]
    raw = message.encode("latin-1", "replace") if isinstance(message, str) else message
    raw = raw.replace(b"|2.5|", b"|%b|" % version.encode())
    header, problem = outcome(raw)
    assert problem is not None
    said = answer(header, AckCode.AE, datetime.fromtimestamp(NOW / 1000, UTC), problem)
    if header is not None and header.control_id.strip() and len(header.control_id) < 200:
        ack = parse_ack(said)
        assert (ack.code, ack.control_id) == (AckCode.AE, header.control_id)
        assert ack.error
    assert b"\rMSA" in said.replace(header.delimiters.field.encode() if header else b"|", b"|")


def test_delimiters_within_a_text() -> None:
    """What can only be text stays text, escaped or not; a value with its unit is not taken for a text that was cut."""
    assert taken(document("a^b & c \\ d")).text == "a^b & c \\ d"
    assert taken(result("37,2").replace("||37,2||||||F", "||37,2|gr C||N|||F")).text == "37,2"


def test_hl7apy_reads_the_same() -> None:
    """What we read out of a document is what hl7apy reads out of the same bytes, and it finds our answer valid."""
    message = document("tekst", parent="P1", patient=f"{LOCAL}~{BSN}")
    parsed = hl7apy.parser.parse_message(message, find_groups=False)
    event = taken(message)
    assert event.document == parsed.txa.txa_12.value
    assert event.parent == parsed.txa.txa_13.value
    assert [i.value for i in event.person.identifiers] == [pid.value.partition("^")[0] for pid in parsed.pid.pid_3]
    said = answer(Header.of(message.encode()), AckCode.AA, datetime.fromtimestamp(NOW / 1000, UTC))
    assert hl7apy.parser.parse_message(said.decode()).validate()


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1).filter(str.strip))
def test_any_text_survives_the_way_in(text: str) -> None:
    """Escaped as HL7 asks, text comes out as it went in, but that line ends are LF."""
    event = taken(document(escape(text).replace("\n", "\\.br\\")))
    assert event.text.replace("\u2028", " ") == _expected(text)


def _expected(text: str) -> str:
    for sign in "\x85\u2028\u2029":
        text = text.replace(sign, " ")
    return text


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 60))
def test_no_bytes_crash_the_reader(noise: bytes, place: int, cut: int) -> None:
    """Noise alone, and noise put into a good message: an event, or NotUnderstood; never anything else."""
    good = document().encode()
    for raw in (noise, b"MSH" + noise, good[:place] + noise + good[place + cut :]):
        header, problem = outcome(raw)
        assert answer(header, AckCode.AE if problem else AckCode.AA, datetime.fromtimestamp(NOW / 1000, UTC), problem)


def test_nobody_is_named_in_a_repr() -> None:
    """Neither patient nor text nor clinician in the repr of anything that was read."""
    shown = repr(taken(document())) + repr(taken(document()).person) + repr(Header.of(document().encode()))
    for private in ("Jansen", "1234", "Vries", "maandag"):
        assert private not in shown
