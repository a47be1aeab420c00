"""Destroying what is kept of a patient, by a medical-records decision (BW 7:455), and again after an old store is back.

What the EPD has not filed is spared, and so is the access log. The copy that is filed is the EPD's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from messaging_service.application.collections import (
    ACCOUNTS,
    CARE,
    CARE_EVENTS,
    EMAIL_NOTICES,
    FEED,
    FEED_ENDS,
    HELD,
    IDENTIFIERS,
    PARKED,
    PATIENTS,
    READS,
    RELATIONS,
    THREADS,
)
from messaging_service.application.patients import DESTROYING
from messaging_service.application.ports import Access, AccessLog, Actor, Clock, Collection, Document, DocumentStore
from messaging_service.application.remove_message import RemoveMessage
from messaging_service.application.threads import StoredMessage, Threads
from messaging_service.domain.errors import Conflict
from messaging_service.domain.filing import FilingState

_PAGE = 200
_TRIES = 16
_PURPOSE = "medical-records decision"
MESSAGE, RECORD = "message", "record"


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what when: the reference in the hospital's own file, a name, and the day (ISO)."""

    tenant: str
    reference: str
    by: str
    on: str


@dataclass(frozen=True, slots=True)
class Destroyed:
    """One line of the list of destroyed things; `id` is a message's or a record's own, `at` in milliseconds."""

    kind: str
    id: str
    tenant: str
    reference: str
    by: str
    on: str
    at: int


@dataclass(frozen=True, slots=True)
class Place:
    """What one place held, and what became of it."""

    place: str
    destroyed: int
    spared: int
    remark: str = ""


@dataclass(slots=True)
class Receipt:
    """What was destroyed, place by place. `key_destroyed`: of the record too; not while anything was spared."""

    decision: Decision
    at: int
    key_destroyed: bool = False
    places: list[Place] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)


WriteDown = Callable[[Sequence[Destroyed]], None]
"""Puts lines on the list that is kept apart from the store; they are durable when it returns."""


