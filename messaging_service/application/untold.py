"""Who was not told yet: what waits in the escalate and notify queues, found by what those steps leave in the store.

A queue is never browsed. A message that moved on and left no trace of being told waits, or lies in a worker's hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from messaging_service.application.collections import ALARMS, FILINGS, MESSAGES, PARKED, parked_id
from messaging_service.application.feed import Feed
from messaging_service.application.pages import Found, page_of
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Clock, Document, DocumentStore
from messaging_service.application.send_webhooks import event_id
from messaging_service.application.threads import REPLY, StoredMessage, Threads
from messaging_service.domain.filing import FilingState, is_change
from messaging_service.domain.message import Lane, Step

_LOOKED_BACK_MS = 7 * 86_400_000
"""As far back as feeds are kept: what is older may have been told and forgotten."""

_OPEN_ALARMS = 200
_ROUNDS, _PAGE = 4, 100
_ESCALATED = "message.escalated"


@dataclass(frozen=True, slots=True)
class Move:
    """Something that somebody is to be told of a message; `state` is its filing's, `event` what the portal calls it."""

    message: str
    lane: str
    state: str
    accepted_at: int
    event: str


class Untold:
    """Newest first, from before a moment (milliseconds), with the moment to go on before; None: that was all."""

    def __init__(self, *, store: DocumentStore, threads: Threads, patients: Patients, feed: Feed, clock: Clock) -> None:
        self._store = store
        self._threads = threads
        self._patients = patients
        self._feed = feed
        self._clock = clock

    async def on_call(self, tenant: str, before: int | None, limit: int) -> tuple[list[Move], int | None]:
        """Urgent messages of which neither an alarm nor the portal's events know that on-call was told.

        One that rings nobody (its topic is not told to on-call) is known by the portal's event alone.
        """
        finds = [filings_in(tenant, Lane.URGENT, state) for state in FilingState]
        untold: list[Move] = []
        for _ in range(_ROUNDS):
            moves, before = await self._moves(finds, before, limit)
            ids = [move.message for move in moves]
            stored = await self._threads.messages(ids)
            told = await self.rung(tenant, ids, stored) | await self._parked(ids, Step.ESCALATE)
            escalated = [Move(m.message, m.lane, m.state, m.accepted_at, _ESCALATED) for m in moves]
            untold += await self._not_in_feed([move for move in escalated if move.message not in told], stored)
            if before is None or len(untold) >= limit:
                break
        return untold, before

    async def portal(self, tenant: str, before: int | None, limit: int) -> tuple[list[Move], int | None]:
        """Messages filed or parked, and replies, of which the portal was not told: message.filed, message.parked and
        reply.received. Its other events leave nothing by which they could be missed.
        """
        states = (FilingState.FILED, FilingState.PARKED)
        finds = [filings_in(tenant, lane, state) for lane in Lane for state in states]
        finds.append(Found(MESSAGES, "by_time", {"tenant": tenant, "kind": REPLY}, "accepted_at"))
        moves, before = await self._moves(finds, before, limit)
        ids = [move.message for move in moves]
        stored = await self._threads.messages(ids)
        parked = await self._parked(ids, Step.NOTIFY)
        return await self._not_in_feed([move for move in moves if move.message not in parked], stored), before

    async def rung(
        self, tenant: str, messages: Sequence[str], stored: dict[str, StoredMessage] | None = None
    ) -> set[str]:
        """Those that an alarm answers for: of their thread, or one that nobody acknowledged."""
        threads = [stored[id].thread if stored and id in stored else id for id in messages]
        alarms = list((await self._store.get_many(ALARMS, list(dict.fromkeys(threads)))).values())
        open_alarms = {"tenant": tenant, "state": "open"}
        alarms += await self._store.find(ALARMS, "of_tenant", open_alarms, descending=True, limit=_OPEN_ALARMS)
        return {message for alarm in alarms for message in alarm["messages"]} & set(messages)

    async def _moves(self, finds: Sequence[Found], before: int | None, limit: int) -> tuple[list[Move], int | None]:
        found, last = await page_of(
            self._store,
            finds,
            after=before,
            until=self._clock() - _LOOKED_BACK_MS,
            descending=True,
            limit=min(limit, _PAGE),
            keep=lambda _, document: not is_change(document["id"]),
        )
        return [_move(document) for _, document in found], last

    async def _parked(self, messages: Sequence[str], step: Step) -> set[str]:
        found = await self._store.get_many(PARKED, [parked_id(message, step) for message in messages])
        return {document["message"] for document in found.values()}

    async def _not_in_feed(self, moves: Sequence[Move], stored: dict[str, StoredMessage]) -> list[Move]:
        """A feed is that of the record that its patient's was merged into by then: both are looked at."""
        known = [move for move in moves if move.message in stored]
        owners = {move.message: stored[move.message].patient for move in known}
        told = await self._told(known, owners)
        left = [move for move in known if move.message not in told]
        survivors = await asyncio.gather(*(self._patients.survivor(owners[move.message]) for move in left))
        merged = {m.message: to for m, to in zip(left, survivors, strict=True) if to != owners[m.message]}
        told |= await self._told([move for move in left if move.message in merged], merged)
        return [move for move in moves if move.message not in told]

    async def _told(self, moves: Sequence[Move], owners: dict[str, str]) -> set[str]:
        events = {move.message: (owners[move.message], event_id(move.event, move.message, 0)) for move in moves}
        held = await self._feed.held(list(events.values()))
        return {message for message, event in events.items() if event in held}


def filings_in(tenant: str, lane: Lane, state: FilingState) -> Found:
    """Those of a tenant's lane in this state, by when they were accepted."""
    return Found(FILINGS, "by_lane", {"tenant": tenant, "lane": lane, "state": state}, "accepted_at")


def _move(document: Document) -> Move:
    """Of a filing, or of a reply."""
    if document.get("kind") == REPLY:
        return Move(document["id"], document["lane"], "received", document["accepted_at"], "reply.received")
    state = document["state"]
    return Move(document["id"], document["lane"], state, document["accepted_at"], f"message.{state}")
