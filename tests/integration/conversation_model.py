"""What a conversation should be, in the plainest words: lists of messages, and who read how far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from messaging_service.application.search import Search

MOST_UNREAD = 4
PATIENT, PARENT, TEAM = "patient", "representative", "care_team"


@dataclass
class Message:
    """One message; `reply` is a clinician's."""

    id: str
    reply: bool
    shown: bool = True


@dataclass
class Thread:
    """One thread. `private` None: the message that says it is not stored yet. `read`: places, by role."""

    id: str
    opened_at: int
    private: bool | None
    subject: str = ""
    closed_by: str = ""
    messages: list[Message] = field(default_factory=list)
    read: dict[str, int] = field(default_factory=dict)

    def visible(self, who: str) -> bool:
        return who == PATIENT or self.private is False

    def shown(self) -> list[str]:
        return [each.id for each in self.messages if each.shown]

    def unread(self, who: str) -> int:
        new = self.messages[self.read.get(who, 0) :]
        return min(sum(each.reply and each.shown for each in new), MOST_UNREAD)

    def read_to(self, who: str, message: str) -> None:
        place = 1 + [each.id for each in self.messages].index(message)
        self.read[who] = max(self.read.get(who, 0), place)

    def read_by_team(self) -> list[bool]:
        upto = self.read.get(TEAM, 0)
        shown = [(place, each) for place, each in enumerate(self.messages, 1) if each.shown]
        return [not each.reply and place <= upto for place, each in shown]

    def fits(self, search: Search) -> bool:
        opener = next((each for each in self.messages if each.id == self.id and each.shown), None)
        if search.subject and (opener is None or search.subject not in self.subject.lower()):
            return False
        if search.status and search.status != ("closed" if self.closed_by else "open"):
            return False
        return self.opened_at >= search.since and (not search.until or self.opened_at < search.until)


class Model(dict[str, Thread]):
    """All threads of one patient by id."""

    def listed(self, who: str, search: Search) -> list[Thread]:
        """Newest first; of one moment the greater id first."""
        newest_first = sorted(self.values(), key=lambda each: (each.opened_at, each.id), reverse=True)
        return [each for each in newest_first if each.visible(who) and each.fits(search)]

    def everyone(self) -> Iterator[tuple[Thread, Message]]:
        return ((thread, each) for thread in self.values() for each in thread.messages)


@dataclass
class Walk:
    """Somebody pages through the list that fits `search`, or through `thread`, while things change.

    `owed`: what was in it from the first page on, without a break.
    """

    who: str
    limit: int
    search: Search
    thread: Thread | None = None
    owed: set[str] | None = None
    cursor: str | None = None
    seen: list[str] = field(default_factory=list)

    def listed(self, model: Model) -> list[str]:
        """What is in it now."""
        if self.thread is None:
            return [each.id for each in model.listed(self.who, self.search)]
        return self.thread.shown() if self.thread.visible(self.who) else []

    def still(self, ids: list[str]) -> None:
        """This is in it now; what left it meanwhile is not owed any more."""
        self.owed = set(ids) if self.owed is None else self.owed & set(ids)

    def turned(self, page: list[str], model: Model) -> None:
        """A page holds what is in it now, in order, and nothing that an earlier page had."""
        listed = self.listed(model)
        assert page == [id for id in listed if id in page], "in another order, or not in it"
        assert not set(page) & set(self.seen), "a page repeats"
        self.seen += page

    def ended(self) -> None:
        """What was there all the while was seen."""
        assert (self.owed or set()) <= set(self.seen), "a page misses"
