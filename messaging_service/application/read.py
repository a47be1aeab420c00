"""A patient reads their own messages and how far each is; somebody else's do not exist for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from messaging_service.application.accounts import Accounts, Entry
from messaging_service.application.awaited import Awaited
from messaging_service.application.callers import PATIENT, Writer
from messaging_service.application.codec import unpack
from messaging_service.application.patients import Patient, Patients
from messaging_service.application.ports import Access, AccessLog, DocumentStore
from messaging_service.application.reads import Reads
from messaging_service.application.search import EVERYTHING, Search, Searching
from messaging_service.application.threads import CARE_TEAM, REPLY, StoredMessage, StoredThread, Threads
from messaging_service.application.visibility import sees
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.awaited import AwaitedReply
from messaging_service.domain.clinician import Reply
from messaging_service.domain.filing import Filing, FilingState
from messaging_service.domain.message import Lane, State, Submission
from messaging_service.domain.refusals import Forbidden, NotFound

_STATES = {
    FilingState.WAITING: State.PERSISTED,
    FilingState.SENDING: State.PERSISTED,
    FilingState.UNKNOWN: State.PERSISTED,
    FilingState.DELIVERED: State.DELIVERED,
    FilingState.FILED: State.FILED,
    FilingState.PARKED: State.PARKED,
    FilingState.CLOSED: State.CLOSED,
}
_STATES_BEFORE = {"parked": State.PARKED, "closed": State.CLOSED}
"""Of a message that is not stored, by what became of it at the persist step."""
MESSAGES_SHOWN = 200


@dataclass(frozen=True, slots=True)
class MessageView:
    """A message as the patient sees it. Times in milliseconds.

    One of `submission` and `reply` is there, but neither before a submission is persisted.
    `awaited` is the clock of a submission's answer. `read_by_team` only where the hospital tells.
    """

    id: str
    thread: str
    state: State
    accepted_at: int = 0
    filed_at: int = 0
    care_team: str = ""
    submission: Submission | None = None
    reply: Reply | None = None
    awaited: AwaitedReply | None = None
    read_by_team: bool = False


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A thread with its messages in order; in a list of threads with its last one.

    `unread` replies; `next` is the place after which more messages are, 0: none.
    """

    id: str
    state: str
    opened_at: int
    order: str
    messages: tuple[MessageView, ...]
    private: bool = False
    unread: int = 0
    next: int = 0
    closed_by: str = ""
    closed_at: int = 0


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """A page of a list of threads; `next` is the `order` to go on below, "" at the end."""

    threads: list[ThreadView]
    next: str


