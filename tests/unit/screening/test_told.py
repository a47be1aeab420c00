"""Victims: what somebody else said or did to the writer never leads to a refusal, whatever the words."""

from __future__ import annotations

import pytest

from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import TOLD, Outcome

SCREENER = Screener.load()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hij schreef mij: ik maak je af kutwijf", "nl"),
        ("Mijn buurman appte me gisteren: ik weet je te vinden, kankerhoer, ik steek je neer", "nl"),
        ("Op de gang riep een bezoeker naar me: rot op naar je eigen land vieze neger", "nl"),
        ("Als beveiliger kreeg ik 'vieze kankerneger, ik schiet je overhoop' naar mijn hoofd", "nl"),
        ("My ex told me: I will kill you, you filthy whore", "en"),
        ("Mijn chef appte: ik breek je benen mongool. Ik zit al zes weken ziek thuis.", "nl"),
        ("Mijn tante zei altijd: vieze hoer, uit jou wordt nooit iets.", "nl"),
        ("De brief eindigt met: ik snij je open kankerhoer. Mag ik iets om te slapen?", "nl"),
        ("Ojciec mówił: zabiję cię, kurwo. Wciąż mi się to śni.", "pl"),
        ("Il me disait : je vais te crever, salope. J'en rêve encore.", "fr"),
    ],
)
def test_a_report_is_never_refused(text: str, language: str) -> None:
    """Threats, curses and slurs in a sentence that says who did it to the writer are delivered."""
    assert SCREENER.screen(text, markup=False, language=language).outcome is not Outcome.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "Jullie sloegen me, ik maak je af kutwijf",
        "Ik maak je af kutwijf. Hij schreef mij een brief.",
        "ik maak je af kutwijf",
        "Ik zei al: jij bent een vieze hoer",
    ],
)
def test_who_speaks_to_the_reader_is_refused(text: str) -> None:
    """Without somebody else who did it, or in another sentence, a threat stays a threat."""
    assert SCREENER.screen(text, markup=False, language="nl").outcome is Outcome.REFUSE


def test_the_verdict_says_so() -> None:
    """The finding stays in the verdict, marked as told, and the care team sees a mark."""
    verdict = SCREENER.screen("Hij schreef mij: ik maak je af kutwijf", markup=False, language="nl")
    assert (verdict.outcome, verdict.prohibited) == (Outcome.CAUTION, False)
    assert TOLD in {match.context for match in verdict.matches}
