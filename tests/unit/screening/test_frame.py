"""The message as a whole: thanks, questions and old stories, the safety net, other spellings and languages."""

from __future__ import annotations

import pytest

from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Outcome, Verdict

SCREENER = Screener.load()


def _screen(text: str, language: str = "nl") -> Verdict:
    return SCREENER.screen(text, markup=False, language=language)


@pytest.mark.parametrize(
    "text",
    [
        "Bedankt voor de goede zorgen toen mijn man bewusteloos was.",
        "Wat betekent sepsis in mijn brief",
        "Hoe herken je een hersenvliesontsteking",
        "Heeft u een folder over huiselijk geweld",
    ],
)
def test_thanks_and_questions_take_a_finding_away(text: str) -> None:
    """A message that thanks or asks, and in which nothing goes on now, raises no notice."""
    assert not _screen(text).urgent


@pytest.mark.parametrize(
    "text",
    [
        "Bedankt voor de goede zorgen. Mijn man is nu weer bewusteloos.",
        "Heeft u een folder? Ik heb sinds vannacht pijn op de borst.",
    ],
)
def test_something_going_on_now_outweighs_thanks_and_questions(text: str) -> None:
    """One word of something present keeps the emergency in a friendly or asking message."""
    assert _screen(text).urgent


def test_the_safety_net_shows_the_notice_and_pages_nobody() -> None:
    """What only the net finds is noticed without an alarm, and an everyday question keeps the net out."""
    found = _screen("ik heb steeds van die wegrakingen")
    assert found.urgent
    assert not found.alarm
    assert not _screen("ik heb steeds van die wegrakingen, wanneer is de controle?").urgent


def test_the_safety_net_does_not_save_a_threat() -> None:
    """Abuse is refused although the net finds an alarming word in it, and the verdict says so."""
    verdict = _screen("Jullie psychiater gaat bloeden. Ik heb het al gepland.")
    assert verdict.outcome is Outcome.REFUSE
    assert "abuse" in {match.context for match in verdict.matches}


def test_an_emergency_is_never_lost_to_an_insult() -> None:
    """Only threats swallow what lies within them: an emergency inside another kind of abuse is delivered."""
    verdict = _screen("oude man 85 buik opgezwollen, geen wind, spuugt bruin")
    assert verdict.urgent
    assert verdict.outcome is not Outcome.REFUSE


@pytest.mark.parametrize("text", ["hij wort nie wakker", "hij wordt niet wakker"])
def test_other_spellings_are_read_as_the_usual_one(text: str) -> None:
    """A text in dialect or with a spelling mistake is judged as the same text spelt as usual."""
    assert _screen(text).alarm


def test_the_span_is_that_of_the_word_as_typed() -> None:
    """A word read in another spelling is still pointed at where it was typed."""
    text = "Dag. hij wort nie wakker"
    match = next(match for match in _screen(text).matches if match.rule == "nl.consciousness.cannot-wake")
    assert text[match.start : match.end] == "nie wakker"


@pytest.mark.parametrize("text", ["ik kan niet meer praten", "sinds vanmorgen kan ik niet meer praten"])
def test_a_phrase_is_found_with_its_subject_inside(text: str) -> None:
    """`kan niet meer praten` is found in inverted word order too."""
    assert "stroke" in _screen(text).topics


def test_rules_of_another_language_stay_out_of_a_dutch_text() -> None:
    """A Dutch text that happens to hold German or English words is judged by the Dutch rules alone."""
    verdict = _screen("mijn moeder kan de grote tabletten niet goed slikken, is er ook een drank van")
    assert [match.rule for match in verdict.matches if match.counts and not match.rule.startswith("nl.")] == []
    assert not verdict.urgent


def test_an_emergency_in_another_language_than_stated_is_found() -> None:
    """The stated language is a hint: an English emergency in a Dutch account is noticed."""
    assert _screen("I have crushing chest pain and I can't breathe").alarm
