"""Screening a message: what it holds that is prohibited or urgent, where, and what follows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from messaging_service.domain.message import BodyFormat, Content, Finding, Triage
from messaging_service.domain.refusals import Malformed, Prohibited, Refusal, Span
from messaging_service.screening.sanitise import html_to_text, sanitise
from messaging_service.screening.screener import Screener
from messaging_service.screening.verdict import Match, Outcome, Verdict

_MARKUP_SPACE = str.maketrans("<>&", "   ")
_OFF_LOOP_CHARACTERS = 2_000
"""Plain text up to this length is looked at in less than half a millisecond; longer text leaves the event loop."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The clean content, the verdict, and why the message is refused (None when it is not)."""

    content: Content
    triage: Triage
    refused: Refusal | None


async def judge(
    screener: Screener, *, subject: str, body: str, format: BodyFormat, language: str, detect_urgency: bool
) -> Judged:
    """Sanitise and screen; subject and body are read together, so that a combination may span both.

    Everyday post is done after one look, here: to hand it to a thread would cost more. What takes longer leaves the
    event loop.
    """
    if format is BodyFormat.HTML or len(body) > _OFF_LOOP_CHARACTERS:
        return await asyncio.to_thread(_judge, screener, subject, body, format, language, detect_urgency)
    content = Content(subject, body, body, format, format, language)
    look = screener.look(f"{subject}\n{body}", markup=False)
    judged = screener.judge(look, language) if look.settled else await asyncio.to_thread(screener.judge, look, language)
    return _concluded(content, judged, len(subject) + 1, detect_urgency)


def _judge(
    screener: Screener, subject: str, body: str, format: BodyFormat, language: str, detect_urgency: bool
) -> Judged:
    markup = format is BodyFormat.HTML
    clean = sanitise(body, html=markup)
    heading = subject.translate(_MARKUP_SPACE) if markup else subject
    verdict = screener.screen(f"{heading}\n{body}", markup=markup, language=language)
    content = Content(subject, body, clean.text, format, BodyFormat(clean.format), language)
    return _concluded(content, verdict, len(heading) + 1, detect_urgency)


def _concluded(content: Content, verdict: Verdict, body_at: int, detect_urgency: bool) -> Judged:
    triage = _triage(verdict, body_at, detect_urgency)
    return Judged(content, triage, _refusal(verdict, triage, content))


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
    """A match that begins in the subject and goes on in the body ends, here, where the subject does."""
    in_body = match.start >= body_at
    start, end = (match.start - body_at, match.end - body_at) if in_body else (match.start, min(match.end, body_at - 1))
    field = "body" if in_body else "subject"
    return Finding(match.rule, match.kind, match.topic, start, end, match.context, field)


def _refusal(verdict: Verdict, triage: Triage, content: Content) -> Refusal | None:
    """An urgent message is never refused for its content (the verdict already says so)."""
    if _is_blank(content) and not triage.urgent:
        return Malformed("body: the HTML holds no text")
    if verdict.outcome is not Outcome.REFUSE:
        return None
    finding = next(f for f in triage.findings if f.kind == "prohibited" and f.topic in verdict.categories)
    return Prohibited(finding.topic, _span(finding, content.subject if finding.field == "subject" else content.typed))


def _is_blank(content: Content) -> bool:
    return content.clean_format is BodyFormat.HTML and not html_to_text(content.clean).strip()


def _span(finding: Finding, submitted: str) -> Span:
    start, end = (_utf16_units(submitted[:place]) for place in (finding.start, finding.end))
    return Span(finding.field, start, end)


def _utf16_units(text: str) -> int:
    """How long browsers say that `text` is: what lies beyond U+FFFF counts twice."""
    return len(text) + sum(character > "\uffff" for character in text)
