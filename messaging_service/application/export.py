"""Everything somebody may read of their threads, one message after the other, as it was at one moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from messaging_service.application.accounts import Accounts, Entry
from messaging_service.application.callers import Writer
from messaging_service.application.codec import from_document
from messaging_service.application.collections import THREADS
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, Clock, DocumentStore
from messaging_service.application.read import MessageView, Reader
from messaging_service.application.threads import StoredMessage, StoredThread, Threads
from messaging_service.application.visibility import sees

_THREADS_AT_ONCE = 50
_MESSAGES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in an export: after the message at `place` of the thread of that `order`, as it was at `taken_at`."""

    taken_at: int
    order: str
    place: int


@dataclass(frozen=True, slots=True)
class ExportedMessage:
    """One message, the thread it is in, and where the export goes on after it."""

    thread: StoredThread
    view: MessageView
    mark: Mark


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that was let in and written into the access log; `messages` reads as it goes."""

    taken_at: int
    messages: AsyncIterator[ExportedMessage]


class Export:
    """The use case behind GET /v1/export. Holds one page of messages at a time, however many there are.

    What was stored when it began is in it; what is stored later is not, and of each thread it holds the beginning
    without a gap. A reply that is withdrawn meanwhile is left out from then on.
    """

    def __init__(
        self,
        *,
        store: DocumentStore,
        patients: Patients,
        accounts: Accounts,
        threads: Threads,
        reader: Reader,
        access_log: AccessLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._patients = patients
        self._accounts = accounts
        self._threads = threads
        self._reader = reader
        self._access_log = access_log
        self._clock = clock

    async def __call__(self, reader: Writer, after: Mark | None = None) -> Exported:
        """The messages that this person sees, the oldest thread first, each thread in order; from `after` on.

        Raises:
            Forbidden: whoever asks is not let in.
        """
        entry = await self._accounts.enter(reader, writing=False)
        records = await self._patients.members(entry.patient)
        by = self._accounts.by(reader)
        for id in records:
            await self._access_log.record(Access(reader.tenant.id, id, by, "read", "export", "", "own data"))
        now = self._clock()
        taken_at = min(now, after.taken_at) if after else now
        return Exported(taken_at, self._messages(reader, entry, records, taken_at, after))

    async def _messages(
        self, reader: Writer, entry: Entry, records: Sequence[str], taken_at: int, after: Mark | None
    ) -> AsyncIterator[ExportedMessage]:
        async for thread in self._all_threads(records, taken_at, after):
            if thread.tenant != reader.tenant.id or not sees(entry.author, records, thread):
                continue
            place = after.place if after and after.order == thread.order else 0
            while page := await self._page(thread, place, taken_at):
                views = {view.id: view for view in await self._reader.views(records, page)}
                for message in page:
                    if message.id in views:
                        mark = Mark(taken_at, thread.order, message.place)
                        yield ExportedMessage(thread, views[message.id], mark)
                place = page[-1].place

    async def _page(self, thread: StoredThread, place: int, taken_at: int) -> list[StoredMessage]:
        """The next messages, up to the first that came after the export began."""
        page = await self._threads.messages_in(thread.id, above=place, limit=_MESSAGES_AT_ONCE)
        late = next((number for number, each in enumerate(page) if each.persisted_at > taken_at), len(page))
        return page[:late]

    async def _all_threads(
        self, records: Sequence[str], taken_at: int, after: Mark | None
    ) -> AsyncIterator[StoredThread]:
        """Of records that were merged, in one order."""
        above: str | None = after.order if after else None
        if after is not None and (begun := await self._threads.thread(after.order.partition(".")[2])):
            yield begun
        while True:
            found = [thread for id in records for thread in await self._threads_of(id, above)]
            page = sorted(found, key=lambda thread: thread.order)[:_THREADS_AT_ONCE]
            for thread in page:
                if thread.opened_at <= taken_at:
                    yield thread
            if len(page) < _THREADS_AT_ONCE:
                return
            above = page[-1].order

    async def _threads_of(self, record: str, above: str | None) -> list[StoredThread]:
        found = await self._store.find(THREADS, "of_patient", {"patient": record}, above=above, limit=_THREADS_AT_ONCE)
        return [from_document(document, StoredThread) for document in found]
