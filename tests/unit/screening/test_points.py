"""The points beside the rules: what single words speak for, and where they correct a rule."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from messaging_service.screening.errors import LexiconFault
from messaging_service.screening.lexicon_files import packaged_folder
from messaging_service.screening.points import (
    HIGHEST,
    KINDS,
    LONG,
    MOST,
    Points,
    pieces,
    shown_number,
    terms_of,
    windows_of,
)
from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Outcome, Verdict
from messaging_service.screening.weighing import Scales

_URGENCY = """start = 0
[thresholds]
notice_alone = 20
notice_against = 30
notice_abuse = 35
notice_threat = 60
notice_kept = -40
short_kept = -200
alarm_alone = 40
alarm_beside = 22
alarm_kept = -10
alarm_short = -12
[words.eye]
zwabber = [25, 0]
zwieber = [17, 0]
"blauw zwabber" = [20, 0]
[words.ordinary]
recept = [-30, -15]
afspraak = [-60, 0]
"""
_PROHIBITED = """start = 0
[thresholds]
caution_alone = 10
refuse_alone = 20
refuse_beside = 15
refuse_lead = 13
refuse_kept = -10
refuse_short = -30
[words.hateful]
flapdrol = [30, 0]
zemel = [12, 0]
dinges = [5, 0]
[words.ordinary]
bedankt = [-40, 0]
"""
_RULES = """kind = "{}"
topic = "{}"
[[rule]]
id = "one"
parts = ["{}"]
"""
_QUIET = """
[[rule]]
id = "two"
alarm = false
parts = ["knibbel"]
unless = ["nep"]
"""
_MARKING = """
[[rule]]
id = "two"
verdict = "caution"
parts = ["mompel"]
"""


@pytest.fixture(scope="module")
def screener(tmp_path_factory: pytest.TempPathFactory) -> Screener:
    """A lexicon of two rules and a few words with points."""
    folder = tmp_path_factory.mktemp("lexicon")
    (folder / "nl").mkdir()
    (folder / "nl" / "urgency_eye.toml").write_text(_RULES.format("urgency", "eye", "kwabbel") + _QUIET, "utf-8")
    (folder / "nl" / "prohibited_hateful.toml").write_text(
        _RULES.format("prohibited", "hateful", "prutsel") + _MARKING, "utf-8"
    )
    (folder / "nl" / "words.toml").write_text('[function_words]\nnl = ["een", "wat", "dat", "er"]\n', "utf-8")
    (folder / "points_urgency.toml").write_text(_URGENCY, "utf-8")
    (folder / "points_prohibited.toml").write_text(_PROHIBITED, "utf-8")
    return Screener.load_from(folder)


def _screen(screener: Screener, text: str) -> Verdict:
    return screener.screen(text, markup=False, language="nl")


def test_words_raise_a_notice_where_no_rule_did(screener: Screener) -> None:
    """High points show the notice with the topic of the words, and name the sentence that led."""
    verdict = _screen(screener, "Goedendag. Alles zwabber hier vandaag in deze kamer.")
    (match,) = verdict.matches
    assert (verdict.urgent, verdict.alarm, verdict.topics) == (True, False, ("eye",))
    assert (match.rule, match.start) == ("points.notice", 11)


def test_a_pair_of_words_may_raise_the_alarm(screener: Screener) -> None:
    """Two neighbours have points of their own, and enough of them page."""
    assert _screen(screener, "het is blauw zwabber").alarm
    assert not _screen(screener, "blauw is zwabber").alarm


def test_beside_a_rule_that_pages_nobody_fewer_points_page(screener: Screener) -> None:
    """What a quiet rule found and the words confirm pages, at a lower limit than words alone."""
    found, alone, both = (
        _screen(screener, text) for text in ("knibbel", "zwabber staat er al in, en dat is zo", "knibbel zwabber")
    )
    assert [(verdict.urgent, verdict.alarm) for verdict in (found, alone, both)] == [
        (True, False),
        (True, False),
        (True, True),
    ]


def test_against_a_context_the_words_must_speak_more_clearly(screener: Screener) -> None:
    """What suffices for a notice without any rule does not where a rule saw that its finding is none."""
    said = "{} staat er al in, en dat is {} zo"
    assert _screen(screener, said.format("zwabber", "gewoon")).urgent
    assert not _screen(screener, said.format("zwabber", "gewoon") + ". nep knibbel").urgent
    assert _screen(screener, said.format("zwabber", "zwieber") + ". nep knibbel").urgent


def test_who_says_next_to_nothing_must_say_it_clearly(screener: Screener) -> None:
    """Under eight words and stops the higher limit holds."""
    assert not _screen(screener, "zwabber").urgent
    assert _screen(screener, "zwabber zwieber").urgent


def test_points_alone_refuse_nothing_that_may_be_an_emergency(screener: Screener) -> None:
    """Abuse of points beside words that come near a notice is delivered with a mark; of a rule, refused."""
    verdict = _screen(screener, "zwieber. flapdrol")
    assert (verdict.urgent, verdict.prohibited, verdict.outcome) == (False, False, Outcome.CAUTION)
    assert _screen(screener, "zwieber. prutsel").outcome is Outcome.REFUSE
    assert _screen(screener, "zwieber. wat een flapdrol zemel").outcome is Outcome.REFUSE


def test_points_only_mark_in_a_language_of_which_they_know_little(screener: Screener) -> None:
    """Small words show the language; of a text of two words or fewer the stated one is believed."""
    assert _screen(screener, "flapdrol").outcome is Outcome.REFUSE
    assert screener.screen("flapdrol", markup=False, language="xx").outcome is Outcome.CAUTION
    assert _screen(screener, "flapdrol lorum ipsa dolor").outcome is Outcome.CAUTION
    assert _screen(screener, "flapdrol lorum ipsa een dolor").outcome is Outcome.REFUSE
    long = "flapdrol lorum ipsa dolor sit amet consectur adipis elit sed eiusmod tempor incid labore magna aliqua {}"
    assert _screen(screener, long.format("een ut enim")).outcome is Outcome.CAUTION
    assert _screen(screener, long.format("een wat dat")).outcome is Outcome.REFUSE


def test_what_a_rule_finds_in_a_few_words_stands(screener: Screener) -> None:
    """Points outweigh a rule at a lower limit where next to nothing else is said."""
    assert _screen(screener, "bedankt prutsel zemel").outcome is Outcome.REFUSE
    more = " en het is zo dat er wat een is en dat het er was"
    assert _screen(screener, "bedankt prutsel zemel" + more).outcome is Outcome.CAUTION


def test_beside_a_rule_that_only_marks_fewer_points_refuse(screener: Screener) -> None:
    """What a rule marks and the words confirm is refused, at a lower limit than words alone; a quotation never."""
    assert _screen(screener, "zemel dinges").outcome is Outcome.CAUTION
    assert _screen(screener, "mompel").outcome is Outcome.CAUTION
    assert _screen(screener, "wat een zemel dinges. mompel").outcome is Outcome.REFUSE
    assert _screen(screener, 'zemel dinges. Hij zei "mompel"').outcome is Outcome.CAUTION


def test_words_against_silence_the_alarm_of_a_rule_never_its_notice(screener: Screener) -> None:
    """What a rule pages for keeps its notice, however clearly the other words speak of everyday post."""
    plain, doubted, against = (
        _screen(screener, text) for text in ("kwabbel", "kwabbel. recept", "kwabbel recept, kwabbel afspraak")
    )
    assert (plain.urgent, plain.alarm) == (True, True)
    assert (doubted.urgent, doubted.alarm) == (True, False)
    assert (against.urgent, against.alarm) == (True, False)
    assert {match.context for match in against.matches} == {"outweighed"}


def test_points_refuse_mark_or_let_a_text_through(screener: Screener) -> None:
    """Abuse that no rule knows is refused or marked by its points; a lone rule is outweighed into a mark."""
    assert _screen(screener, "wat een flapdrol").outcome is Outcome.REFUSE
    assert _screen(screener, "wat een zemel").outcome is Outcome.CAUTION
    assert _screen(screener, "wat een prutsel").outcome is Outcome.REFUSE
    doubted = _screen(screener, "bedankt voor dat prutsel")
    assert (doubted.outcome, doubted.prohibited, doubted.categories) == (Outcome.CAUTION, False, ("hateful",))


def test_an_emergency_of_a_rule_beside_abuse_of_points_is_delivered(screener: Screener) -> None:
    """What a rule of urgency marks is never refused, whatever the points say (terms article 3.7)."""
    verdict = _screen(screener, "flapdrol. kwabbel")
    assert (verdict.urgent, verdict.prohibited, verdict.outcome) == (True, True, Outcome.CAUTION)


def test_an_emergency_of_points_beside_abuse_of_a_rule_is_delivered(screener: Screener) -> None:
    """Words alone show the notice beside an insult, from a limit of their own; faint ones there do not."""
    verdict = _screen(screener, "wat een prutsel. er is zwabber zwieber in dat, en dat is zo")
    assert (verdict.urgent, verdict.prohibited, verdict.outcome) == (True, True, Outcome.CAUTION)
    assert _screen(screener, "wat een prutsel. er is zwieber in dat, en dat is zo").outcome is Outcome.REFUSE


def test_a_long_message_does_not_drown_its_sentence(screener: Screener) -> None:
    """Hundreds of sentences against, each repeated or not, take no more than a bounded number of points."""
    endless = "".join(f"recept nummer {at} graag. " for at in range(200))
    assert not _screen(screener, endless).urgent
    scales = Scales([screener.second_opinion.points[kind] for kind in KINDS])
    opinion, _ = scales.weigh(windows_of(screener.reading(endless + "zwabber")))
    assert opinion.total > -40


def test_both_kinds_are_weighed_apart() -> None:
    """However high or low the points of the longest window, those of one kind never spill into another's."""
    words = [f"{letter}oordje{ending}" for letter in "abcdefghijklmno" for ending in ("s", "t")]
    assert len(words) == LONG
    terms = [*(piece for word in words for piece in pieces(word)), *map(" ".join, pairwise(words))]
    for most in (HIGHEST, -HIGHEST):
        all_of = {"start": 0, "thresholds": {}, "words": {"general": {term: [most, -most] for term in terms}}}
        none = {"start": 0, "thresholds": {}, "words": {}}
        full, empty = Scales([Points(all_of), Points(none)]).weigh([(0, words)])
        assert full.total == most * (sum(len(pieces(word)) for word in words) + LONG - 1) - (
            MOST if most > 0 else -MOST
        )
        assert empty.total == 0


