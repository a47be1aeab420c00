"""From a text to a verdict: what is meant, in whatever disguise, and what the words around it do."""

from __future__ import annotations

import pytest

from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Outcome, Verdict, verdict_json

SCREENER = Screener.load()


def _screen(text: str, *, markup: bool = False) -> Verdict:
    return SCREENER.screen(text, markup=markup, language="nl")


def test_a_threat_is_refused() -> None:
    """A threat by pattern is refused as threatening."""
    verdict = _screen("Ik weet waar je woont en ik maak je af.")
    assert (verdict.outcome, "threatening" in verdict.categories) == (Outcome.REFUSE, True)


def test_a_heart_attack_alarms() -> None:
    """The textbook heart attack in a patient's words is urgent, pages, and is named cardiac."""
    verdict = _screen("Sinds een half uur drukkende pijn op de borst die uitstraalt naar mijn linkerarm, ik zweet erg.")
    assert (verdict.urgent, verdict.alarm, "cardiac" in verdict.topics) == (True, True, True)


def test_an_ordinary_question_is_accepted() -> None:
    """A question about an appointment finds nothing at all."""
    verdict = _screen("Kan ik mijn afspraak van donderdag naar volgende week verzetten?")
    assert (verdict.outcome, verdict.urgent, verdict.matches) == (Outcome.ACCEPT, False, ())


@pytest.mark.parametrize("subject", ["Vraag", "Gesprek", "Bericht", "Afspraak"])
@pytest.mark.parametrize("body", ["Drie.", "Dank.", "Een.", "Morgen.", "Is goed.", "Mijn vriend komt."])
def test_a_message_that_says_next_to_nothing_raises_nothing(subject: str, body: str) -> None:
    """A word or two under an ordinary subject show no notice and page nobody."""
    assert not _screen(f"{subject}\n{body}").urgent


@pytest.mark.parametrize(
    "text",
    [
        "Ik heb nog nooit zo'n pijn op de borst gehad",
        "Geen koorts maar wel pijn op de borst",
        "Pijn op de borst: vorige week niet, nu wel",
        "Fijn dat u er bent. " * 30 + "Ik krijg trouwens geen lucht meer. " + "Groeten aan iedereen. " * 30,
    ],
)
def test_context_does_not_hide_an_emergency(text: str) -> None:
    """Negation and history downgrade only where they are certain, and one sentence in a long letter counts."""
    assert _screen(text).urgent


@pytest.mark.parametrize(
    "text",
    [
        "Ik heb geen pijn op de borst",
        "Mijn vader overleed op zijn 52e aan een hartinfarct",
        "Wat moet ik doen als ik benauwd word in het vliegtuig?",
        "Ik lach me dood om die folder",
        "Mijn adres is Kerkstraat 112",
    ],
)
def test_certain_context_takes_the_finding_away(text: str) -> None:
    """What is denied, in the family, hypothetical, a saying or an address is not urgent."""
    assert not _screen(text).urgent


@pytest.mark.parametrize(
    "text",
    [
        "k4nkerhoer",
        "k a n k e r h o e r",
        "kaaankerhoer",
        "k.a.n.k.e.r.h.o.e.r",
        "ｋａｎｋｅｒｈｏｅｒ",
        "kan\u200bkerhoer",
    ],
)
def test_disguised_abuse_is_read(text: str) -> None:
    """Leetspeak, blanks, dots, stretching, full-width letters and invisible characters hide nothing."""
    assert _screen(text).outcome is Outcome.REFUSE


@pytest.mark.parametrize("text", ["kan<b></b>kerhoer", "<p>k&#97;nkerhoer</p>", "kanker<!-- x -->hoer"])
def test_markup_between_letters_is_read_through(text: str) -> None:
    """Tags, comments and entities inside a word hide nothing, and the span is that of the typed text."""
    verdict = _screen(text, markup=True)
    match = next(match for match in verdict.matches if match.kind == "prohibited" and match.counts)
    assert verdict.outcome is Outcome.REFUSE
    assert text[match.start : match.end].endswith("hoer")


def test_spans_point_into_the_text_as_typed() -> None:
    """A match's span cuts the very words out of what the patient typed, accents and all."""
    text = "Sïnds vanochtend… drúkkende pijn op de borst!"
    match = next(m for m in _screen(text).matches if m.topic == "cardiac" and m.counts)
    assert "borst" in text[match.start : match.end]


def test_an_urgent_text_is_never_refused() -> None:
    """Abuse beside an emergency is delivered with a caution."""
    verdict = _screen("Kankerhoer, neem op! Mijn man ademt niet meer.")
    assert (verdict.urgent, verdict.outcome) == (True, Outcome.CAUTION)


@pytest.mark.parametrize(
    "text",
    [
        "Mijn man zei gisteren 'ik maak je kapot' en sloeg me.",
        "Ik wil dood, ik kan niet meer",
        "Mijn dwanggedachten gaan over dat ik mijn baby iets aandoe",
        "Mijn eikel is rood en de voorhuid wil niet meer terug.",
        "Is de tering hetzelfde als tbc?",
    ],
)
def test_what_must_never_be_refused(text: str) -> None:
    """Victims, suicidal thoughts, intrusive thoughts, bodies and diseases are not refused."""
    assert _screen(text).outcome is not Outcome.REFUSE


def test_the_printed_shape_of_a_verdict() -> None:
    """The JSON shape holds what the command line promises, in its order, and no text of the patient."""
    shape = verdict_json(_screen("ik krijg geen lucht"))
    assert list(shape)[:7] == ["urgent", "alarm", "topics", "prohibited", "categories", "outcome", "matches"]
    assert "lucht" not in str(shape)
