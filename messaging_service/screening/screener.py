"""The screener: one text in, one verdict out. Time is linear in the length of the text."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable

from messaging_service.screening.compiled import compiled
from messaging_service.screening.context import Judge
from messaging_service.screening.copying import FoldedCopy, folded_copy
from messaging_service.screening.disguise import disguised_reading, seems_disguised
from messaging_service.screening.findings import Finder, Findings, Hit
from messaging_service.screening.folding import one_to_one
from messaging_service.screening.frame import CERTAIN, LIKELY, Effect
from messaging_service.screening.lexicon_files import packaged_folder, read_lexicon
from messaging_service.screening.markup import plainly_markup, visible_text
from messaging_service.screening.matching import together
from messaging_service.screening.numbers import Numbers
from messaging_service.screening.points import Points, read_points, version_with_points
from messaging_service.screening.quotes import quoted_spans
from messaging_service.screening.reading import Reading, plain_reading
from messaging_service.screening.rules import ContextWords, Lexicon, Rule
from messaging_service.screening.second_opinion import (
    CAUTION,
    OPINIONS,
    REFUSE,
    SAFETY_NET,
    SHORT,
    THREATS,
    SecondOpinion,
)
from messaging_service.screening.sieve import Sieve
from messaging_service.screening.spans import Spans
from messaging_service.screening.terms import NUMBER, TermTable
from messaging_service.screening.told import told_spans
from messaging_service.screening.typos import index_typos
from messaging_service.screening.verdict import ABUSE, QUOTED, TOLD, Match, Verdict, conclude, refuses

_NO_CONTEXT = ContextWords({})
_IDIOM = Effect("idiom", CERTAIN)
_EXCEPTION = Effect("exception", CERTAIN)
_TELLING = 3


@dataclass(frozen=True, slots=True)
class Look:
    """A text in its readings, each with the rules that may match in it; `settled` when there are none."""

    text: str
    readings: Sequence[tuple[Reading, Sequence[Rule]]]

    @property
    def settled(self) -> bool:
        """Whether no rule is left to be judged, so that the verdict takes no more than adding up the points."""
        return not any(rules for _, rules in self.readings)


class Screener:
    """Screens texts with one lexicon, all languages at once. Immutable after loading; safe to share."""

    def __init__(self, lexicon: Lexicon, table: TermTable, points: Mapping[str, Points] | None = None) -> None:
        self.lexicon = lexicon
        self.second_opinion = SecondOpinion(points or {})
        self._fold = table.fold_table
        self._sieve, self._finder = _compiled(lexicon, table)
        self._refusing = frozenset(rule.id for rule in lexicon.rules if rule.refuses) | {REFUSE}
        self._masked = _masked(lexicon.maskable)
        self._nothing = conclude((), self._refusing, lexicon.version)

    @classmethod
    def load(cls) -> Screener:
        """The screener with the packaged lexicon.

        Raises:
            LexiconFault: a lexicon file is not as it should be.
        """
        with _uncollected():
            return cls(*compiled(packaged_folder(), _read))

    @classmethod
    def load_from(cls, folder: Traversable) -> Screener:
        """The screener with the lexicon in `folder` (one folder per language), to compare two versions.

        Raises:
            LexiconFault: a lexicon file is not as it should be.
        """
        with _uncollected():
            return cls(*_read(folder))

    def screen(self, text: str, *, markup: bool, language: str) -> Verdict:
        """Judge `text`; `markup` says that it is HTML (plain markup is noticed anyway).

        `language` is the stated language, a hint only: the rules of every language read every text, and
        the stated language's findings come first in the verdict.
        """
        return self.judge(self.look(text, markup=markup), language)

    def reading(self, text: str, *, markup: bool = False) -> Reading:
        """`text` as the words and sentences that the rules and the points read."""
        return plain_reading(self._copy(text, markup), self.lexicon.spelling)

    def look(self, text: str, *, markup: bool) -> Look:
        """The first half of `screen`: read `text` and find the rules that may match; short and never steep."""
        copy = self._copy(text, markup)
        readings = [plain_reading(copy, self.lexicon.spelling)]
        if seems_disguised(copy.text):
            readings.append(disguised_reading(copy, self._masked, self.lexicon.spelling))
        return Look(text, [(reading, self._sieve.candidates(reading)) for reading in readings])

    def judge(self, look: Look, language: str) -> Verdict:
        """The second half of `screen`: judge what may match, word by word."""
        matches = [match for reading, rules in look.readings if rules for match in self._matches(reading, rules)]
        if matches:
            matches = _own_language_first(_distinct(matches), self._language(look.readings[0][0], language))
            matches = _passed_on(matches, Spans(quoted_spans(look.text)))
        matches = self.second_opinion.on(matches, look.readings[0][0], self._refusing)
        if not matches:
            return self._nothing
        matches = self._in_known_words(matches, look.readings[0][0], language)
        matches = self._told(matches, look.readings[0][0])
        matches = self._without_abuse(matches)
        matches.sort(key=lambda match: (not match.rule.startswith(f"{language[:2]}."), match.start, match.rule))
        return conclude(tuple(matches), self._refusing, self.lexicon.version)

    def _in_known_words(self, matches: list[Match], reading: Reading, stated: str) -> list[Match]:
        """Points refuse only in a language of which they have learned much, one with function words; else they mark."""
        if all(match.rule != REFUSE for match in matches) or self._speaks_a_known_language(reading, stated):
            return matches
        return [replace(match, rule=CAUTION) if match.rule == REFUSE else match for match in matches]

    def _speaks_a_known_language(self, reading: Reading, stated: str) -> bool:
        """Whether the text shows it; of one of few words, a word of it and the stated language will do."""
        spoken, shown = self._language(reading, stated)
        words = len([word for word in reading.words if word.isalpha()])
        known = self.lexicon.function_words.get(spoken)
        return known is not None and (
            shown or words < _TELLING or (words < SHORT and not known.isdisjoint(reading.words))
        )

    def _told(self, matches: list[Match], reading: Reading) -> list[Match]:
        """What stands in a report of what was said or done to the writer marks the message but does not refuse it."""
        if not any(refuses(match, self._refusing) for match in matches):
            return matches
        told = Spans(told_spans(self._finder.find(reading), self.lexicon.context))
        return [
            replace(match, context=TOLD)
            if refuses(match, self._refusing) and told.hold(match.start, match.end)
            else match
            for match in matches
        ]

    def _language(self, reading: Reading, stated: str) -> tuple[str, bool]:
        """The language that the rules trust, and whether the text itself shows it by its small words."""
        used = set(reading.words)
        for language, words in self.lexicon.function_words.items():
            if len(words & used) >= _TELLING:
                return language, True
        return stated[:2], False

    def _without_abuse(self, matches: list[Match]) -> list[Match]:
        """A threat is no emergency: what lies within one, and what is faint beside abuse of points, does not count."""
        abuse = [match for match in matches if refuses(match, self._refusing)]
        threats = Spans((match.start, match.end) for match in abuse if match.topic in THREATS)
        by_points = bool(abuse) and all(match.rule == REFUSE for match in abuse)
        return [
            replace(match, context=ABUSE, counts=False, alarm=False)
            if match.kind == "urgency"
            and match.counts
            and (threats.hold(match.start, match.end) or (by_points and _faint(match)))
            else match
            for match in matches
        ]

    def _copy(self, text: str, markup: bool) -> FoldedCopy:
        if markup or plainly_markup(text):
            shown, origin = visible_text(text)
            return folded_copy(shown, self._fold, origin)
        return folded_copy(text, self._fold)

    def _matches(self, reading: Reading, rules: Sequence[Rule]) -> list[Match]:
        findings = self._finder.find(reading)
        judges: dict[str, Judge] = {}
        settled: set[tuple[int, int]] = set()
        matches = []
        for rule, key in _at_their_keys(rules, findings):
            place = (id(rule), reading.sentence(key[0])[0])
            if place in settled:
                continue
            if rule.language not in judges:
                judges[rule.language] = Judge(findings, self.lexicon.context.get(rule.language, _NO_CONTEXT))
            judge = judges[rule.language]
            if judge.passes_over(rule):
                continue
            match = _match(rule, key, findings, judge)
            if match is not None:
                matches.append(match)
                if match.counts and (match.alarm or not rule.alarm):
                    settled.add(place)
        return matches


def _faint(match: Match) -> bool:
    return match.topic == SAFETY_NET or match.rule in OPINIONS


def _at_their_keys(rules: Sequence[Rule], findings: Findings) -> Iterator[tuple[Rule, Hit]]:
    """Each rule at each place where its key stands, in the order of the text."""
    keyed: dict[int, list[Rule]] = {}
    for rule in rules:
        for term in findings.terms & rule.parts[rule.key].terms:
            keyed.setdefault(term, []).append(rule)
    for word, hits in findings.at.items():
        for term, last in hits:
            for rule in keyed.get(term, ()):
                if term != NUMBER or findings.number_fits(word, rule.parts[rule.key]):
                    yield rule, (word, last)


def _match(rule: Rule, key: Hit, findings: Findings, judge: Judge) -> Match | None:
    def usable(hit: Hit) -> bool:
        return judge.effect(rule, [hit]).weight < CERTAIN

    hits = together(rule, key, findings, usable)
    if hits is None:
        return None
    effect = _effect(rule, hits, findings, judge)
    first, last = key if rule.whole_message else (min(h[0] for h in hits), max(h[1] for h in hits))
    start, end = findings.reading.typed_span(first, last)
    counts = effect.weight < CERTAIN
    return Match(
        rule=rule.id,
        kind=rule.kind,
        topic=rule.topic,
        start=start,
        end=end,
        context=effect.name,
        counts=counts,
        alarm=counts and rule.alarm and effect.weight < LIKELY,
    )


def _effect(rule: Rule, hits: Sequence[Hit], findings: Findings, judge: Judge) -> Effect:
    if any(judge.idiom(hit) for hit in hits):
        return _IDIOM
    if rule.unless:
        first, end = findings.reading.sentence(hits[rule.key][0])
        if findings.holds(first, end, rule.unless):
            return _EXCEPTION
    if not rule.unless_anywhere.isdisjoint(findings.terms):
        return _EXCEPTION
    return judge.effect(rule, hits)


def _own_language_first(matches: list[Match], spoken: tuple[str, bool]) -> list[Match]:
    """Cognates of another language do not count in a text that shows its language, or on a topic set aside in it."""
    own, shown = f"{spoken[0]}.", spoken[1]
    judged = [match for match in matches if match.kind == "urgency" and match.rule.startswith(own)]
    set_aside = {match.topic for match in judged} - {match.topic for match in judged if match.counts}
    return [
        replace(match, context="other language", counts=False, alarm=False)
        if match.counts
        and match.kind == "urgency"
        and not match.rule.startswith(own)
        and (shown or match.topic in set_aside)
        else match
        for match in matches
    ]


def _passed_on(matches: list[Match], quotes: Spans) -> list[Match]:
    """Abuse between quotation marks is somebody else's: it marks the message but does not refuse it."""
    return [
        replace(match, context=QUOTED)
        if match.kind == "prohibited" and match.counts and quotes.hold(match.start, match.end)
        else match
        for match in matches
    ]


