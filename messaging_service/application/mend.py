"""What operations do with parked messages: list, show, replay, close, give to somebody; each written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

from messaging_service.application.actors import OPERATIONS
from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import PARKED, parked_id
from messaging_service.application.park import STOPS_THE_MESSAGE, Mending, ParkedMessage
from messaging_service.application.ports import Access, AccessLog, Actor, Broker, Clock, DocumentStore, Envelope
from messaging_service.application.ports.tracing import TRACEPARENT
from messaging_service.application.threads import Threads
from messaging_service.domain.errors import Conflict, SettingInvalid
from messaging_service.domain.filing import FilingState, changed_message
from messaging_service.domain.message import Step

_PAGE = 500
_WAITING = "parked"


class ParkedNotFound(SettingInvalid):
    """No such parked message. `messaging-service parked list` shows those there are."""


class NotParkedAnyMore(ParkedNotFound):
    """It is not parked any more. `messaging-service parked list` shows those there are, `journey` what it became."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who looks and mends, and at which tenant. The command line, on the machine itself, sees every tenant ("")."""

    by: Actor
    tenant: str = ""


COMMAND_LINE = Operator(OPERATIONS)


@dataclass(frozen=True, slots=True)
class Kind:
    """So many of a tenant's parked messages have this step and reason; `oldest_at` in milliseconds."""

    step: str
    reason: str
    count: int
    oldest_at: int


class Mend:
    """The use cases of `parked` and of the operations page. What is another tenant's is not there."""

    def __init__(
        self, *, store: DocumentStore, threads: Threads, broker: Broker, access_log: AccessLog, clock: Clock
    ) -> None:
        self._clock = clock
        self._store = store
        self._threads = threads
        self._broker = broker
        self._access_log = access_log

    async def listed(self) -> list[ParkedMessage]:
        """All that wait for a person, of every tenant, oldest first."""
        listed: list[ParkedMessage] = []
        while True:
            above = listed[-1].order if listed else ""
            page = await self._store.find(PARKED, "by_state", {"state": _WAITING}, above=above, limit=_PAGE)
            listed += [from_document(document, ParkedMessage) for document in page]
            if len(page) < _PAGE:
                return listed

    async def page(self, tenant: str, step: str, reason: str, above: str, limit: int) -> list[ParkedMessage]:
        """A tenant's of one kind, oldest first, from the one after the `order` in `above`."""
        asked = {"tenant": tenant, "state": _WAITING, "step": step, "reason": reason}
        found = await self._store.find(PARKED, "by_kind", asked, above=above, limit=limit)
        return [from_document(document, ParkedMessage) for document in found]

    async def kinds(self, tenant: str) -> list[Kind]:
        """A tenant's parked messages by step and reason. Reads one document a kind, and counts in the index."""
        return [kind for step in Step async for kind in self._kinds_of(tenant, step)]

    async def _kinds_of(self, tenant: str, step: Step) -> AsyncIterator[Kind]:
        asked, reason = {"tenant": tenant, "state": _WAITING, "step": step.value}, ""
        while found := await self._store.find(PARKED, "by_kind", asked, above=reason, limit=1):
            reason = found[0]["reason"]
            count = await self._store.count(PARKED, "by_kind", {**asked, "reason": reason})
            yield Kind(step.value, reason, count, found[0]["parked_at"])

    async def count(self, tenant: str, step: str, reason: str) -> int:
        """How many of a tenant's are of one kind."""
        asked = {"tenant": tenant, "state": _WAITING, "step": step, "reason": reason}
        return await self._store.count(PARKED, "by_kind", asked)

    async def show(self, id: str, by: Operator = COMMAND_LINE) -> ParkedMessage:
        """One of them, by its id. Raises ParkedNotFound."""
        document = await self._store.get(PARKED, id)
        if document is None or by.tenant not in ("", document["tenant"]):
            raise ParkedNotFound(id)
        return from_document(document, ParkedMessage)

    async def named(self, id: str, *, parked_only: bool = False) -> list[ParkedMessage]:
        """The one of this id; or, of a message's own id, what each step gave up on; all, or those still parked.

        Raises ParkedNotFound; NotParkedAnyMore when all of them were mended and only parked ones are asked for.
        """
        asked = [id, *(parked_id(id, step) for step in Step)]
        documents = await self._store.get_many(PARKED, asked)
        found = [from_document(documents[one], ParkedMessage) for one in asked if one in documents]
        if not found:
            raise ParkedNotFound(id)
        if not parked_only:
            return found
        if not (waiting := [one for one in found if one.state == _WAITING]):
            raise NotParkedAnyMore(", ".join(f"{one.id} was {one.state}" for one in found))
        return waiting

    async def replay(self, id: str, by: Operator = COMMAND_LINE) -> None:
        """Send it through its step again, its attempts counted from the start.

        Queued first and marked after: a crash between leaves it listed, and replaying twice changes nothing.
        """
        parked = await self._require_parked(id, by)
        await self._write_down(parked, by)
        trace = {TRACEPARENT: parked.traceparent} if parked.traceparent else {}
        envelope = Envelope(parked.message, parked.kind, parked.body, {"queue": parked.queue, **trace})
        if Step(parked.step) in STOPS_THE_MESSAGE:
            await self._threads.set_state(parked.message, FilingState.WAITING)
        await self._broker.publish(parked.queue, envelope)
        await self._change(replace(parked, state="replayed"), "replayed", by)

    async def replay_like(self, step: str, reason: str, by: Operator, limit: int) -> int:
        """Replay the oldest ones of a kind, and say how many; those that somebody else mends meanwhile are theirs."""
        replayed = 0
        for parked in await self.page(by.tenant, step, reason, "", limit):
            with suppress(Conflict, ParkedNotFound):
                await self.replay(parked.id, by)
                replayed += 1
        return replayed

    async def close(self, id: str, remark: str, by: Operator = COMMAND_LINE) -> None:
        """A person dealt with it otherwise; `remark` says how, without content."""
        parked = await self._require_parked(id, by)
        await self._write_down(parked, by)
        if Step(parked.step) in STOPS_THE_MESSAGE:
            await self._threads.set_state(parked.message, FilingState.CLOSED)
        await self._change(replace(parked, state="closed", remark=remark), "closed", by, remark)

    async def give(self, id: str, owner: str, by: Operator = COMMAND_LINE) -> None:
        """From now on it is `owner`'s to mend."""
        parked = await self._require_parked(id, by)
        await self._write_down(parked, by)
        await self._change(replace(parked, owner=owner), "given", by, owner)

    async def _require_parked(self, id: str, by: Operator) -> ParkedMessage:
        parked = await self.show(id, by)
        if parked.state != _WAITING:
            raise NotParkedAnyMore(f"{id} was {parked.state}")
        return parked

    async def _change(self, parked: ParkedMessage, what: str, by: Operator, remark: str = "") -> None:
        done = Mending(self._clock(), what, by.by.role, remark)
        if not await self._store.replace(PARKED, to_document(replace(parked, mendings=(*parked.mendings, done)))):
            raise Conflict(f"parked {parked.id}")

    async def _write_down(self, parked: ParkedMessage, by: Operator) -> None:
        """Before anything is changed, so that nothing is changed unseen."""
        stored = await self._threads.message(changed_message(parked.message))
        patient = stored.patient if stored else ""
        await self._access_log.record(
            Access(parked.tenant, patient, by.by, "update", "parked", parked.id, "operations")
        )
