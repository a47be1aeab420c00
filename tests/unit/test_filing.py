"""Attempts of a filing: control ids, unknown outcomes, and what a crash in between leaves."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from messaging_service.application.codec import from_document, to_document
from messaging_service.domain.filing import Attempt, Filing, FilingState

FRESH = Filing.waiting("01JZ8Q4Y5VTHX3S3M2T7C9N0KD", "spijkenisse", "normal", 1_000)


def answer(filing: Filing, code: str, state: FilingState = FilingState.WAITING) -> Filing:
    sent = filing.attempts[-1]
    return filing.answered(sent.answered(code, "", sent.control_id, 0, ""), state)


def test_a_fresh_filing() -> None:
    """Nothing was sent: it waits, at version 1, with nothing unknown."""
    assert FRESH.state is FilingState.WAITING
    assert (FRESH.attempts, FRESH.version, FRESH.is_unknown) == ((), 1, False)


def test_control_id_fits_msh_10() -> None:
    """Twenty characters of a safe alphabet: MSH-10 holds no more before HL7 2.6."""
    assert re.fullmatch(r"[A-Z2-7]{20}", FRESH.control_id)


def test_control_ids_differ_between_messages() -> None:
    """Two messages never share a control id, nor does another of this message's attempts."""
    other = Filing.waiting("01JZ8Q4Y5VTHX3S3M2T7C9N0KE", "spijkenisse", "normal", 1_000)
    again = answer(FRESH.sending(2_000), "AE")
    assert len({FRESH.control_id, other.control_id, again.control_id}) == 3


def test_sending_is_written_down_before_the_outcome() -> None:
    """A worker that dies while sending leaves an attempt whose outcome is unknown."""
    sending = FRESH.sending(2_000)
    assert sending.state is FilingState.SENDING
    assert sending.attempts == (Attempt(FRESH.control_id, 2_000),)
    assert sending.is_unknown


def test_the_same_control_id_while_unknown() -> None:
    """A receiver may replay its stored answer, so an unknown sending is repeated under its own id."""
    unknown = FRESH.sending(2_000).unanswered()
    again = unknown.sending(3_000)
    assert unknown.state is FilingState.UNKNOWN
    assert [attempt.control_id for attempt in again.attempts] == [FRESH.control_id]
    assert again.attempts[0].sent_at == 3_000


def test_how_often_an_unknown_one_was_sent_is_kept() -> None:
    """One attempt, with when it was first sent, when last and how often, also once it is answered; the next is anew."""
    sent = FRESH.sending(2_000).unanswered().sending(3_000).unanswered().sending(4_000)
    filed = answer(sent, "AE").sending(5_000)
    assert [(a.first_sent_at, a.sent_at, a.sendings) for a in filed.attempts] == [(2_000, 4_000, 3), (0, 5_000, 1)]


def test_an_attempt_of_an_earlier_release_is_read() -> None:
    """Without a count it was sent once, as far as is known; sent again it counts on from there."""
    written = to_document(FRESH.sending(2_000).unanswered())
    for name in ("first_sent_at", "sendings"):
        del written["attempts"][0][name]
    again = from_document(written, Filing).sending(3_000)
    assert [(a.first_sent_at, a.sent_at, a.sendings) for a in again.attempts] == [(2_000, 3_000, 2)]


def test_a_new_control_id_after_every_answer() -> None:
    """An answered attempt is over: the next one has an id of its own, and both stay on record."""
    refused = answer(FRESH.sending(2_000), "AE")
    again = refused.sending(3_000)
    first, second = again.attempts
    assert first.code == "AE"
    assert first.control_id != second.control_id
    assert not refused.is_unknown


def test_unsent_is_as_before() -> None:
    """A sending of which nothing left is taken back, control id and all; an unknown one before it stays on record."""
    refused, unknown = answer(FRESH.sending(2_000), "AE"), FRESH.sending(2_000).unanswered()
    for before in (FRESH, refused, unknown):
        assert before.sending(3_000).unsent(before) == before


def test_answered_replaces_the_last_attempt() -> None:
    """The acknowledgement belongs to the attempt it answers; the state is the caller's verdict."""
    filed = answer(answer(FRESH.sending(2_000), "AR").sending(3_000), "AA", FilingState.FILED)
    assert filed.state is FilingState.FILED
    assert [(attempt.sent_at, attempt.code) for attempt in filed.attempts] == [(2_000, "AR"), (3_000, "AA")]


@given(st.lists(st.sampled_from(["unknown", "AE", "AR", "AA"]), max_size=30))
def test_what_any_history_keeps(outcomes: list[str]) -> None:
    """Every answer stays on record under an id of its own, and silence never adds more than one attempt."""
    filing = FRESH
    for at, outcome in enumerate(outcomes):
        filing = filing.sending(at)
        filing = filing.unanswered() if outcome == "unknown" else answer(filing, outcome)
    answered = [outcome for outcome in outcomes if outcome != "unknown"]
    assert [attempt.code for attempt in filing.attempts if attempt.code != "unknown"] == answered
    assert len({attempt.control_id for attempt in filing.attempts}) == len(filing.attempts)
    assert len(filing.attempts) - len(answered) == (1 if outcomes[-1:] == ["unknown"] else 0)
