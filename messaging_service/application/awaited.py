"""Awaited answers in the store: one a patient's message, from its acceptance until the clock stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import AWAITED
from messaging_service.application.ports import Clock, DocumentStore, WorkingDays
from messaging_service.application.threads import REPLY, StoredMessage, Threads
from messaging_service.domain.awaited import AwaitedReply, How, iso_week
from messaging_service.domain.errors import Conflict
from messaging_service.domain.reply import reply_moments
from messaging_service.tenants import Tenant

_PAGE = 200
_TRIES = 16


class Awaited:
    """Starts, stops and reads the clocks. Every call may be repeated."""

    def __init__(
        self, *, store: DocumentStore, threads: Threads, calendars: Mapping[str, WorkingDays], clock: Clock
    ) -> None:
        self._store = store
        self._threads = threads
        self._calendars = calendars
        self._clock = clock

    async def expect(self, tenant: Tenant, message: StoredMessage) -> None:
        """An answer to this message of a patient's is awaited from its acceptance on."""
        await self._store.insert(AWAITED, [to_document(self._begun(tenant, message))])

    async def forget(self, id: str) -> None:
        """None is awaited to a message that was taken back."""
        await self._store.delete(AWAITED, id)

    def _begun(self, tenant: Tenant, message: StoredMessage) -> AwaitedReply:
        received = datetime.fromtimestamp(message.accepted_at / 1000, UTC)
        by, working = date.fromisoformat(message.reply_by), self._calendars[tenant.id].is_working_day
        moments = reply_moments(received, by, tenant.zone, working)
        return AwaitedReply(
            id=message.id,
            tenant=tenant.id,
            patient=message.patient,
            thread=message.thread,
            place=message.place,
            care_team=message.care_team,
            accepted_at=message.accepted_at,
            reply_by=message.reply_by,
            week=iso_week(received.astimezone(tenant.zone)),
            remind_at=moments.remind_at,
            passed_at=moments.passed_at,
            tell_at=moments.tell_at,
            next_at=moments.remind_at,
        )

    async def get(self, id: str) -> AwaitedReply | None:
        """The clock of a message."""
        document = await self._store.get(AWAITED, id)
        return from_document(document, AwaitedReply) if document else None

    async def get_many(self, ids: Sequence[str]) -> dict[str, AwaitedReply]:
        """The same for many."""
        found = await self._store.get_many(AWAITED, ids)
        return {id: from_document(document, AwaitedReply) for id, document in found.items()}

    async def due(self, tenant: str, now: int) -> list[AwaitedReply]:
        """Some of those with something to do by `now`, the longest due first."""
        found = await self._store.find(AWAITED, "by_time", {"tenant": tenant}, above=0, below=now + 1, limit=_PAGE)
        return [from_document(document, AwaitedReply) for document in found]

    async def open_before(self, one: AwaitedReply) -> bool:
        """Whether an earlier message of the thread awaits an answer as well: the first one speaks for all."""
        found = await self._store.find(AWAITED, "of_thread", {"thread": one.thread}, below=one.place, limit=_PAGE)
        return any(from_document(document, AwaitedReply).is_open for document in found)

    async def change(self, one: AwaitedReply) -> bool:
        """Write a changed clock; False when somebody else changed it meanwhile."""
        return await self._store.replace(AWAITED, to_document(one))

    async def follow(self, reply: StoredMessage) -> None:
        """A clinician's reply was shown or taken away: it stops the clocks of what was asked before, or no longer does.

        Raises:
            Conflict: others changed the same again and again.
        """
        above: int | None = None
        while True:
            found = await self._store.find(
                AWAITED, "of_thread", {"thread": reply.thread}, above=above, below=reply.place, limit=_PAGE
            )
            for document in found:
                await self._follow_one(document["id"], reply)
            if len(found) < _PAGE:
                return
            above = found[-1]["place"]

    async def _follow_one(self, id: str, reply: StoredMessage) -> None:
        if not reply.withdrawn_at:
            await self._change(id, lambda one: one.answered(reply.id, reply.accepted_at) if one.is_open else None)
        elif (one := await self.get(id)) and one.stopped_by == reply.id:
            answer = await self.answer_of(one)
            await self._change(id, lambda now: _without(now, reply, answer, self._clock()))

    async def answer_of(self, one: AwaitedReply) -> StoredMessage | None:
        """The first reply after the message that is shown in its thread."""
        above = one.place
        while page := await self._threads.messages_in(one.thread, above=above):
            for each in page:
                if each.kind == REPLY and not each.withdrawn_at:
                    return each
            above = page[-1].place
        return None

    async def handle(self, id: str, how: How, by: str) -> AwaitedReply | None:
        """The message needs no written answer any more; one that was answered or handled stays as it was.

        None: there is no such message. Raises Conflict.
        """
        return await self._change(id, lambda one: one.handled(how, by, self._clock()) if one.is_open else None)

    async def _change(self, id: str, after: Callable[[AwaitedReply], AwaitedReply | None]) -> AwaitedReply | None:
        for _ in range(_TRIES):
            one = await self.get(id)
            changed = after(one) if one else None
            if changed is None:
                return one
            if await self.change(changed):
                return replace(changed, version=changed.version + 1)
        raise Conflict(f"awaited reply to {id}")


def _without(
    one: AwaitedReply, withdrawn: StoredMessage, answer: StoredMessage | None, now: int
) -> AwaitedReply | None:
    if one.stopped_by != withdrawn.id:
        return None
    return one.answered(answer.id, answer.accepted_at) if answer else one.reopened(now)
