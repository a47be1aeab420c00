"""Reading acknowledgements and what follows from them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from messaging_service.epd.acknowledgement import (
    AckCode,
    Acknowledgement,
    AckUnknown,
    AckUnreadable,
    Unanswered,
    parse_ack,
    told_of,
)
from messaging_service.epd.policy import AckPolicy, AckRule, Action, Verdict

SAMPLES = Path(__file__).parents[3] / "contracts" / "hl7" / "samples"
HEADER = "MSH|^~\\&|EPD|SMC|MESSAGING||20260105093003||ACK^T02^ACK|9|P|2.5\r"
AA = f"{HEADER}MSA|AA|K7Q2M4ZX1\r".encode()


def answer(code: str, error: str = "") -> Acknowledgement:
    return Acknowledgement(AckCode(code), "K1", error, "")


def test_an_accept_is_read() -> None:
    """Code, control id and the evidence's hash."""
    assert parse_ack(AA) == Acknowledgement(AckCode.AA, "K7Q2M4ZX1", "", hashlib.sha256(AA).hexdigest())


@pytest.mark.parametrize(
    "error",
    [
        "ERR||PID^1^3|204^Unknown key identifier^HL70357|E|||No patient Jansen\r",
        "ERR||PID^1^3|204&x^Unknown~207^Other|E\r",
        "ERR|PID^1^3^204&Unknown key identifier&HL70357\r",
        "ERR|PID^1^3^204~PV1^1^2^101\r",
        "NTE|1||Unknown\rERR|||204\rERR|||207\r",
    ],
)
def test_the_error_code_is_found_where_versions_put_it(error: str) -> None:
    """ERR-3 from 2.5 on, ERR-1.4 before; the first one counts."""
    assert parse_ack(f"{HEADER}MSA|AE|K1|Patient Jansen unknown\r{error}".encode()).error == "204"


def test_msa_6_is_the_oldest_place_of_an_error_code() -> None:
    """MSA-6 is read when there is no ERR."""
    assert parse_ack(f"{HEADER}MSA|AE|K1||||207^Internal\r".encode()).error == "207"


def test_text_about_the_patient_is_not_kept() -> None:
    """What stands in a code's place but looks like a sentence is dropped, and the rest is never read."""
    read = parse_ack(f"{HEADER}MSA|AE|K1|BSN 999911120\rERR|||patient Jansen is unknown|E\r".encode())
    assert read.error == ""
    assert "Jansen" not in repr(read)
    assert "999911120" not in repr(read)


@pytest.mark.parametrize("ending", ["\r", "\n", "\r\n", ""])
def test_line_ends_of_any_kind_are_read(ending: str) -> None:
    """Some engines end segments with LF, or forget the last end."""
    header = HEADER.rstrip("\r")
    assert parse_ack(f"{header}{ending or chr(13)}MSA|AA|K1{ending}".encode()).control_id == "K1"


def test_other_delimiters_are_read() -> None:
    """The delimiters are those that the answer's own MSH declares."""
    raw = b"MSH#*!/%#EPD###20260105##ACK#1#P#2.5\rMSA#AE#K1\rERR###101*Required field missing\r"
    assert parse_ack(raw).error == "101"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r",
        b"MSH",
        b"MSH|^~\\&",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        HEADER.encode(),
        f"{HEADER}MSA\r".encode(),
        f"{HEADER}MSA|XX|K1\r".encode(),
        f"{HEADER}MSA|AA|\r".encode(),
        f"{HEADER}MSA|AA|\x01\r".encode(),
        f"{HEADER}MSA|AA|{'K' * 300}\r".encode(),
        b"\xff" * 1000,
        AA + b"x" * 70_000,
    ],
)
def test_what_is_no_acknowledgement_is_refused(raw: bytes) -> None:
    """Garbage of every kind ends in AckUnreadable, whose message quotes nothing of it."""
    with pytest.raises(AckUnreadable) as raised:
        parse_ack(raw)
    assert "HTTP" not in str(raised.value)


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda tail: HEADER.encode() + b"MSA|" + tail))
def test_no_bytes_crash_the_reader(raw: bytes) -> None:
    """Any bytes are either an acknowledgement or AckUnreadable."""
    try:
        assert parse_ack(raw).control_id
    except AckUnreadable:
        return


@settings(max_examples=40, deadline=None)
@given(
    version=st.sampled_from(["2.4", "2.5", "2.5.1", "2.6"]),
    code=st.sampled_from(list(AckCode)),
    control_id=st.text("ABCXYZ0189", min_size=1, max_size=20),
    error=st.sampled_from(["", "101", "204", "207"]),
)
def test_the_reader_agrees_with_hl7apy(version: str, code: AckCode, control_id: str, error: str) -> None:
    """hl7apy builds the answer and reads it back; the fast reader finds the same values."""
    ack = Message("ACK", version=version, validation_level=VALIDATION_LEVEL.TOLERANT)
    ack.msh.msh_9, ack.msh.msh_10, ack.msh.msh_11 = "ACK^T02^ACK", "9", "P"
    ack.msa.msa_1, ack.msa.msa_2 = code.value, control_id
    if error:
        old = version == "2.4"
        setattr(ack.err, "err_1" if old else "err_3", f"PID^1^3^{error}&Text" if old else f"{error}^Text^HL70357")
    oracle = parse_message(ack.to_er7(), validation_level=VALIDATION_LEVEL.TOLERANT)
    read = parse_ack(ack.to_er7().encode())
    assert (read.code, read.control_id) == (oracle.msa.msa_1.to_er7(), oracle.msa.msa_2.to_er7())
    assert read.error == ("" if code in (AckCode.AA, AckCode.CA) else error)


