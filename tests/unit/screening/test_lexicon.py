"""The lexicon as data: it loads, and every rule does what its own examples say."""

from __future__ import annotations

from pathlib import Path

import pytest

from messaging_service.screening.errors import LexiconFault
from messaging_service.screening.rules import Rule
from messaging_service.screening.screener import Screener

SCREENER = Screener.load()


def _counts(rule: Rule, text: str) -> bool:
    verdict = SCREENER.screen(text, markup=False, language=rule.language)
    return any(match.rule == rule.id and match.counts for match in verdict.matches)


@pytest.mark.parametrize("rule", SCREENER.lexicon.rules, ids=lambda rule: rule.id)
def test_a_rule_does_what_its_examples_say(rule: Rule) -> None:
    """Each rule has an example that must match and one that must not, and both hold."""
    assert rule.match, "a rule needs an example that must match"
    assert rule.no_match, "a rule needs an example that must not match"
    assert [text for text in rule.match if not _counts(rule, text)] == []
    assert [text for text in rule.no_match if _counts(rule, text)] == []


def test_rule_ids_are_unique() -> None:
    """A rule id in a verdict names one rule and no other."""
    ids = [rule.id for rule in SCREENER.lexicon.rules]
    assert len(ids) == len(set(ids))


def _folder(tmp_path: Path, content: str) -> Path:
    (tmp_path / "nl").mkdir()
    (tmp_path / "nl" / "urgency_test.toml").write_text(content, encoding="utf-8")
    return tmp_path


_RULE = 'kind = "urgency"\ntopic = "test"\n[[rule]]\nid = "one"\nparts = ["{}"]\n'


def test_a_changed_rule_changes_the_version(tmp_path: Path) -> None:
    """The lexicon version in a verdict tells two contents apart."""
    folder = _folder(tmp_path, _RULE.format("kramp"))
    before = Screener.load_from(folder).lexicon.version
    (folder / "nl" / "urgency_test.toml").write_text(_RULE.format("krampen"), encoding="utf-8")
    assert Screener.load_from(folder).lexicon.version != before


@pytest.mark.parametrize("wrong", ["@nobody", "", "#many"])
def test_a_rule_that_cannot_be_read_is_named(tmp_path: Path, wrong: str) -> None:
    """A mistake in a file is answered with the file and the rule in which it stands."""
    with pytest.raises(LexiconFault, match=r"nl/urgency_test\.toml, rule one"):
        Screener.load_from(_folder(tmp_path, _RULE.format(wrong)))


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    """A misspelt key in a rule is an error, not silently ignored."""
    with pytest.raises(LexiconFault, match="unles"):
        Screener.load_from(_folder(tmp_path, _RULE.format("kramp") + 'unles = ["niet"]\n'))
