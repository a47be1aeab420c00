"""Screening a message: what it holds that is prohibited or urgent, where, and what follows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from messaging_service.domain.message import BodyFormat, Content, Finding, Triage
from messaging_service.domain.refusals import Prohibited, Span
from messaging_service.screening.sanitise import sanitise
from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Match, Outcome, Verdict

_MARKUP_SPACE = str.maketrans("<>&", "   ")
_OFF_LOOP_CHARACTERS = 1_500
"""Plain text up to this length is screened in well under a millisecond; longer text leaves the event loop."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The clean content, the verdict, and what the screening refuses (None when it refuses nothing)."""

    content: Content
    triage: Triage
    refused: Prohibited | None


async def judge(
    screener: Screener, *, subject: str, body: str, format: BodyFormat, language: str, detect_urgency: bool
) -> Judged:
    """Sanitise and screen; subject and body are read together, so that a combination may span both."""
    if format is BodyFormat.TEXT and len(body) <= _OFF_LOOP_CHARACTERS:
        return _judge(screener, subject, body, format, language, detect_urgency)
    return await asyncio.to_thread(_judge, screener, subject, body, format, language, detect_urgency)


def _judge(
    screener: Screener, subject: str, body: str, format: BodyFormat, language: str, detect_urgency: bool
) -> Judged:
    markup = format is BodyFormat.HTML
    clean = sanitise(body, html=markup)
    heading = subject.translate(_MARKUP_SPACE) if markup else subject
    verdict = screener.screen(f"{heading}\n{body}", markup=markup, language=language)
    content = Content(subject, body, clean.text, format, BodyFormat(clean.format), language)
    triage = _triage(verdict, len(heading) + 1, detect_urgency)
    return Judged(content, triage, _refusal(verdict, triage))


def _triage(verdict: Verdict, body_at: int, detect_urgency: bool) -> Triage:
    urgent = verdict.urgent and detect_urgency
    findings = tuple(_finding(match, body_at) for match in verdict.matches)
    return Triage(
        urgent=urgent,
        alarm=verdict.alarm and urgent,
        caution=verdict.outcome is not Outcome.ACCEPT,
        topics=tuple(verdict.topics) if urgent else (),
        categories=tuple(verdict.categories),
        findings=findings,
        lexicon=verdict.lexicon,
    )


def _finding(match: Match, body_at: int) -> Finding:
    in_body = match.start >= body_at
    shift = body_at if in_body else 0
    return Finding(
        match.rule,
        match.kind,
        match.topic,
        match.start - shift,
        match.end - shift,
        match.context,
        "body" if in_body else "subject",
    )


def _refusal(verdict: Verdict, triage: Triage) -> Prohibited | None:
    """An urgent message is never refused for its content (the verdict already says so)."""
    if verdict.outcome is not Outcome.REFUSE:
        return None
    finding = next(f for f in triage.findings if f.kind == "prohibited" and f.topic in verdict.categories)
    return Prohibited(finding.topic, Span(finding.field, finding.start, finding.end))
