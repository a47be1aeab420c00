"""Quotation marks: what stands between them is another's, and an apostrophe quotes nothing."""

from __future__ import annotations

import pytest

from messaging_service.screening.quotes import quoted_spans
from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Outcome


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Op de muur stond: 'rot op' en nog wat.", ["'rot op'"]),
        ("Er stond 'zo'n zeikerd' op het briefje", ["'zo'n zeikerd'"]),
        ("Hij zei (‘ga's weg’) en ging naar buiten", ["‘ga's weg’"]),
        ("Zij riep 'hoer' en daarna 'slet' naar boven", ["'hoer'", "'slet'"]),
        ("'s Avonds zie ik auto's, 's nachts zo'n foto's", []),
        ("'t Is weer zover, 'k heb er 'n hekel aan, Hans' moeder", []),
        ("Hans' moeder en Kees' vader zijn er ook bij", []),
        ("Dat 'ene woord dat nergens sluit, gaat maar door", []),
    ],
)
def test_single_marks(text: str, quoted: list[str]) -> None:
    """Straight and curled single marks quote; those of short words, plurals and possessives do not."""
    assert [text[start:end] for start, end in quoted_spans(text)] == quoted


def test_a_victim_who_quotes_in_single_marks_is_delivered() -> None:
    """Words on a wall, between straight single marks, are not the writer's."""
    text = "Stond gisteren op onze voordeur gekalkt: 'kankerhoer rot op uit deze straat'. Wie kan helpen?"
    assert Screener.load().screen(text, markup=False, language="nl").outcome is not Outcome.REFUSE


def test_apostrophes_hide_no_abuse() -> None:
    """Abuse between two short words that begin with an apostrophe is the writer's own."""
    text = "'s Morgens denk ik: ik maak je af, ik weet waar je woont. En 's avonds ook."
    assert Screener.load().screen(text, markup=False, language="nl").outcome is Outcome.REFUSE