class Destroy:
    """Everything is written on the list before it goes. A repeat, also of one that ended half-way, ends it."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        threads: Threads,
        remove_message: RemoveMessage,
        access_log: AccessLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._threads = threads
        self._remove_message = remove_message
        self._access_log = access_log
        self._clock = clock

    async def record(
        self, decision: Decision, record: str, by: Actor, write_down: WriteDown, *, again: int = 0
    ) -> Receipt:
        """Destroy a record: its messages and, when nothing of it had to be spared, its key and all that it seals.

        `again`: it was destroyed at that time (milliseconds), and what is from before then came back with an old store.
        """
        receipt = Receipt(decision, again or self._clock())
        await self._messages(receipt, await self._messages_of(record), by, write_down, again)
        digests = [each["id"] for each in await self._all(IDENTIFIERS, "of_own", own=record)]
        for collection in (HELD, PARKED):
            await self._sealed_for_transit(receipt, collection, digests)
        if receipt.spared:
            receipt.places.append(Place("key", 0, 1, "kept: it opens what was spared"))
        elif await self._is_left_alone(record, receipt):  # on the list only now: a kept one must not go after a restore
            write_down([_line(decision, RECORD, record, receipt.at)])
            await self._shred(decision.tenant, record, by, receipt)
        receipt.places += _BEYOND
        return receipt

    async def messages(
        self, decision: Decision, ids: Sequence[str], by: Actor, write_down: WriteDown, *, again: int = 0
    ) -> Receipt:
        """Destroy single messages; the record's key stays, since it seals the others."""
        receipt = Receipt(decision, again or self._clock())
        found = [each for each in (await self._threads.messages(ids)).values() if each.tenant == decision.tenant]
        await self._messages(receipt, found, by, write_down, again)
        receipt.places.append(Place("key", 0, 1, "kept: it opens the patient's other messages"))
        receipt.places += _BEYOND
        return receipt

    async def again(self, line: Destroyed, by: Actor) -> Receipt:
        """What came back with an old store goes again; what is younger than its destruction is spared."""
        decision = Decision(line.tenant, line.reference, line.by, line.on)
        if line.kind == RECORD:
            return await self.record(decision, line.id, by, _listed_already, again=line.at)
        return await self.messages(decision, [line.id], by, _listed_already, again=line.at)

    async def _messages(
        self, receipt: Receipt, found: Sequence[StoredMessage], by: Actor, write_down: WriteDown, again: int
    ) -> None:
        for message in found:
            goes = message.accepted_at <= again if again else await self._remove_message.is_filed(message)
            if goes:
                receipt.messages.append(message.id)
            else:
                receipt.spared.append(message.id)
        write_down([_line(receipt.decision, MESSAGE, id, receipt.at) for id in receipt.messages])
        for message in found:
            if message.id in receipt.messages:
                if again:
                    await self._threads.set_state(message.id, FilingState.FILED, even_delivered=True)
                await self._remove_message(message, by, _PURPOSE, known_filed=bool(again))
        destroyed, spared = len(receipt.messages), len(receipt.spared)
        receipt.places.append(Place("store: messages", destroyed, spared, "not filed yet" if spared else ""))

    async def _messages_of(self, record: str) -> list[StoredMessage]:
        found: list[StoredMessage] = []
        for thread in await self._all(THREADS, "of_patient", patient=record):
            above = 0
            while page := await self._threads.messages_in(thread["id"], above=above, limit=_PAGE):
                found += page
                above = page[-1].place
        return found

    async def _sealed_for_transit(self, receipt: Receipt, collection: Collection, digests: Sequence[str]) -> None:
        """What was refused, and what a step gave up on; what still waits for a person is spared."""
        found = [each for digest in digests for each in await self._all(collection, "of_identifier", identifier=digest)]
        spared = [each["message"] for each in found if each.get("state") == "parked"]
        gone = [each for each in found if each.get("state") != "parked"]
        for each in gone:
            await self._store.delete(collection, each["id"])
        receipt.spared += spared
        receipt.places.append(Place(f"store: {collection.name}", len(gone), len(spared)))

    async def _is_left_alone(self, record: str, receipt: Receipt) -> bool:
        """False, and all as it was, when a message came meanwhile.

        From here on the numbers lead to a new record, and whoever had this one in hand either finds its key marked, and
        stores again under the new record, or has stored before the look that follows the mark.
        """
        numbers = await self._all(IDENTIFIERS, "of_own", own=record)
        for each in numbers:
            await self._store.delete(IDENTIFIERS, each["id"])
        await self._mark(record, destroying=True)
        if came := await self._messages_of(record):
            await self._mark(record, destroying=False)
            await self._store.insert(IDENTIFIERS, numbers)
            receipt.spared += [message.id for message in came]
            receipt.places.append(Place("key", 0, 1, "kept: a message came meanwhile"))
            return False
        return True

    async def _mark(self, record: str, *, destroying: bool) -> None:
        for _ in range(_TRIES):
            document = await self._store.get(PATIENTS, record)
            if document is None or await self._store.replace(PATIENTS, {**document, DESTROYING: destroying}):
                return
        raise Conflict("patient")

    async def _shred(self, tenant: str, record: str, by: Actor, receipt: Receipt) -> None:
        """The wrapped key goes last: until then a repeat finds the record."""
        await self._access_log.record(Access(tenant, record, by, "delete", "patient", record, _PURPOSE))
        await self._forget_reads(record, receipt)
        for collection in (THREADS, CARE_EVENTS, RELATIONS, FEED, EMAIL_NOTICES):
            found = await self._all(collection, "of_patient", patient=record)
            for each in found:
                await self._store.delete(collection, each["id"])
            receipt.places.append(Place(f"store: {collection.name}", len(found), 0))
        for collection in (CARE, FEED_ENDS, ACCOUNTS, PATIENTS):
            receipt.places.append(Place(f"store: {collection.name}", await self._store.delete(collection, record), 0))
        receipt.key_destroyed = True
        receipt.places.append(Place("key", 1, 0, "without it nothing that it sealed opens any more, wherever it lies"))

    async def _forget_reads(self, record: str, receipt: Receipt) -> None:
        reads = [
            read
            for thread in await self._all(THREADS, "of_patient", patient=record)
            for read in await self._all(READS, "of_thread", thread=thread["id"])
        ]
        for read in reads:
            await self._store.delete(READS, read["id"])
        receipt.places.append(Place(f"store: {READS.name}", len(reads), 0))

    async def _all(self, collection: Collection, index: str, **equal: str) -> list[Document]:
        found = await self._store.find(collection, index, equal, limit=10_000)
        if len(found) == 10_000:
            raise Conflict(f"{collection.name}: more than can be destroyed at once")
        return found


def _listed_already(lines: Sequence[Destroyed]) -> None:
    """What is done again stands on the list."""


def _line(decision: Decision, kind: str, id: str, at: int) -> Destroyed:
    return Destroyed(kind, id, decision.tenant, decision.reference, decision.by, decision.on, at)


_BEYOND = [
    Place("queues", 0, 0, "hold ids; content only until it is stored, and then it is spared as not filed"),
    Place("processes", 0, 0, "a key that was in use is in memory until they are started anew"),
    Place("access log, filings, acceptances, openings", 0, 0, "kept for their terms: ids, times, keyed digests"),
    Place("backups", 0, 0, "older than this hold it until they are thrown away; `destroyed apply` after a restore"),
    Place("EPD", 0, 0, "the filed copy is the EPD's, and its archive decides on it"),
]
