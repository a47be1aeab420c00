"""Emergencies of the ten further Dutch topics and of the other six languages."""

from __future__ import annotations

import pytest

from messaging_service.screening.rules import Rule
from messaging_service.screening.screener import Screener

_DUTCH_TOPICS = frozenset(
    [
        "chemo_fever",
        "infant_fever",
        "cauda_equina",
        "limb_ischaemia",
        "eye",
        "abdomen",
        "trauma",
        "obstetric",
        "poisoning",
        "domestic_violence",
    ]
)
_ALL_TOPICS = _DUTCH_TOPICS | frozenset(
    [
        "cardiac",
        "stroke",
        "breathing",
        "anaphylaxis",
        "bleeding",
        "seizure",
        "consciousness",
        "suicidality",
        "sepsis",
        "diabetic",
    ]
)


@pytest.fixture(scope="module")
def screener() -> Screener:
    return Screener.load()


def _rules(screener: Screener) -> list[Rule]:
    return [
        rule
        for rule in screener.lexicon.rules
        if rule.kind == "urgency" and (rule.language != "nl" or rule.topic in _DUTCH_TOPICS)
    ]


def _counts(screener: Screener, rule: Rule, text: str) -> bool:
    verdict = screener.screen(text, markup=False, language=rule.language)
    return any(match.rule == rule.id and match.counts for match in verdict.matches)


def test_every_rule_finds_its_own_examples(screener: Screener) -> None:
    """Each `match` example is found by the very rule that it stands with."""
    missed = [(rule.id, text) for rule in _rules(screener) for text in rule.match if not _counts(screener, rule, text)]
    assert missed == []


def test_no_rule_finds_its_counter_examples(screener: Screener) -> None:
    """No `no_match` example is found by the rule that it stands with."""
    found = [(rule.id, text) for rule in _rules(screener) for text in rule.no_match if _counts(screener, rule, text)]
    assert found == []


def test_every_rule_has_both_kinds_of_example(screener: Screener) -> None:
    """A clinician sees with every rule what it is for and what it must leave alone."""
    assert [rule.id for rule in _rules(screener) if not rule.match or not rule.no_match] == []


def test_english_covers_every_topic(screener: Screener) -> None:
    """English has rules for all twenty topics."""
    assert {rule.topic for rule in _rules(screener) if rule.language == "en"} == _ALL_TOPICS


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("infant_fever", "mijn zoontje van 3 weken heeft 38,6"),
        ("infant_fever", "kindje van 19 dagen voelt heel warm, thermometer zegt 38.1"),
        ("chemo_fever", "8 dagen na de kuur en nu 38,7"),
        ("chemo_fever", "mijn vrouw krijgt taxol en ligt te klappertanden"),
        ("cauda_equina", "bij het afvegen voel ik niks, ik heb een hernia"),
        ("limb_ischaemia", "me voet is spierwit en steenkoud en doet gemeen zeer"),
        ("eye", "alsof er een gordijn dichtgaat in mijn ooghoek"),
        ("abdomen", "ik kan alleen nog krom zitten, messen in mijn buik"),
        ("trauma", "oma gleed uit in de douche en kan haar been niet belasten"),
        ("obstetric", "er loopt water langs mijn benen en ik ben pas 29 weken"),
        ("poisoning", "oma heeft haar hele weekdoos in een keer leeggemaakt"),
        ("domestic_violence", "als ik bij hem wegga maakt hij me af"),
    ],
)
def test_lay_dutch_raises_the_topic(screener: Screener, topic: str, text: str) -> None:
    """Indirect and lay wordings raise the notice, with the topic that its text depends on."""
    verdict = screener.screen(text, markup=False, language="nl")
    assert verdict.urgent
    assert topic in verdict.topics


@pytest.mark.parametrize(
    "text",
    [
        "Baby van 5 weken drinkt goed, temperatuur 36,9. Zoutdruppels?",
        "Ik start volgende week met chemo, moet ik een thermometer kopen?",
        "Kan ik met een hernia gewoon zwemmen?",
        "Koude voeten 's avonds in bed, altijd al gehad.",
        "Mijn ogen zijn rood en jeuken van de hooikoorts",
        "Wat moet ik doen als mijn vliezen breken?",
        "Mag ik een glas wijn bij de antibiotica?",
        "Hij slaat de afspraak over, mijn zoon bedoel ik",
        "Could my husband collect my tablets from the pharmacy?",
        "No chest pain, feeling fine. Is it ok to stop the beta blocker?",
        "Mein Herzinfarkt war vor drei Jahren. Wann ist die nächste Kontrolle?",
        "Mon fils a eu de la fièvre la semaine dernière, il va bien maintenant",
        "Mam lekki ból pleców od lat, proszę o skierowanie",
        "Randevumu değiştirmek istiyorum, çocuğum hasta",
        "أريد تجديد الوصفة الطبية لدواء الضغط",
    ],
)
def test_routine_raises_nothing(screener: Screener, text: str) -> None:
    """Routine messages with alarming words in them show no notice and page nobody."""
    verdict = screener.screen(text, markup=False, language="nl")
    assert (verdict.urgent, verdict.alarm) == (False, False)


def test_what_an_old_stroke_left_behind_pages_nobody(screener: Screener) -> None:
    """Words of long ago beside words of a limb that fails: a notice at most (the points know little English)."""
    text = "My stroke was two years ago and my left hand is still weak."
    assert not screener.screen(text, markup=False, language="en").alarm


@pytest.mark.parametrize(
    ("language", "topic", "text"),
    [
        ("en", "cardiac", "my husband keeps clutching his chest"),
        ("en", "suicidality", "I just want it all to stop, I've got the pills in front of me"),
        ("en", "infant_fever", "He's only seven weeks. 38.4 twice, half an hour apart."),
        ("de", "infant_fever", "mein Baby ist 4 Wochen alt und hat 38,6"),
        ("fr", "breathing", "je n'arrive plus à respirer"),
        ("tr", "bleeding", "kan kusuyorum"),
        ("pl", "obstetric", "jestem w ciąży i krwawię"),
        ("ar", "poisoning", "ابنتي شربت الكلور"),
    ],
)
def test_other_languages_whatever_language_is_stated(screener: Screener, language: str, topic: str, text: str) -> None:
    """A plain emergency is found in its own language, also when the account says Dutch."""
    for stated in (language, "nl"):
        verdict = screener.screen(text, markup=False, language=stated)
        assert verdict.alarm
        assert topic in verdict.topics
