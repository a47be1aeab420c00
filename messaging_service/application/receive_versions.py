"""A reply's versions as they came in, and the one that is shown: the newest, whatever the order of arrival."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from messaging_service.application.codec import from_document, to_document, unpack
from messaging_service.application.collections import REPLY_VERSIONS
from messaging_service.application.patients import Patients
from messaging_service.application.ports import DocumentStore
from messaging_service.application.threads import REPLY, StoredMessage, StoredThread, Threads
from messaging_service.domain.clinician import Reply
from messaging_service.domain.errors import Conflict
from messaging_service.domain.events import ReplyChanged, ReplyEvent, ReplyReceived, ReplyWithdrawn
from messaging_service.epd.inbound_events import Told

_TRIES = 64
_MOST_VERSIONS = 1_000
_LAST = "9" * 15
"""Sorts after every version that came in."""
_RANKS = {Told.WRITTEN: 0, Told.CHANGED: 1, Told.WITHDRAWN: 2}
"""Of two in the same second the later kind counts: EPDs write times to the second."""


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One document that came in for a reply. `at` is when it happened, `received_at` when it came (milliseconds).

    `order` sorts a reply's versions. `sealed` is empty for a withdrawal.
    """

    id: str
    tenant: str
    message: str
    patient: str
    told: str
    order: str
    at: int
    received_at: int
    sealed: bytes = field(repr=False)
    version: int = 1

    @classmethod
    def of(
        cls, id: str, tenant: str, message: str, patient: str, told: Told, at: int, received_at: int, sealed: bytes
    ) -> StoredVersion:
        """A version with its place among the others."""
        order = f"{max(at, 0):015}.{_RANKS[told]}.{id}"
        return cls(id, tenant, message, patient, told, order, at, received_at, sealed)

    @property
    def is_withdrawn(self) -> bool:
        """Whether it takes the reply away."""
        return self.told == Told.WITHDRAWN


class Versions:
    """Adds versions and keeps the message at the newest. Every call may be repeated, also half-way."""

    def __init__(self, *, store: DocumentStore, threads: Threads, patients: Patients) -> None:
        self._store = store
        self._threads = threads
        self._patients = patients

    async def add(self, version: StoredVersion) -> None:
        """Keep a version; a repeat changes nothing."""
        await self._store.insert(REPLY_VERSIONS, [to_document(version)])

    async def of(self, message: str) -> list[StoredVersion]:
        """A reply's versions, newest first."""
        found = await self._store.find(
            REPLY_VERSIONS, "of_message", {"message": message}, descending=True, limit=_MOST_VERSIONS
        )
        return [from_document(document, StoredVersion) for document in found]

    async def show(self, thread: StoredThread, message: StoredMessage) -> StoredMessage | None:
        """Bring what is stored up to the newest version; `message` is what is stored when nothing is yet.

        None: nothing was written so far, only withdrawn. The message is read before the versions, so that of two
        who do this at once the one who saw fewer loses; and once more after it was new, since who withdraws it at
        that moment finds no message to change.

        Raises:
            Conflict: others changed it again and again.
        """
        for _ in range(_TRIES):
            stored = await self._threads.message(message.id)
            shown = _shown(stored or message, await self.of(message.id))
            if shown is None or shown == stored:
                return shown
            if stored is None:
                await self._threads.add_reply(thread, shown)
            elif await self._threads.change_message(shown):
                return replace(shown, version=shown.version + 1)
        raise Conflict(f"reply {message.id}")

    async def move(self, tenant: str, source: str, target: str) -> None:
        """Give the versions of one reply to another: what replaced a document came before the replacement itself.

        A repeat changes nothing. What was shown of the source is shown no more.
        """
        versions = await self.of(source)
        for each in versions:
            if each.order >= _LAST:
                continue
            sealed = each.sealed
            if not each.is_withdrawn:
                patient = await self._patients.load(each.patient)
                sealed = patient.seal(target, REPLY, await self._opened(each))
            await self.add(
                replace(each, id=f"{each.id}.moved", message=target, order=f"{each.order}.moved", sealed=sealed)
            )
        message = await self._threads.message(source)
        if message is not None:
            thread = StoredThread.opened(message.thread, tenant, message.patient, message.accepted_at)
            gone = StoredVersion(
                f"{source}.gone", tenant, source, "", Told.WITHDRAWN, _LAST, 0, message.accepted_at, b""
            )
            await self.add(gone)
            await self.show(thread, message)

    async def event(self, version: StoredVersion, message: StoredMessage) -> ReplyEvent | None:
        """What the portal is told of a version; the same at every repeat, None when others have overtaken it."""
        newest, *older = await self.of(message.id)
        place = (message.id, message.tenant, message.thread)
        if newest.id != version.id:
            return None
        if newest.is_withdrawn:
            return ReplyWithdrawn(*place, newest.at)
        if not older or (not older[0].is_withdrawn and await self._same(newest, older[0])):
            return ReplyReceived(*place, message.accepted_at)
        return ReplyChanged(*place, newest.at)

    async def _same(self, one: StoredVersion, other: StoredVersion) -> bool:
        """Whether two versions say the same: a document sent again under a new control id."""
        first, second = await self._opened(one), await self._opened(other)
        return replace(first, written_at=0) == replace(second, written_at=0)

    async def _opened(self, version: StoredVersion) -> Reply:
        patient = await self._patients.load(version.patient)
        return unpack(patient.unseal(version.message, REPLY, version.sealed), Reply)


def _shown(message: StoredMessage, versions: Sequence[StoredVersion]) -> StoredMessage | None:
    written = next((version for version in versions if not version.is_withdrawn), None)
    if written is None:
        return None
    withdrawn_at = versions[0].received_at if versions[0].is_withdrawn else 0
    return replace(message, sealed=written.sealed, withdrawn_at=withdrawn_at)