@pytest.mark.parametrize(
    ("given_", "attempts", "verdict"),
    [
        (answer("AA"), 1, Verdict(Action.FILED, "AA")),
        (answer("CA"), 3, Verdict(Action.FILED, "CA")),
        (answer("AE", "204"), 1, Verdict(Action.PARK, "AE-204")),
        (answer("CE"), 1, Verdict(Action.PARK, "CE")),
        (answer("AE", "207"), 1, Verdict(Action.RETRY, "AE-207")),
        (answer("AE", "206"), 3, Verdict(Action.RETRY, "AE-206")),
        (answer("AE", "207"), 4, Verdict(Action.PARK, "AE-207")),
        (answer("AR", "207"), 1, Verdict(Action.RETRY, "AR-207")),
        (answer("CR"), 4, Verdict(Action.PARK, "CR", alert=True)),
    ],
)
def test_the_default_table(given_: Acknowledgement, attempts: int, verdict: Verdict) -> None:
    """Accept files, error parks unless it says "not now", reject is tried again, and every retry ends."""
    assert AckPolicy().judge(given_, attempts) == verdict


def test_a_sites_own_line_goes_first() -> None:
    """A site whose EPD says AE-205 for a document it has already can call that filed."""
    policy = AckPolicy(rules=(AckRule((AckCode.AE,), Action.FILED, errors=("205",)), *AckPolicy().rules))
    assert policy.judge(answer("AE", "205"), 1).action is Action.FILED
    assert policy.judge(answer("AE", "204"), 1).action is Action.PARK


def test_what_no_line_covers_is_parked_with_an_alert() -> None:
    """An incomplete table loses nothing."""
    assert AckPolicy(rules=()).judge(answer("AA"), 1) == Verdict(Action.PARK, "AA", alert=True)


def test_an_unknown_outcome_is_resent_under_the_same_control_id_and_then_parked() -> None:
    """A receiver may replay its stored answer; after the cap a person decides."""
    policy = AckPolicy(unknown_cap=2)
    again = policy.judge_unknown(Unanswered.TIMEOUT, 1)
    assert again == Verdict(Action.RETRY, "ack-unknown-timeout", same_control_id=True)
    assert policy.judge_unknown(Unanswered.TIMEOUT, 2).action is Action.PARK


def test_a_site_may_rather_park_than_send_twice() -> None:
    """`on_unknown = "park"` never sends a second time."""
    verdict = AckPolicy(on_unknown="park").judge_unknown(Unanswered.CLOSED, 1)
    assert verdict == Verdict(Action.PARK, "ack-unknown-closed", alert=True)


def test_an_unknown_outcome_keeps_evidence_but_no_text() -> None:
    """The hash of what came instead is kept; its text is in neither message nor repr."""
    unknown = AckUnknown(Unanswered.GARBLED, b"patient Jansen")
    assert unknown.digest == hashlib.sha256(b"patient Jansen").hexdigest()
    assert "Jansen" not in f"{unknown} {unknown!r} {vars(unknown)}"


@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        ("ack_aa", Verdict(Action.FILED, "AA")),
        ("ack_ae", Verdict(Action.PARK, "AE-204")),
        ("ack_ae_2.4", Verdict(Action.PARK, "AE-204")),
        ("ack_ar", Verdict(Action.RETRY, "AR-207")),
    ],
)
def test_the_samples_in_the_contract_mean_what_the_page_says(sample: str, verdict: Verdict) -> None:
    """contracts/hl7/ack.md shows these answers with these consequences."""
    read = parse_ack((SAMPLES / f"{sample}.hl7").read_bytes())
    assert read.control_id == "K7Q2M4ZX1"
    assert AckPolicy().judge(read, 1) == verdict


@pytest.mark.parametrize(
    "raw",
    [
        b"MSH|^~\\&|E||M||20260105||ACK|1|P|2.5\rMSA|AA|K1\r",
        b"MSH|^~\\&|E||M||20260105||ACK|1|P|2.5\nMSA|AA| K1 |text\n",
        b"MSH|^~\\&|MSA|AA|K9||20260105||ACK|1|P|2.5\r\nMSA|AA|K1",
        b"MSH*^~\\&*E**M**20260105**ACK*1*P*2.5\rSFT*x\rMSA*AA*K1*text\rERR***207\r",
    ],
)
def test_whose_answer_it_is_is_told_without_reading_it_all(raw: bytes) -> None:
    """The quick look finds what the full reading finds, whatever the delimiters and line ends."""
    whole = parse_ack(raw)
    assert told_of(raw) == (whole.code, whole.control_id) == ("AA", "K1")


@given(st.binary(max_size=200) | st.text("MSHA|\r\n^K1", max_size=60).map(str.encode))
def test_the_quick_look_never_disagrees_with_the_full_reading(noise: bytes) -> None:
    """Whatever can be read as an acknowledgement is told of alike; nothing raises."""
    raw = b"MSH|^~\\&|E||M||20260105||ACK|1|P|2.5\r" + noise
    code, control_id = told_of(raw)
    try:
        whole = parse_ack(raw)
    except AckUnreadable:
        return
    assert (code, control_id) == (whole.code, whole.control_id)
