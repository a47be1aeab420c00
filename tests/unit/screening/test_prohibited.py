"""The prohibited lexicon: each rule's own examples, and the promises that no rule may break."""

from __future__ import annotations

import pytest

from messaging_service.screening.rules import Rule
from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Outcome

SCREENER = Screener.load()
RULES = [rule for rule in SCREENER.lexicon.rules if rule.kind == "prohibited"]
CATEGORIES = {
    "obscene",
    "indecent",
    "insulting",
    "defamatory",
    "intimidating",
    "threatening",
    "racist",
    "hateful",
    "violent",
}


def _examples(wanted: bool) -> list[tuple[Rule, str]]:
    return [(rule, text) for rule in RULES for text in (rule.match if wanted else rule.no_match)]


def _counts(rule: Rule, text: str) -> bool:
    verdict = SCREENER.screen(text, markup=False, language=rule.language)
    return any(match.rule == rule.id and match.counts for match in verdict.matches)


def _outcome(text: str, language: str = "nl") -> Outcome:
    return SCREENER.screen(text, markup=False, language=language).outcome


@pytest.mark.parametrize(("rule", "text"), _examples(True), ids=lambda value: getattr(value, "id", None))
def test_rule_matches_its_examples(rule: Rule, text: str) -> None:
    """Every text that a rule says it matches is found by that very rule."""
    assert _counts(rule, text)


@pytest.mark.parametrize(("rule", "text"), _examples(False), ids=lambda value: getattr(value, "id", None))
def test_rule_leaves_its_counterexamples(rule: Rule, text: str) -> None:
    """No text that a rule says it leaves alone is counted by it."""
    assert not _counts(rule, text)


def test_every_rule_has_examples_both_ways() -> None:
    """A rule without an example of each kind cannot be checked by a clinician."""
    assert [rule.id for rule in RULES if not (rule.match and rule.no_match)] == []


def test_dutch_has_all_nine_categories() -> None:
    """Terms article 3.2 names nine kinds of prohibited material; Dutch and no other name covers them."""
    assert {rule.topic for rule in RULES if rule.language == "nl"} == CATEGORIES
    assert {rule.topic for rule in RULES} <= CATEGORIES


@pytest.mark.parametrize(
    "text",
    [
        "Mijn man zei gisteren: ik maak je af. Ik durf niet naar huis.",
        "Op straat riep iemand vuile kankerhoer naar mij",
        "Ik word op mijn werk uitgescholden voor kutmarokkaan",
        "Mijn ex appt me: ik weet waar je woont, ik krijg je nog wel",
        "Ik ben verkracht door een man die zei dat hij me zou vermoorden",
        "Ze noemde mijn zoon een mongool",
        "My husband said he will kill me and called me a stupid bitch",
    ],
)
def test_victims_are_never_refused(text: str) -> None:
    """Who tells what was done or said to him is delivered, whatever the words."""
    assert _outcome(text) is not Outcome.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "Ik wil dood, ik ben een waardeloos stuk vreten",
        "Iedereen is beter af als ik crepeer",
        "Ik wil mezelf doodsteken, kunt u me helpen",
        "Ik ben bang dat ik mijn baby iets aandoe",
        "De stem zegt: steek de dokter neer",
        "I am a worthless piece of shit and want to die",
    ],
)
def test_self_harm_and_intrusive_thoughts_are_never_refused(text: str) -> None:
    """Harm to oneself, and thoughts that frighten the writer, are a reason to help and not to refuse."""
    assert _outcome(text) is not Outcome.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "Mijn eikel is rood en mijn lul doet pijn bij het plassen",
        "Het neuken doet pijn sinds de bevalling",
        "Ik schijt al drie dagen bloed",
        "Mijn moeder heeft kanker, mag de kankerpoli mij bellen?",
        "Kan ik de tyfusprik nog halen?",
        "Wat een klotezooi, al drie weken geen uitslag, ik dien een klacht in",
        "Graag een brief aan de heer Van der Hoer in Sexbierum",
        "Ik kan hem wel schieten, die huisarts, maar hij heeft gelijk",
        "Mijn Marokkaanse moeder wil graag een tolk",
    ],
)
def test_bodies_diseases_complaints_and_names_are_never_refused(text: str) -> None:
    """Plain words for bodies, real diseases, mild swearing, names and sayings are delivered."""
    assert _outcome(text) is not Outcome.REFUSE


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Ik weet waar je woont en ik maak je af.", "threatening"),
        ("je gaat hier spijt van krijgen", "intimidating"),
        ("ik wacht je op na je dienst", "intimidating"),
        ("k.a.n.k.e.r.h.o.e.r", "insulting"),
        ("krijg de t3ring", "insulting"),
        ("Stuur die kutm@rokkaan weg", "racist"),
        ("homo's moeten ze opsluiten", "hateful"),
        ("ik hoop dat je crepeert", "violent"),
        ("mag ik je borsten eens voelen", "indecent"),
        ("wil je mij pijpen", "obscene"),
        ("die kinderarts is een pedo", "defamatory"),
    ],
)
def test_abuse_is_refused_under_its_category(text: str, category: str) -> None:
    """Plain and disguised abuse is refused, and the verdict names its category."""
    verdict = SCREENER.screen(text, markup=False, language="nl")
    assert verdict.prohibited
    assert category in verdict.categories