def _distinct(matches: list[Match]) -> list[Match]:
    """Each rule once a span, counting if it counts in any reading."""
    best: dict[tuple[str, int, int], Match] = {}
    for match in matches:
        place = (match.rule, match.start, match.end)
        if place not in best or (match.counts, match.alarm) > (best[place].counts, best[place].alarm):
            best[place] = match
    return list(best.values())


@contextmanager
def _uncollected() -> Iterator[None]:
    """No collection of garbage meanwhile, and none ever of what was made: it stays, and to look through it is slow."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()


def _read(folder: Traversable) -> tuple[Lexicon, TermTable, Mapping[str, Points]]:
    table = TermTable(one_to_one())
    lexicon = read_lexicon(folder, table)
    return replace(lexicon, version=version_with_points(lexicon.version, folder)), table, read_points(folder)


def _compiled(lexicon: Lexicon, table: TermTable) -> tuple[Sieve, Finder]:
    words = list(table.whole_words())
    content = frozenset[int]().union(*(part.terms for rule in lexicon.rules for part in rule.parts))
    known = frozenset(word for word, _ in words) - lexicon.spelling.keys()
    typos = index_typos(((word, term) for word, term in words if term in content), lexicon.not_typos, known)
    numbers = Numbers(lexicon.number_words, lexicon.units)
    sieve = Sieve(lexicon.rules, table, typos, numbers)
    return sieve, Finder(sieve.searches, table.lengths(), typos, numbers)


def _masked(words: frozenset[str]) -> dict[tuple[str, int], list[str]]:
    masked: dict[tuple[str, int], list[str]] = {}
    for word in sorted(words):
        masked.setdefault((word[0], len(word)), []).append(word)
    return masked
