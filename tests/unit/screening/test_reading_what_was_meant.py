"""Every disguise and every way of saying it is read, and the match points at the very characters that were typed."""

from __future__ import annotations

import pytest

from messaging_service.screening.screener import Screener
from messaging_service.screening.typos import near

SCREENER = Screener.load()
_ABUSE = "nl.insulting.disease-compound"
_CHEST = "nl.cardiac.chest-pain"
_FAINTS = "nl.consciousness.faints-again"


def _spans(text: str, rule: str, *, markup: bool = False) -> list[str]:
    """What `rule` matched and counts, as it stands in `text`."""
    verdict = SCREENER.screen(text, markup=markup, language="nl")
    return [text[match.start : match.end] for match in verdict.matches if match.rule == rule and match.counts]


@pytest.mark.parametrize(
    ("phenomenon", "typed"),
    [
        ("NFKC: full width", "ｋａｎｋｅｒｈｏｅｒ"),
        ("NFKC: mathematical letters", "𝐤𝐚𝐧𝐤𝐞𝐫𝐡𝐨𝐞𝐫"),
        ("NFKC: circled letters", "ⓚⓐⓝⓚⓔⓡⓗⓞⓔⓡ"),
        ("confusables: Cyrillic", "kаnkеrhoer"),
        ("confusables: Greek", "kαnkerhοer"),
        ("zero-width characters", "kan\u200bker\u2060hoer"),
        ("a soft hyphen", "kan\u00adkerhoer"),
        ("combining marks", "ka\u0301n\u0336kerhoer"),
        ("leetspeak in figures", "k4nk3rh03r"),
        ("leetspeak in signs", "k@nk3rhoer"),
        ("letters spaced apart", "k a n k e r h o e r"),
        ("letters punctuated apart", "k.a.n.k.e.r.h.o.e.r"),
        ("letters hyphened apart", "k-a-n-k-e-r-h-o-e-r"),
        ("stretched letters", "kaaaankerhoer"),
        ("a letter masked", "k*nkerhoer"),
        ("casing", "KaNkErHoEr"),
    ],
)
def test_a_disguise_is_read(phenomenon: str, typed: str) -> None:
    """The word is found as what it means, and its span cuts out exactly what was typed for it."""
    assert _spans(f"U bent een {typed} hoor", _ABUSE) == [typed], phenomenon


@pytest.mark.parametrize(
    ("phenomenon", "typed"),
    [
        ("tags within a word", "kan<b></b>kerhoer"),
        ("a comment within a word", "kanker<!-- x -->hoer"),
        ("numeric entities", "k&#97;nker&#x68;oer"),
        ("a named entity", "kank&eacute;rhoer"),
        ("a tag within a full-width word", "ｋａｎ<i>ｋｅｒ</i>ｈｏｅｒ"),
    ],
)
def test_markup_within_a_word_is_read_through(phenomenon: str, typed: str) -> None:
    """As a browser would show it; the span takes the markup in, declared as HTML or not."""
    assert _spans(f"<p>U bent een {typed} hoor</p>", _ABUSE, markup=True) == [typed], phenomenon
    if "<" in typed or "&#" in typed:
        assert _spans(f"U bent een {typed} hoor", _ABUSE) == [typed], phenomenon


@pytest.mark.parametrize(
    ("phenomenon", "text", "rule", "span"),
    [
        ("casing", "PIJN OP DE BORST SINDS VANNACHT", _CHEST, "PIJN OP DE BORST"),
        ("accents", "Sïnds vanochtend… drúkkende píjn op de bórst!", _CHEST, "píjn op de bórst"),
        ("NFKC: one character is two letters", "ik val steeds ﬂauw vandaag", _FAINTS, "val steeds ﬂauw"),
        ("two UTF-16 units a character", "😀😀 pijn op de borst", _CHEST, "pijn op de borst"),
        ("markup and entities", "<p>p&iacute;jn op de bo<i>r</i>st</p>", _CHEST, "p&iacute;jn op de bo<i>r</i>st"),
        ("separable verb", "ik val steeds flauw", _FAINTS, "val steeds flauw"),
        (
            "separable verb, not yet",
            "ik dreig flauw te vallen",
            "nl.consciousness.about-to-faint",
            "dreig flauw te vallen",
        ),
        ("separable verb, past", "mijn vrouw viel net flauw", _FAINTS, "viel net flauw"),
        ("inflection", "drukkende pijn op mijn borst", "nl.cardiac.chest-pressure", "drukkende pijn op mijn borst"),
        ("compound", "ik heb borstpijnklachten", "nl.cardiac.chest-pain-word", "borstpijnklachten"),
        ("stretched", "ik ben zo benaaaauwd", "nl.breathing.breathless", "benaaaauwd"),
        ("a letter left out", "hij is bewustloos geraakt", "nl.consciousness.unconscious", "bewustloos"),
        (
            "a mistake behind a known beginning",
            "ik denk dat ik een hartinfact heb",
            "nl.cardiac.attack-now",
            "denk dat ik een hartinfact",
        ),
        ("letters swapped", "ik denk een hersenbleoding", "nl.stroke.stroke-now", "denk een hersenbleoding"),
        ("a common other spelling", "ik heb pijn op de bosrt", _CHEST, "pijn op de bosrt"),
    ],
)
def test_what_patients_write_is_read(phenomenon: str, text: str, rule: str, span: str) -> None:
    """Casing, accents, inflection, compounds, verbs in two parts and mistakes: the rule matches, at this span."""
    assert span in _spans(text, rule, markup=text.startswith("<p>")), phenomenon


@pytest.mark.parametrize(
    ("term", "typed", "close"),
    [
        ("hartinfarct", "hartinfact", True),
        ("hartinfarct", "hartinfraks", False),
        ("herseninfarct", "herseninfrakt", True),
        ("anafylactische", "anafilactishe", True),
        ("hersenbloeding", "hersenbleoding", True),
        ("hersenbloeding", "hersenblding", True),
        ("hersenbloeding", "hersenschudding", False),
    ],
)
def test_the_distance_is_bounded(term: str, typed: str, close: bool) -> None:
    """One edit in a long term, two from eleven letters on, beside each other or apart, and no more."""
    assert near(typed, term) is close


@pytest.mark.parametrize("markup", [False, True])
def test_half_a_surrogate_pair_hides_nothing(markup: bool) -> None:
    """Half a pair, which a caller's string may hold though no request can, is passed over; spans stay as typed."""
    text = "\ud800 ik heb pijn op de b\udc00orst \ud800"
    verdict = SCREENER.screen(text, markup=markup, language="nl")
    assert verdict.topics == ("cardiac",)
    assert text[verdict.matches[0].start : verdict.matches[0].end].endswith("b\udc00orst")
