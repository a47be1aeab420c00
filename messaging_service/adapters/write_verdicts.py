"""Which writes of a batch took effect, told from what a server says about the batch as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from messaging_service.domain.errors import StoreDown

Verdict = bool | StoreDown
"""True: it was written. False: it was not. StoreDown: it failed, or nobody can tell."""

_DUPLICATE_KEY = 11000


class Write(NamedTuple):
    """An encoded document that is to follow version `expected`, and a mark of this write alone."""

    id: str
    expected: int
    document: Any
    mark: str


class Seen(NamedTuple):
    """What lies in the store after the batch: a version, and the mark of who wrote it last."""

    version: int
    mark: str | None


def by_code(code: int | None) -> Verdict:
    """The verdict on a write with that error code, None if it had no error."""
    if code is None or code == _DUPLICATE_KEY:
        return code is None
    return StoreDown(f"write error {code}")


def together(verdicts: Sequence[Verdict]) -> list[bool] | StoreDown:
    """The verdicts, or the first of them that is a fault."""
    taken: list[bool] = []
    for verdict in verdicts:
        if isinstance(verdict, StoreDown):
            return verdict
        taken.append(verdict)
    return taken


def by_marks(writes: Sequence[Write], matched: int, seen: Mapping[str, Seen]) -> list[Verdict]:
    """Who won, when `matched` of the writes did and `seen` is what lies there now, by id.

    A write whose mark is seen has won. Another mark may lie on top of it, or the document be gone; the
    number of matches settles that, unless several are in doubt of which only some have won.
    """
    verdicts: list[Verdict] = []
    buried: list[int] = []
    for at, write in enumerate(writes):
        now = seen.get(write.id)
        verdicts.append(now is not None and now.mark == write.mark)
        if now is None or (now.mark != write.mark and now.version > write.expected + 1):
            buried.append(at)
    missing = matched - verdicts.count(True)
    for at in buried if missing else ():
        verdicts[at] = True if missing == len(buried) else StoreDown("outcome of a replace unknown")
    return verdicts


def turn(writes: Sequence[Write], judged: Mapping[int, Verdict]) -> list[int]:
    """The places of the first unjudged write of each document: writes of one go one after the other."""
    first: dict[str, int] = {}
    for at, write in enumerate(writes):
        if at not in judged:
            first.setdefault(write.id, at)
    return list(first.values())