class Reader:
    """The use cases behind GET /v1/messages/{id}, /v1/threads and /v1/threads/{id}."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        patients: Patients,
        accounts: Accounts,
        threads: Threads,
        reads: Reads,
        awaited: Awaited,
        keyring: Keyring,
        access_log: AccessLog,
    ) -> None:
        self._store = store
        self._patients = patients
        self._accounts = accounts
        self._threads = threads
        self._reads = reads
        self._searching = Searching(threads=threads, patients=patients)
        self._awaited = awaited
        self._keyring = keyring
        self._access_log = access_log

    async def message(self, reader: Writer, id: str) -> MessageView:
        """One message. Right after its 202 it is there, in state accepted, before any worker saw it.

        Raises:
            NotFound: it is not this patient's, or was never accepted.
        """
        entry = await self._enter(reader)
        stored = await self._threads.message(id)
        if stored is None:
            return await self._not_stored(reader, id)
        records = await self._records_of_message(reader, entry, stored)
        shown = await self.views(records, [stored])
        if not shown:
            raise NotFound
        await self._log(reader, stored.patient, "message", id)
        return shown[0]

    async def thread(self, reader: Writer, id: str, *, above: int = 0, limit: int = MESSAGES_SHOWN) -> ThreadView:
        """One thread with its messages in order, from the place after `above`.

        Raises:
            NotFound: it is not this patient's, or there is none.
        """
        entry = await self._enter(reader)
        stored = await self._threads.thread(id)
        if stored is None:
            message = await self._threads.message(id)
            if message is None:
                return ThreadView(id, "open", 0, "", (await self._not_stored(reader, id),))
            stored = await self._threads.thread(id)  # between the two looks it may have been stored
        if stored is None:
            raise NotFound  # a message in another thread opens none of its own
        records = await self._records(reader, entry, stored)
        messages = await self._threads.messages_in(id, above=above, limit=limit + 1)
        more, messages = len(messages) > limit, messages[:limit]
        shown = await self.views(records, messages)
        if messages and not shown and not more and not above:
            raise NotFound  # a clinician began it for somebody else, and withdrew that
        shown = await self._with_receipts(reader, {message.id: message.place for message in messages}, shown)
        unread = await self._reads.unread([id], self._actor(reader), records)
        await self._log(reader, stored.patient, "thread", id)
        view = _thread_view(stored, tuple(shown), unread[id])
        return replace(view, next=messages[-1].place if more else 0)

    async def threads(self, reader: Writer, *, below: str | None, limit: int) -> list[ThreadView]:
        """The same for all there is."""
        return (await self.search(reader, EVERYTHING, below=below, limit=limit)).threads

    async def search(self, reader: Writer, search: Search, *, below: str | None, limit: int) -> ThreadPage:
        """The patient's threads, newest first, each with its last message; without one where all are withdrawn.

        A page may hold fewer than asked for although there are more: `next` alone says that it is the last.
        """
        entry = await self._enter(reader)
        records = await self._patients.members(entry.patient)
        page = await self._searching(entry.author, records, search, below=below, limit=limit)
        found = page.threads
        ids = [thread.id for thread in found]
        last, unread = await asyncio.gather(
            self._threads.last_messages(ids), self._reads.unread(ids, self._actor(reader), records)
        )
        views = {view.thread: view for view in await self.views(records, last)}
        for id in records:
            await self._log(reader, id, "threads", "")
        shown = {id: (views[id],) if id in views else () for id in ids}
        return ThreadPage([_thread_view(thread, shown[thread.id], unread[thread.id]) for thread in found], page.next)

    async def own_thread(self, reader: Writer, id: str) -> tuple[Entry, StoredThread, Sequence[str]]:
        """A stored thread of the reader's, who was let in, and to which records. Raises NotFound, and as `enter`."""
        entry = await self._enter(reader)
        stored = await self._threads.thread(id)
        if stored is None:
            raise NotFound
        return entry, stored, await self._records(reader, entry, stored)

    async def set_private(self, reader: Writer, id: str, private: bool) -> None:
        """Hide a thread from whoever acts for the patient, or show it again; the patient's own to say.

        Raises:
            Forbidden: somebody else asks.
            NotFound: it is not this patient's, or not stored yet.
        """
        entry = await self._enter(reader)
        if entry.author.role != PATIENT:
            raise Forbidden("a thread is private to the patient")
        _, stored, _ = await self.own_thread(reader, id)
        await self._threads.set_private(id, private)
        await self._log(reader, stored.patient, "thread", id, "update")

    def _actor(self, reader: Writer) -> str:
        return self._accounts.actor(reader.tenant.id, reader.author.subject)

    async def _with_receipts(
        self, reader: Writer, places: Mapping[str, int], views: list[MessageView]
    ) -> list[MessageView]:
        """The messages of one thread, marked with what its care team read, where the hospital shows that."""
        if not views or not reader.tenant.receipts.of_care_team:
            return views
        thread = views[0].thread
        read = (await self._reads.places([thread], CARE_TEAM)).get(thread, 0)
        return [replace(view, read_by_team=view.reply is None and places[view.id] <= read) for view in views]

    async def _enter(self, reader: Writer) -> Entry:
        return await self._accounts.enter(reader, writing=False)

    async def _not_stored(self, reader: Writer, id: str) -> MessageView:
        key = self._patients.key(reader.tenant.id, reader.identifiers)
        if not self._keyring.is_message_id_of(reader.tenant.id, key, id):
            raise NotFound
        parked = await self._threads.parked_unstored(id)
        return MessageView(id, id, _STATES_BEFORE.get(parked["state"] if parked else "", State.ACCEPTED))

    async def _records(self, reader: Writer, entry: Entry, thread: StoredThread | None) -> Sequence[str]:
        """The records that are the reader's: those that were merged are one person's. Raises NotFound."""
        records = await self._patients.members(entry.patient)
        if thread is None or thread.tenant != reader.tenant.id or not sees(entry.author, records, thread):
            raise NotFound
        return records

    async def _records_of_message(self, reader: Writer, entry: Entry, message: StoredMessage) -> Sequence[str]:
        """The same by a message; whether a patient sees it does not depend on its thread, stored a moment later."""
        if entry.author.role != PATIENT:
            return await self._records(reader, entry, await self._threads.thread(message.thread))
        records = await self._patients.members(entry.patient)
        if message.tenant != reader.tenant.id or message.patient not in records:
            raise NotFound
        return records

    async def views(self, records: Sequence[str], messages: Sequence[StoredMessage]) -> list[MessageView]:
        """Of these messages those that are shown: not withdrawn, and of the reader's records."""
        shown = [message for message in messages if not message.withdrawn_at and message.patient in records]
        patients = {id: await self._patients.load(id) for id in {message.patient for message in shown}}
        asked = [message.id for message in shown if message.kind != REPLY]
        filings, awaited = await asyncio.gather(self._threads.filings(asked), self._awaited.get_many(asked))
        return [
            _view(patients[message.patient], message, filings.get(message.id), awaited.get(message.id))
            for message in shown
        ]

    async def _log(self, reader: Writer, patient: str, kind: str, id: str, action: str = "read") -> None:
        by = self._accounts.by(reader)
        await self._access_log.record(Access(reader.tenant.id, patient, by, action, kind, id, "own data"))