def test_more_points_than_fit_are_refused() -> None:
    """A term with more points than the sums have room for is no lexicon."""
    with pytest.raises(LexiconFault, match="pijn"):
        Points({"start": 0, "thresholds": {}, "words": {"general": {"pijn": [HIGHEST + 1, 0]}}})


def test_a_full_stop_says_nothing() -> None:
    """A full stop has no points, by itself or beside a word; a question mark may."""
    assert pieces(".") == []
    assert list(terms_of(["pijn", "."])) == ["pijn"]


def test_words_are_taken_to_pieces_as_the_rules_write_them() -> None:
    """Beginnings and endings of long words, and numbers by their size."""
    assert pieces("benauwdheid") == ["benauwdheid", "bena*", "benauw*", "*dheid"]
    assert pieces("pijn") == ["pijn"]
    assert [shown_number(word) for word in ("39.5", "38.2", "5", "0.4", "12", "112", "2e")] == [
        "#39+",
        "#38",
        "#5",
        "#dec",
        "#10+",
        "#50+",
        "2e",
    ]


def test_a_changed_point_changes_the_version(tmp_path: Path) -> None:
    """The lexicon version in a verdict covers the points too."""
    with_points = tmp_path / "lexicon"
    shutil.copytree(str(packaged_folder()), with_points)
    before = Screener.load_from(with_points).lexicon.version
    file = with_points / "points_urgency.toml"
    file.write_text(file.read_text("utf-8").replace("start = ", "start = 20 # ", 1), "utf-8")
    assert Screener.load_from(with_points).lexicon.version != before


def test_the_shipped_points_are_few_sorted_and_whole() -> None:
    """Each file of points loads, its words stand in order within a topic, and no word has nothing to say."""
    for kind in KINDS:
        lines = (packaged_folder() / f"points_{kind}.toml").read_text("utf-8").splitlines()
        groups = "\n".join(lines).split("\n\n[words.")[1:]
        assert groups
        for group in groups:
            terms = [line for line in group.splitlines()[1:] if line]
            assert terms == sorted(terms)
            assert not [term for term in terms if term.endswith("[0, 0]")]
        assert isinstance(Screener.load().second_opinion.points[kind], Points)


def test_a_long_text_that_says_nothing_is_accepted() -> None:
    """With the shipped points: a thousand words that nobody knows, in one sentence or many."""
    screener = Screener.load()
    for joined in (" ", ". ", "\n"):
        verdict = _screen(screener, joined.join(f"woord{number}" for number in range(1_300)) + "lang" * 900)
        assert (verdict.outcome, verdict.urgent) == (Outcome.ACCEPT, False)
