"""Sentences in which the writer tells what somebody said or did to them: a victim is never refused for those words.

Somebody else (the role `somebody`: *hij*, *mijn ex*, *ze*) stands close to words that say it was done to the writer
(the role `done_to_me`: *noemde me*, *dreigt mij*). Of what befell the writer (`befell_me`: *naar mijn hoofd*) nobody
need be named. Who speaks to the reader, *jij noemde me*, tells nothing. Nor need it be said to whom, where speech and a
colon or comma follow each other (`said`: *mijn chef appte: …*), unless it is the writer's own (`myself`: *ik zei: …*).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from messaging_service.screening.findings import Findings
from messaging_service.screening.reading import COMMA
from messaging_service.screening.rules import ContextWords

_REACH = 4
_TO_THE_COLON = 3


def told_spans(findings: Findings, context: Mapping[str, ContextWords]) -> list[tuple[int, int]]:
    """Code points, in the text as typed, of each sentence that reports what was done to the writer."""
    reading = findings.reading
    sentences = {reading.sentence(word) for words in context.values() for word in _told(findings, words)}
    return [reading.typed_span(first, end - 1) for first, end in sorted(sentences)]


def _told(findings: Findings, words: ContextWords) -> Iterator[int]:
    """The words at which it is said to have been done."""
    for word, _ in findings.within(0, len(findings.reading.words), words["befell_me"]):
        yield word
    for word, last in findings.within(0, len(findings.reading.words), words["done_to_me"]):
        first, end = findings.reading.sentence(word)
        if findings.holds(max(first, word - _REACH), min(end, last + 1 + _REACH), words["somebody"]):
            yield word
    for word, last in findings.within(0, len(findings.reading.words), words["said"]):
        before = max(findings.reading.sentence(word)[0], word - 2)
        until = _colon(findings.reading.words, last + 1)
        if until is not None and not findings.holds(before, until, words["myself"]):
            yield word


def _colon(words: Sequence[str], after: int) -> int | None:
    """Where a colon, read as a comma, stands within a few words."""
    return next((at for at in range(after, min(after + _TO_THE_COLON, len(words))) if words[at] == COMMA), None)
