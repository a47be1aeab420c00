"""Threads, messages and filings in the store; each message has its place in its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import FILINGS, MESSAGES, PARKED, THREADS, parked_id
from messaging_service.application.ports import Document, DocumentStore
from messaging_service.domain.errors import Conflict, MessageFault
from messaging_service.domain.filing import TAKEN_STATES, Filing, FilingState
from messaging_service.domain.message import Step
from messaging_service.domain.refusals import NotFound, ThreadClosed

SUBMISSION, REPLY = "submission", "reply"
OPEN, CLOSED = "open", "closed"
CARE_TEAM = "care_team"
_PLACE_TRIES = 64
"""Each round of a race has one winner, so that this many workers may meet over one thread or filing."""


@dataclass(frozen=True, slots=True)
class StoredThread:
    """A conversation of one patient; the subject is sealed with its messages.

    `private`: to the patient; nobody who acts for the patient sees it (`application/visibility.py`). None until the
    message that opens it is stored, when another came first: hidden until then. `closed_by` is the role that closed it,
    or care_team. `removed_to`: messages up to that place may be gone, since their term is over.
    """

    id: str
    tenant: str
    patient: str
    opened_at: int
    order: str
    state: str = OPEN
    version: int = 1
    private: bool | None = False
    closed_by: str = ""
    closed_at: int = 0
    reopened_at: int = 0
    removed_to: int = 0

    @classmethod
    def opened(
        cls, id: str, tenant: str, patient: str, opened_at: int, *, private: bool | None = False
    ) -> StoredThread:
        """A thread that begins. `order` sorts by time and is never the same twice: lists page by it."""
        return cls(id, tenant, patient, opened_at, f"{order_from(opened_at)}.{id}", private=private)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message at rest: what is in the clear is identifiers and codes, the rest is in `sealed`.

    `place` counts from 1 in the thread and never has a gap that is filled later, so a reader who has seen place n
    misses nothing by asking for what is above n. `kind` is SUBMISSION (a patient's) or REPLY (a clinician's); only a
    reply has a `withdrawn_at` (milliseconds, 0: it is shown), and only a submission a filing and a run.
    """

    id: str
    tenant: str
    patient: str
    thread: str
    place: int
    lane: str
    care_team: str
    department: str
    routed_by: str
    reply_by: str
    accepted_at: int
    persisted_at: int
    run: str
    number: int
    sealed: bytes = field(repr=False)
    version: int = 1
    kind: str = SUBMISSION
    withdrawn_at: int = 0


