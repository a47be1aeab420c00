"""What a portal's webhook did not take is kept and posted again over a day, without holding up anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import WEBHOOKS
from messaging_service.application.feed import Feed
from messaging_service.application.ports import Clock, DocumentStore, PortalWebhook
from messaging_service.application.threads import StoredThread, Threads
from messaging_service.domain.errors import WebhookDown

PAUSES_MINUTES = (1, 5, 30, 120, 300, 600, 384)
"""Before each try after the first: a day in all. After the last the event is given up, and can be replayed."""

_DUE, _GIVEN_UP = "due", "given_up"
_MINUTE_MS = 60_000
_AT_ONCE = 16
_CLAIMED_MS = 60_000
"""Longer than a post may take: a worker that died over it has posted it or not, and another posts it again."""
_TOLD_AGAIN = ("reply.changed", "reply.withdrawn", "thread.closed", "thread.reopened")
"""What may happen more than once to one message has its time in its id."""


def event_id(type: str, message: str, at: int) -> str:
    """The id of an event (`webhook-id`), the same at every try."""
    return f"{type}.{message}" + (f".{at}" if type in _TOLD_AGAIN else "")


def webhook_body(type: str, at: int, message: str, thread: str, stored: StoredThread | None) -> bytes:
    """What the portal is told; `private` where the patient alone may be told. Identifiers, no content."""
    data: dict[str, str | bool] = {"message": message, "thread": thread}
    if stored is None or stored.private is not False:  # not stored yet: not known to be anybody else's to see
        data["private"] = True
    return msgspec.json.encode({"type": type, "timestamp": at, "data": data})


@dataclass(frozen=True, slots=True)
class OwedWebhook:
    """An event that a portal was not told yet. `attempts` were made; the next is at `due_at` (milliseconds)."""

    id: str
    tenant: str
    event: str
    body: bytes
    due_at: int
    attempts: int = 0
    state: str = _DUE
    version: int = 1


class OwedWebhooks:
    """Keeps and posts them; as many processes as like to may call it, and each event is posted by one at a time."""

    def __init__(
        self,
        *,
        webhooks: Mapping[str, PortalWebhook],
        store: DocumentStore,
        feed: Feed,
        threads: Threads,
        alerts: Alerts,
        clock: Clock,
    ) -> None:
        self._webhooks = webhooks
        self._store = store
        self._feed = feed
        self._threads = threads
        self._alerts = alerts
        self._clock = clock

    async def owe(self, tenant: str, event: str, body: bytes, *, attempts: int) -> None:
        """Keep an event to be posted again, after as many tries as were made. A repeat changes nothing."""
        due_at = self._clock() + PAUSES_MINUTES[attempts - 1] * _MINUTE_MS if attempts else self._clock()
        owed = OwedWebhook(f"{tenant}.{event}", tenant, event, body, due_at, attempts)
        await self._store.insert(WEBHOOKS, [to_document(owed)])

    async def __call__(self) -> int:
        """Post what is due, to all portals at once; returns how many were taken."""
        return sum(await asyncio.gather(*(self._post_due(tenant) for tenant in self._webhooks)))

    async def replay(self, tenant: str, since: int) -> int:
        """Owe the portal again what was given up, and what patients were told since then (milliseconds); how many.

        As far back as feeds go. What no feed holds, since it was given up before it was stored, is not among them.
        """
        owed = 0
        while page := await self._store.find(WEBHOOKS, "by_due", {"tenant": tenant, "state": _GIVEN_UP}):
            for document in page:
                again = {**document, "state": _DUE, "due_at": self._clock(), "attempts": 0}
                owed += await self._store.replace(WEBHOOKS, again)
        for event in await self._feed.written_since(self._clock(), since):
            if event.tenant == tenant:
                stored = await self._threads.thread(event.thread)
                body = webhook_body(event.type, event.at, event.message, event.thread, stored)
                await self.owe(tenant, event_id(event.type, event.message, event.at), body, attempts=0)
                owed += 1
        return owed

    async def _post_due(self, tenant: str) -> int:
        """Page by page; a portal that takes none of a page is left until the next round."""
        taken = 0
        while page := await self._store.find(
            WEBHOOKS, "by_due", {"tenant": tenant, "state": _DUE}, below=self._clock() + 1, limit=_AT_ONCE
        ):
            outcomes = await asyncio.gather(*(self._post(from_document(each, OwedWebhook)) for each in page))
            taken += sum(outcomes)
            if not any(outcomes):
                break
        return taken

    async def _post(self, owed: OwedWebhook) -> bool:
        claimed = replace(owed, due_at=self._clock() + _CLAIMED_MS, attempts=owed.attempts + 1)
        if not await self._store.replace(WEBHOOKS, to_document(claimed)):
            return False
        claimed = replace(claimed, version=claimed.version + 1)
        try:
            await self._webhooks[owed.tenant].post(owed.event, owed.body)
        except WebhookDown:
            await self._not_taken(claimed)
            return False
        await self._store.delete(WEBHOOKS, owed.id)
        text = f"the portal of {owed.tenant} takes events again; messaging-service webhooks replay sends those given up"
        await self._alerts.over(f"webhook-given-up {owed.tenant}", text)
        return True

    async def _not_taken(self, owed: OwedWebhook) -> None:
        if owed.attempts > len(PAUSES_MINUTES):
            await self._store.replace(WEBHOOKS, to_document(replace(owed, state=_GIVEN_UP)))
            text = f"the portal of {owed.tenant} took no event for a day; messaging-service webhooks replay"
            await self._alerts.begin(f"webhook-given-up {owed.tenant}", text)
            return
        due_at = self._clock() + PAUSES_MINUTES[owed.attempts - 1] * _MINUTE_MS
        await self._store.replace(WEBHOOKS, to_document(replace(owed, due_at=due_at)))