@pytest.mark.parametrize(
    "text",
    [
        "De zuster schreeuwde tegen mijn vrouw. Ik kom langs en sla haar tanden eruit.",
        "Jullie hebben mij vernederd. Ik maak je af.",
        "Dit is geen dreigement maar een belofte, jij gaat eraan.",
        "Als mijn vader het niet haalt dan schiet ik die chirurg neer.",
    ],
)
def test_a_threat_in_the_writers_own_voice_is_refused_beside_a_grievance(text: str) -> None:
    """What another is said to have done, in its own sentence, does not excuse the writer's threat."""
    assert _outcome(text) is Outcome.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        'Elke ochtend hoor ik in huis: "Ik steek je neer, vuile hoer." Daarna koffie. Wat nu?',
        "Hij houdt een briefje omhoog met „ik maak je af” erop",
        "Il me répète « je vais te tuer » tous les soirs",
    ],
)
def test_abuse_between_quotation_marks_is_delivered(text: str) -> None:
    """Words that the writer puts between quotation marks are another's."""
    assert _outcome(text) is not Outcome.REFUSE


def test_a_quoted_threat_marks_the_message() -> None:
    """The care team sees a mark on a message that passes a threat on, and the match says why it did not refuse."""
    verdict = SCREENER.screen('Op het briefje las ik "ik maak je af", vreemd hè', markup=False, language="nl")
    assert verdict.outcome is Outcome.CAUTION
    prohibited = [match for match in verdict.matches if match.kind == "prohibited" and match.counts]
    assert {match.context for match in prohibited} == {"quoted"}


def test_quotation_marks_around_the_whole_text_hide_nothing() -> None:
    """A text that is one quotation and nothing else is judged as the writer's own."""
    assert _outcome('"Ik maak je af, ik weet waar je woont."') is Outcome.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "Stelletje prutsers, hoe moeilijk is een handtekening",
        "wat een eikel was die arts van gister zeg",
        "Hou je bek over afvallen, ik kom voor mijn knie.",
        "Die nieuwe dokter lijkt wel een kwakzalver als u het mij vraagt",
    ],
)
def test_mild_insults_are_delivered(text: str) -> None:
    """Mild abuse that an angry patient may write is marked at most, never refused."""
    assert _outcome(text) is not Outcome.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "Ik sta op het dak van jullie parkeergarage. Kom maar kijken hoe ik spring, klootzakken.",
        "Het touw hangt al. Jullie zijn moordenaars, vieze kankerlijers.",
        "Ik heb het gas opengezet. Fuck jullie.",
        "Klootzak, hij houdt een kussen op haar gezicht",
        "Stomme trut, mijn moeder is grauw, klam en zweet als een otter",
        "Ik heb afscheid genomen van de kinderen. Jij hebt dit op je geweten vuile hufter.",
    ],
)
def test_an_emergency_full_of_abuse_is_delivered_and_answered(text: str) -> None:
    """Whoever curses in an emergency sees the notice, and is not refused (terms article 3.7)."""
    verdict = SCREENER.screen(text, markup=False, language="nl")
    assert (verdict.urgent, verdict.prohibited, verdict.outcome) == (True, True, Outcome.CAUTION)