class Threads:
    """Reads and writes threads, messages and filings."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def thread(self, id: str) -> StoredThread | None:
        """The thread of that id."""
        document = await self._store.get(THREADS, id)
        return from_document(document, StoredThread) if document else None

    async def threads(self, ids: Sequence[str]) -> dict[str, StoredThread]:
        """Those of the threads that are stored, by id."""
        found = await self._store.get_many(THREADS, list(dict.fromkeys(ids)))
        return {id: from_document(document, StoredThread) for id, document in found.items()}

    async def set_private(self, id: str, private: bool) -> None:
        """Hide a thread from representatives, or show it to them again. Raises Conflict."""
        await self._change_privacy(id, private, only_unknown=False)

    async def _change_privacy(self, id: str, private: bool, *, only_unknown: bool) -> None:
        for _ in range(_PLACE_TRIES):
            thread = await self.thread(id)
            if thread is None or thread.private is private or (only_unknown and thread.private is not None):
                return
            if await self._store.replace(THREADS, to_document(replace(thread, private=private))):
                return
        raise Conflict(f"thread {id}")

    async def set_state_of_thread(self, id: str, state: str, by: str, at: int) -> StoredThread:
        """Close a thread or open it again; a repeat changes nothing. The thread as it is then.

        Raises:
            NotFound: there is none.
            ThreadClosed: the care team closed it, and alone opens it again.
            Conflict: others changed it again and again.
        """
        for _ in range(_PLACE_TRIES):
            thread = await self.thread(id)
            if thread is None:
                raise NotFound
            if thread.state == state:
                return thread
            if state == OPEN and thread.closed_by == CARE_TEAM != by:
                raise ThreadClosed
            if state == CLOSED:
                changed = replace(thread, state=state, closed_by=by, closed_at=at)
            else:
                changed = replace(thread, state=state, closed_by="", closed_at=0, reopened_at=at)
            if await self._store.replace(THREADS, to_document(changed)):
                return changed
        raise Conflict(f"thread {id}")

    async def opener_is_parked(self, id: str) -> bool:
        """Whether the message that opens that thread was given up and is not stored; a reply then goes on."""
        return await self.parked_unstored(id) is not None

    async def parked_unstored(self, id: str) -> Document | None:
        """What is parked of a message that is not stored: before it was, or after a restore that it is younger than."""
        ids = [parked_id(id, step) for step in (Step.PERSIST, Step.FILE)]
        found = await self._store.get_many(PARKED, ids)
        return next((found[id] for id in ids if id in found), None)

    async def threads_of(
        self, patient: str, *, above: str | None = None, below: str | None, limit: int
    ) -> list[StoredThread]:
        """A patient's threads, newest first, from the one after the `order` in `below` to the one before `above`."""
        found = await self._store.find(
            THREADS, "of_patient", {"patient": patient}, above=above, below=below, descending=True, limit=limit
        )
        return [from_document(document, StoredThread) for document in found]

    async def message(self, id: str) -> StoredMessage | None:
        """The message of that id."""
        document = await self._store.get(MESSAGES, id)
        return from_document(document, StoredMessage) if document else None

    async def messages(self, ids: Sequence[str]) -> dict[str, StoredMessage]:
        """Those of the messages that are stored, by id."""
        found = await self._store.get_many(MESSAGES, ids)
        return {id: from_document(document, StoredMessage) for id, document in found.items()}

    async def messages_in(self, thread: str, *, above: int = 0, limit: int = 200) -> list[StoredMessage]:
        """The thread's messages in their order, from the place after `above`."""
        found = await self._store.find(MESSAGES, "in_thread", {"thread": thread}, above=above, limit=limit)
        return [from_document(document, StoredMessage) for document in found]

    async def replies_shown(self, thread: str, *, above: int, limit: int) -> list[StoredMessage]:
        """The clinicians' replies that are shown in the thread, from the place after `above`."""
        shown = {"thread": thread, "kind": REPLY, "withdrawn_at": 0}
        found = await self._store.find(MESSAGES, "shown_in_thread", shown, above=above, limit=limit)
        return [from_document(document, StoredMessage) for document in found]

    async def last_messages(self, threads: Sequence[str]) -> list[StoredMessage]:
        """The last message that is shown of each of these threads."""
        found = await asyncio.gather(*(self._last_shown(thread) for thread in threads))
        return [message for message in found if message is not None]

    async def _last_shown(self, thread: str) -> StoredMessage | None:
        message = await self._last(thread)
        while message is not None and message.withdrawn_at:
            message = await self._last(thread, below=message.place)
        return message

    async def _last(self, thread: str, *, below: int | None = None) -> StoredMessage | None:
        found = await self._store.find(MESSAGES, "in_thread", {"thread": thread}, below=below, descending=True, limit=1)
        return from_document(found[0], StoredMessage) if found else None

    async def predecessor(self, message: StoredMessage) -> StoredMessage | None:
        """The patient's message before this one in its thread; replies come out of the EPD and need no filing."""
        before: StoredMessage | None = message
        while before is not None and before.place > 1:
            before = await self._last(message.thread, below=before.place)
            if before is not None and before.kind == SUBMISSION:
                return before
        return None

    async def add(self, thread: StoredThread, message: StoredMessage) -> StoredMessage:
        """Store thread and message; a repeat changes nothing and returns what is stored. `await_filing` follows.

        Raises:
            Conflict: too many others took places in this thread at the same moment.
        """
        (is_new,), stored = await asyncio.gather(
            self._store.insert(THREADS, [to_document(thread)]), self._take_place(message)
        )
        if not is_new and thread.private is not None:
            await self._change_privacy(thread.id, thread.private, only_unknown=True)
        return stored

    async def await_filing(self, message: StoredMessage) -> None:
        """A stored message waits to be filed; a repeat changes nothing."""
        filing = Filing.waiting(message.id, message.tenant, message.lane, message.accepted_at)
        await self._store.insert(FILINGS, [to_document(filing)])

    async def take_back(self, message: StoredMessage) -> None:
        """Undo both for a message whose record was destroyed at that moment; it is stored again under another."""
        await self._store.delete(FILINGS, message.id)
        await self._store.delete(MESSAGES, message.id)

    async def add_reply(self, thread: StoredThread, message: StoredMessage) -> StoredMessage:
        """Store thread and reply; a repeat changes nothing and returns what is stored. Raises Conflict."""
        await self._store.insert(THREADS, [to_document(thread)])
        return await self._take_place(message)

    async def change_message(self, message: StoredMessage) -> bool:
        """Write a changed message; False when somebody else changed it meanwhile."""
        return await self._store.replace(MESSAGES, to_document(message))

    async def _take_place(self, message: StoredMessage) -> StoredMessage:
        place = 1 if message.thread == message.id else await self._next_place(message.thread)
        for _ in range(_PLACE_TRIES):
            message = replace(message, place=place)
            if (await self._store.insert(MESSAGES, [to_document(message)]))[0]:
                return message
            if stored := await self.message(message.id):
                return stored
            place = await self._next_place(message.thread)
        raise Conflict(f"place in thread {message.thread}")

    async def _next_place(self, thread: str) -> int:
        if (last := await self._last(thread)) is not None:
            return last.place + 1
        opened = await self.thread(thread)
        return opened.removed_to + 1 if opened else 1

    async def filing(self, message: str) -> Filing | None:
        """How far the message is on its way into the EPD."""
        document = await self._store.get(FILINGS, message)
        return from_document(document, Filing) if document else None

    async def filings(self, messages: Sequence[str]) -> dict[str, Filing]:
        """The same for many."""
        found = await self._store.get_many(FILINGS, messages)
        return {id: from_document(document, Filing) for id, document in found.items()}

    async def change(self, filing: Filing) -> Filing:
        """Write a changed filing and return it with its new version.

        Raises:
            Conflict: another worker changed it meanwhile.
        """
        if not await self._store.replace(FILINGS, to_document(filing)):
            raise Conflict(f"filing of {filing.id}")
        return replace(filing, version=filing.version + 1)

    async def set_state(self, message: str, state: FilingState, *, even_delivered: bool = False) -> bool:
        """Move the filing to `state`; False when there is none or the EPD's side has it.

        `even_delivered`: what only an engine had, and the EPD has not.
        """
        for _ in range(_PLACE_TRIES):
            filing = await self.filing(message)
            lost = even_delivered and filing is not None and filing.state is FilingState.DELIVERED
            if filing is None or (filing.state in TAKEN_STATES and not lost):
                return False
            if await self._store.replace(FILINGS, to_document(replace(filing, state=state))):
                return True
        raise Conflict(f"filing of {message}")


def required(message: StoredMessage | None) -> StoredMessage:
    """The message, or MessageFault (final): an event names one that the store does not hold."""
    if message is None:
        raise MessageFault("not_in_store", final=True)
    return message


def order_from(at: int) -> str:
    """Below the `order` of every thread opened at or after this time, and above that of every one before."""
    return f"{at:015}"
