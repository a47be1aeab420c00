"""What is done with a thread besides writing in it: read so far, closed, opened again; by patients and by staff."""

from __future__ import annotations

from messaging_service.application import actors
from messaging_service.application.accounts import Accounts
from messaging_service.application.callers import Staff, Writer
from messaging_service.application.codec import outgoing
from messaging_service.application.mark_read import MarkRead
from messaging_service.application.ports import Access, AccessLog, Actor, Broker, Clock
from messaging_service.application.read import Reader
from messaging_service.application.reads import Reads, ReadUpTo
from messaging_service.application.threads import CARE_TEAM, CLOSED, StoredMessage, StoredThread, Threads
from messaging_service.application.topology import notify_queue
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.events import ThreadClosed, ThreadReopened
from messaging_service.domain.refusals import Forbidden, NotFound


class Converse:
    """Behind PUT /v1/threads/{id}/read, /status, /care-team-status, and GET and PUT /v1/threads/{id}/receipts.

    Every repeat changes nothing.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        accounts: Accounts,
        threads: Threads,
        reads: Reads,
        mark_read: MarkRead,
        broker: Broker,
        keyring: Keyring,
        access_log: AccessLog,
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._accounts = accounts
        self._threads = threads
        self._reads = reads
        self._mark_read = mark_read
        self._broker = broker
        self._keyring = keyring
        self._access_log = access_log
        self._clock = clock

    async def read(self, who: Writer, id: str, message: str) -> int:
        """The thread was read up to this message of it; how many replies are unread now. Never backwards.

        Raises:
            NotFound: the thread is not this patient's, or the message not in it.
            Conflict: the same reader moved it again and again.
        """
        entry, thread, records = await self._reader.own_thread(who, id)
        reader, place = (
            self._accounts.actor(who.tenant.id, entry.author.subject),
            (await self._message(thread, message)).place,
        )
        if await self._reads.move(thread, reader, entry.author.role, place, self._clock()):
            await self._log(thread, self._accounts.by(who), "update", "own data")
        return (await self._reads.unread([id], reader, records))[id]

    async def set_status(self, who: Writer, id: str, state: str) -> StoredThread:
        """Close a thread or open it again, as the patient or who acts for the patient says.

        Raises:
            NotFound: it is not this patient's.
            ThreadClosed: the care team closed it; it stays so.
            Conflict: others changed it again and again.
        """
        entry, thread, _ = await self._reader.own_thread(who, id)
        changed = await self._threads.set_state_of_thread(id, state, entry.author.role, self._clock())
        await self._log(thread, self._accounts.by(who), "update", "own data")
        await self._tell(changed)
        return changed

    async def set_status_by_team(self, staff: Staff, id: str, state: str) -> StoredThread:
        """The same, as staff say, whoever closed it. Raises NotFound, Conflict."""
        thread = await self._of(staff, id)
        changed = await self._threads.set_state_of_thread(id, state, CARE_TEAM, self._clock())
        await self._log(thread, actors.caller(self._keyring, staff), "update", "treatment")
        await self._tell(changed)
        return changed

    async def read_by_team(self, staff: Staff, id: str, message: str) -> None:
        """Somebody of the care team read the thread up to this message.

        Raises:
            Forbidden: this hospital does not show patients what its teams have read.
            NotFound: no such thread here, or the message is not in it.
        """
        thread = await self._of(staff, id)
        read, by = await self._message(thread, message), actors.caller(self._keyring, staff)
        await self._mark_read(staff.tenant, thread, read, by)

    async def receipts(self, staff: Staff, id: str) -> list[ReadUpTo]:
        """How far the patient, and who acts for the patient, have read.

        Raises:
            Forbidden: this hospital does not show its teams what patients have read.
            NotFound: no such thread here.
        """
        thread = await self._of(staff, id)
        if not staff.tenant.receipts.of_patients:
            raise Forbidden("this hospital does not show what patients have read")
        await self._log(thread, actors.caller(self._keyring, staff), "read", "treatment")
        return [one for one in await self._reads.of_thread(id) if one.role != CARE_TEAM]

    async def _of(self, staff: Staff, id: str) -> StoredThread:
        thread = await self._threads.thread(id)
        if thread is None or thread.tenant != staff.tenant.id:
            raise NotFound
        return thread

    async def _tell(self, thread: StoredThread) -> None:
        """A repeat tells the same again, under the same id: what came to nothing the first time is told after all."""
        event: ThreadClosed | ThreadReopened
        if thread.state == CLOSED:
            event = ThreadClosed(thread.id, thread.tenant, thread.id, thread.closed_at)
        elif thread.reopened_at:
            event = ThreadReopened(thread.id, thread.tenant, thread.id, thread.reopened_at)
        else:
            return
        told = outgoing(notify_queue(thread.tenant), event)
        await self._broker.publish(told.queue, told.envelope)

    async def _message(self, thread: StoredThread, message: str) -> StoredMessage:
        found = await self._threads.message(message)
        if found is None or found.thread != thread.id:
            raise NotFound
        return found

    async def _log(self, thread: StoredThread, by: Actor, action: str, basis: str) -> None:
        await self._access_log.record(Access(thread.tenant, thread.patient, by, action, "thread", thread.id, basis))
