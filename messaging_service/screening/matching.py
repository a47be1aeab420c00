"""Do all parts of a rule stand together? The nearest occurrence of each part to the rule's key."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from messaging_service.screening.findings import Findings, Hit
from messaging_service.screening.rules import Rule
from messaging_service.screening.terms import Slot

Usable = Callable[[Hit], bool]
_WHOLE_MESSAGE_LIMIT = 24


def together(rule: Rule, key: Hit, findings: Findings, usable: Usable) -> list[Hit] | None:
    """The hits of every part of `rule` around `key`, in the order of the parts, or None.

    `usable` says of a hit whether its context lets it count; parts of a rule on the whole message choose
    a usable hit where there is one. Each part is looked for in a window of bounded width.
    """
    if len(rule.parts) == 1:
        return [key]
    if rule.whole_message:
        return _anywhere(rule, key, findings, usable)
    if rule.ordered:
        return _in_order(rule, key, findings)
    return _around(rule, key, findings)


def _around(rule: Rule, key: Hit, findings: Findings) -> list[Hit] | None:
    first, end = findings.reading.sentence(key[0])
    first, end = max(first, key[0] - rule.within - 1), min(end, key[1] + rule.within + 2)
    order = _outwards(key, first, end)
    found: dict[int, Hit] = {rule.key: key}
    for index, part in enumerate(rule.parts):
        if index != rule.key:
            hit = _first_free(part, order, findings, found.values())
            if hit is None:
                return None
            found[index] = hit
    return [found[index] for index in range(len(rule.parts))]


def _outwards(key: Hit, first: int, end: int) -> list[int]:
    """The words around `key`, nearest first."""
    return sorted([*range(first, key[0]), *range(key[1] + 1, end)], key=lambda word: abs(word - key[0]))


def _in_order(rule: Rule, key: Hit, findings: Findings) -> list[Hit] | None:
    first, end = findings.reading.sentence(key[0])
    hits = [key]
    for part in reversed(rule.parts[: rule.key]):
        begin = hits[0][0]
        hit = _first_free(part, range(begin - 1, max(first, begin - rule.within - 2) - 1, -1), findings, hits)
        if hit is None or hit[1] >= begin:
            return None
        hits.insert(0, hit)
    for part in rule.parts[rule.key + 1 :]:
        after = hits[-1][1]
        hit = _first_free(part, range(after + 1, min(end, after + rule.within + 2)), findings, hits)
        if hit is None:
            return None
        hits.append(hit)
    return hits


def _anywhere(rule: Rule, key: Hit, findings: Findings, usable: Usable) -> list[Hit] | None:
    found: dict[int, Hit] = {rule.key: key}
    for index, part in enumerate(rule.parts):
        if index == rule.key:
            continue
        free = [hit for hit in findings.anywhere(part) if not _overlaps(hit, found.values())]
        if not free:
            return None
        found[index] = next((hit for hit in free[:_WHOLE_MESSAGE_LIMIT] if usable(hit)), free[0])
    return [found[index] for index in range(len(rule.parts))]


def _first_free(part: Slot, words: Iterable[int], findings: Findings, taken: Iterable[Hit]) -> Hit | None:
    taken = tuple(taken)
    for word in words:
        if word in findings.at:
            hit = findings.starting(word, part)
            if hit is not None and not _overlaps(hit, taken):
                return hit
    return None


def _overlaps(hit: Hit, taken: Iterable[Hit]) -> bool:
    return any(hit[0] <= other[1] and other[0] <= hit[1] for other in taken)
