"""One run of the access log, entry by entry in order, against what its anchors say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from messaging_service.application.access_chain import Head
from messaging_service.application.access_entry import entry_digest, order_of
from messaging_service.application.ports import Document

_NOTHING = Head("")
_COMPARED = 100
"""So many changed entries of a run are compared with each other, to see whether they changed places."""


class Fault(StrEnum):
    """What is wrong."""

    GAP = "gap"
    CHANGED = "changed"
    SWAPPED = "swapped"
    INSERTED = "inserted"
    CUT = "end cut off"
    DROPPED = "run gone"
    ANCHORS_MISSING = "anchors missing"
    ANCHOR_CHANGED = "anchor changed"
    ANCHORS_CUT = "anchors cut off"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with which entries of a run: those numbered `first` to `last`. Of anchors: with which of these."""

    fault: Fault
    run: str
    first: int
    last: int


@dataclass(slots=True)
class Run:
    """What the anchors say: everything up to `start` may be gone, everything from there to `head` is there."""

    id: str
    start: Head = _NOTHING
    head: Head = _NOTHING

    def take(self, is_start: bool, at: Head) -> None:
        """What one more anchor says."""
        if is_start and at.number > self.start.number:
            self.start = at
        if at.number > self.head.number:
            self.head = at


class RunCheck:
    """Takes the entries in the order of their numbers."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._number = run.start.number
        self._digest = run.start.digest
        self._trusted = True
        self._before: Document = {}
        self._confirmed = run.head.number
        self._holes: list[tuple[int, int]] = []
        self._changed: dict[int, Document] = {}
        self.entries = 0
        self.unanchored = 0
        self.faults: list[Finding] = []
        self.in_doubt: list[Finding] = []

    def take(self, entry: Document) -> None:
        """The next entry."""
        number = entry["number"]
        if 0 < number <= self._run.start.number:
            return  # its term is over: it is being let go
        if number <= self._number:
            if number not in self._changed and entry["digest"] != self._digest:
                self._found(Fault.INSERTED, number)
            return
        whole = entry["digest"] == entry_digest(entry) and entry["id"] == f"{self._run.id}.{number}"
        if number > self._number + 1:
            self._holes.append((self._number + 1, number - 1))
        elif whole and self._trusted and entry["previous"] != self._digest:
            self._changed.setdefault(self._number, self._before)  # not the one that this was linked to
        if not whole or (number == self._run.head.number and entry["digest"] != self._run.head.digest):
            self._changed[number] = entry
        if whole:
            self._confirmed = max(self._confirmed, entry["confirmed"])
        self.entries += 1
        self.unanchored += number > self._run.head.number
        self._number, self._digest, self._trusted, self._before = number, entry["digest"], whole, entry

    def end(self) -> None:
        """There are no more."""
        head = self._run.head.number
        if self._number < head:
            gone = self._number == self._run.start.number
            self.faults.append(Finding(Fault.DROPPED if gone else Fault.CUT, self._run.id, self._number + 1, head))
        for first, last in self._holes:
            self._judge_hole(first, last)
        self._judge_changed()

    def _judge_hole(self, first: int, last: int) -> None:
        """What was confirmed was there. Beyond that, the store may have failed half-way."""
        known = min(last, self._confirmed)
        if first <= known:
            self.faults.append(Finding(Fault.GAP, self._run.id, first, known))
        if last > known:
            self.in_doubt.append(Finding(Fault.GAP, self._run.id, max(first, known + 1), last))

    def _judge_changed(self) -> None:
        left = sorted(self._changed)
        compared = left[:_COMPARED]
        for number in compared:
            others = (other for other in compared if other > number and other in left)
            pair = next((other for other in others if self._are_swapped(number, other)), None)
            if pair is not None and number in left:
                self.faults.append(Finding(Fault.SWAPPED, self._run.id, number, pair))
                left = [each for each in left if each not in (number, pair)]
        for number in left:
            self._found(Fault.CHANGED, number)

    def _are_swapped(self, one: int, other: int) -> bool:
        """Whether each is right in the other's place."""
        return self._is_right_at(one, other) and self._is_right_at(other, one)

    def _is_right_at(self, here: int, there: int) -> bool:
        entry, place = self._changed[here], self._changed[there]
        if not entry or not place:
            return False  # the one that was let go
        moved = {**entry, "id": f"{self._run.id}.{there}", "number": there}
        ordered = {**moved, "order": order_of(entry["at"], self._run.id, there)}
        linked = {**ordered, "previous": place["previous"], "confirmed": place["confirmed"]}
        digests = (entry["digest"], place["digest"])
        return any(entry_digest(each) in digests for each in (moved, ordered, linked))

    def _found(self, fault: Fault, number: int) -> None:
        self.faults.append(Finding(fault, self._run.id, number, number))
