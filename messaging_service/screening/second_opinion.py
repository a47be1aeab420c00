"""The second opinion: the points add what no rule found, and outweigh what one found in vain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from messaging_service.screening.points import KINDS, Points, windows_of
from messaging_service.screening.reading import Reading
from messaging_service.screening.verdict import ABUSE, OUTWEIGHED, QUOTED, Match, refuses
from messaging_service.screening.weighing import Opinion, Scales

NOTICE, REFUSE, CAUTION = "points.notice", "points.refuse", "points.caution"
OPINIONS = frozenset([NOTICE, REFUSE, CAUTION])
SAFETY_NET = "general"
THREATS = frozenset(["threatening", "violent", "intimidating"])
_SHOWN = 10
_FEW, SHORT = 8, 16
"""Words and stops, the subject's too; a message of fewer says too little for the lower limits."""
_OTHERWISE = {"urgency": "general", "prohibited": "insulting"}


class SecondOpinion:
    """Weighs a reading by the points of each kind; without points it leaves every finding as it is."""

    def __init__(self, points: Mapping[str, Points]) -> None:
        self.points = points
        self._scales = Scales([points[kind] for kind in KINDS]) if points else None

    def on(self, matches: list[Match], reading: Reading, refusing: frozenset[str]) -> list[Match]:
        """`matches` of the rules, corrected by the words of `reading`; `refusing` names the rules that refuse."""
        if self._scales is None:
            return matches
        urgency, prohibited = self._scales.weigh(windows_of(reading))
        matches = self._urgency(matches, self.points["urgency"], urgency, reading, refusing)
        lead = prohibited.total - urgency.total
        return self._prohibited(matches, self.points["prohibited"], prohibited, reading, refusing, lead=lead)

    def explained(self, reading: Reading) -> list[str]:
        """A line for each kind: the total, and the words of the leading sentence that spoke most for and against."""
        if self._scales is None:
            return []
        lines = []
        for kind, opinion in zip(KINDS, self._scales.weigh(windows_of(reading)), strict=True):
            points = self.points[kind]
            spoke = [f"{term} {value:+d}" for term, value in points.reasons(opinion.window)[:_SHOWN]]
            lines.append(f"  points for {kind}: {opinion.total:+.0f} ({', '.join(spoke) or 'no word has points'})")
        return lines

    def _urgency(
        self, matches: list[Match], points: Points, opinion: Opinion, reading: Reading, refusing: frozenset[str]
    ) -> list[Match]:
        total, limit = opinion.total, points.thresholds
        beside_abuse = _beside_abuse(matches, limit, refusing)
        if total < beside_abuse:
            matches = [replace(m, context=ABUSE, counts=False, alarm=False) if _by_the_net(m) else m for m in matches]
        found = [match for match in matches if match.kind == "urgency" and match.counts]
        paged = any(match.alarm for match in found)
        short = len(reading.words) < SHORT
        # what a rule would page for keeps its notice, unless hardly a word of the message agrees; few words say little
        if found and total < _kept(limit, "paged_kept" if paged else "notice_kept", "short_kept", short=short):
            return [replace(m, context=OUTWEIGHED, counts=False, alarm=False) if m in found else m for m in matches]
        if paged and total < _kept(limit, "alarm_kept", "alarm_short", short=short):
            return [replace(m, context=OUTWEIGHED, alarm=False) if m.counts and m.alarm else m for m in matches]
        # a rule that pages nobody, or whose context silences it, needs fewer words beside it than none at all
        alarm = total >= limit["alarm_beside" if found and "alarm_beside" in limit else "alarm_alone"]
        # words must speak more clearly where a rule saw denial or long ago, or where next to nothing is said
        unsure = len(reading.words) < _FEW or (not found and any(match.kind == "urgency" for match in matches))
        wanted = "notice_against" if unsure else "notice_short" if short else "notice_alone"
        enough = max(limit.get(wanted, limit["notice_alone"]), beside_abuse)
        if total >= beside_abuse and ((alarm and not paged) or (total >= enough and not found)):
            return [*matches, _match(NOTICE, "urgency", points, opinion, reading, alarm=alarm)]
        return matches

    def _prohibited(
        self,
        matches: list[Match],
        points: Points,
        opinion: Opinion,
        reading: Reading,
        refusing: frozenset[str],
        *,
        lead: float,
    ) -> list[Match]:
        """`lead`: how far the points for abuse are above those for urgency; what may be an emergency is not refused."""
        read = [match for match in matches if match.kind == "prohibited"]
        found = [match for match in read if match.counts]
        total, limit = opinion.total, points.thresholds
        if any(refuses(match, refusing) for match in found):
            if total >= _kept(limit, "refuse_kept", "refuse_short", short=len(reading.words) < SHORT):
                return matches
            return [replace(m, context=OUTWEIGHED) if refuses(m, refusing) else m for m in matches]
        # of a quotation the points cannot know better; of what a rule only marks, fewer of them do
        quoted = any(match.context == QUOTED for match in read)
        enough = limit.get("refuse_beside" if found else "refuse_alone", limit["refuse_alone"])
        if total >= enough and lead >= limit.get("refuse_lead", -inf) and not quoted:
            return [*matches, _match(REFUSE, "prohibited", points, opinion, reading)]
        if total >= limit["caution_alone"] and not found:
            return [*matches, _match(CAUTION, "prohibited", points, opinion, reading)]
        return matches


def _by_the_net(match: Match) -> bool:
    return match.kind == "urgency" and match.counts and match.topic == SAFETY_NET


def _beside_abuse(matches: list[Match], limits: Mapping[str, int], refusing: frozenset[str]) -> float:
    """From where words alone show the notice beside abuse that a rule refuses: threats speak of blood and death too."""
    abuse = {match.topic for match in matches if refuses(match, refusing)}
    if not abuse:
        return -inf
    return limits.get("notice_threat" if abuse & THREATS else "notice_abuse", inf)


def _kept(limits: Mapping[str, int], otherwise: str, in_short: str, *, short: bool) -> float:
    """Below which a rule is outweighed; an older lexicon lacks the limits of short messages, or all."""
    return limits.get(in_short if short and in_short in limits else otherwise, -inf)


def _match(rule: str, kind: str, points: Points, opinion: Opinion, reading: Reading, *, alarm: bool = False) -> Match:
    start, end = reading.typed_span(opinion.first, opinion.last)
    topic = points.topic(opinion.window, _OTHERWISE[kind])
    return Match(rule, kind, topic, start, end, "", counts=True, alarm=alarm)