def state_of(filing: Filing | None) -> State:
    """How far a stored message is."""
    return _STATES[filing.state] if filing else State.PERSISTED


def _thread_view(thread: StoredThread, shown: tuple[MessageView, ...], unread: int) -> ThreadView:
    return ThreadView(
        id=thread.id,
        state=thread.state,
        opened_at=thread.opened_at,
        order=thread.order,
        messages=shown,
        private=thread.private is not False,
        unread=unread,
        closed_by=thread.closed_by,
        closed_at=thread.closed_at,
    )


def _view(patient: Patient, message: StoredMessage, filing: Filing | None, awaited: AwaitedReply | None) -> MessageView:
    if message.kind == REPLY:
        return _reply_view(patient, message)
    submission = unpack(patient.unseal(message.id, "submission", message.sealed), Submission)
    return MessageView(
        id=message.id,
        thread=message.thread,
        state=state_of(filing),
        accepted_at=message.accepted_at,
        filed_at=filing.filed_at if filing else 0,
        care_team=message.care_team,
        submission=submission,
        awaited=awaited,
    )


def _reply_view(patient: Patient, message: StoredMessage) -> MessageView:
    """A reply comes out of the EPD, so it is filed."""
    return MessageView(
        id=message.id,
        thread=message.thread,
        state=State.FILED,
        accepted_at=message.accepted_at,
        filed_at=message.accepted_at,
        care_team=message.care_team,
        reply=unpack(patient.unseal(message.id, REPLY, message.sealed), Reply),
    )


def is_urgent(view: MessageView) -> bool:
    """Whether the writer of this message is shown the notice that fits it."""
    return view.submission is not None and view.submission.triage.lane is Lane.URGENT
