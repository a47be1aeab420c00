"""Search in one's own threads: by subject, by the day they were opened, and by status.

Subjects are sealed, so they are opened and compared, a bounded number a request; days are a range of the index. Why:
deploy/decisions, "Search without an index of subjects".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from messaging_service.application.codec import unpack
from messaging_service.application.patients import Patients
from messaging_service.application.threads import REPLY, StoredMessage, StoredThread, Threads, order_from
from messaging_service.application.visibility import sees
from messaging_service.domain.clinician import Reply
from messaging_service.domain.message import Author, Submission

MOST_LOOKED_AT = 400
"""Threads a request looks at; the answer's `next` goes on from there."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for: every word of `subject` in the subject, whatever its case or accents; "" and 0: any.

    Opened from `since` until before `until`, in milliseconds.
    """

    subject: str = ""
    status: str = ""
    since: int = 0
    until: int = 0

    def fits_subject(self, subject: str) -> bool:
        """Whether every word that is asked for stands in it."""
        folded = _folded(subject)
        return all(word in folded for word in _folded(self.subject).split())


EVERYTHING = Search()


@dataclass(frozen=True, slots=True)
class Found:
    """A page of threads, newest first; `next` is the `order` to go on below, "" at the end."""

    threads: list[StoredThread]
    next: str


class Searching:
    """Looks through the threads of one's own records."""

    def __init__(self, *, threads: Threads, patients: Patients) -> None:
        self._threads = threads
        self._patients = patients

    async def __call__(
        self, author: Author, records: Sequence[str], search: Search, *, below: str | None, limit: int
    ) -> Found:
        """As many threads as are asked for, or fewer when so many had to be looked at; what the author does not see
        is as if it were not there."""
        found: list[StoredThread] = []
        looked_at, above = 0, order_from(search.since) if search.since else None
        if search.until and (below is None or below > order_from(search.until)):
            below = order_from(search.until)
        while len(found) < limit and looked_at < MOST_LOOKED_AT:
            size = min(limit if search == EVERYTHING else MOST_LOOKED_AT, MOST_LOOKED_AT - looked_at)
            every = [await self._threads.threads_of(id, above=above, below=below, limit=size) for id in records]
            page = sorted(chain.from_iterable(every), key=lambda thread: thread.order, reverse=True)[:size]
            found += await self._fitting(page, author, records, search)
            looked_at += len(page)
            if len(page) < size:
                return Found(found[:limit], found[limit - 1].order if len(found) > limit else "")
            below = page[-1].order
        return Found(found[:limit], found[limit - 1].order if len(found) >= limit else below or "")

    async def _fitting(
        self, page: Sequence[StoredThread], author: Author, records: Sequence[str], search: Search
    ) -> list[StoredThread]:
        seen = [thread for thread in page if sees(author, records, thread)]
        seen = [thread for thread in seen if search.status in ("", thread.state)]
        if not search.subject:
            return seen
        subjects = await self._subjects(seen, records)
        return [thread for thread in seen if search.fits_subject(subjects.get(thread.id, ""))]

    async def _subjects(self, threads: Sequence[StoredThread], records: Sequence[str]) -> Mapping[str, str]:
        """The subject of the message that opened each; a thread has its id."""
        openers = await self._threads.messages([thread.id for thread in threads])
        shown = {id: one for id, one in openers.items() if not one.withdrawn_at and one.patient in records}
        patients = {id: await self._patients.load(id) for id in {one.patient for one in shown.values()}}
        return {
            id: subject_of(one, patients[one.patient].unseal(id, _FIELD[one.kind == REPLY], one.sealed))
            for id, one in shown.items()
        }


_FIELD = ("submission", REPLY)


def subject_of(message: StoredMessage, packed: bytes) -> str:
    """The subject of a message out of what was sealed."""
    if message.kind == REPLY:
        return unpack(packed, Reply).content.subject
    return unpack(packed, Submission).content.subject


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in decomposed if not unicodedata.combining(character))
