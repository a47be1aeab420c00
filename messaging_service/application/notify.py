"""Tell a tenant's portal that a message moved on; never what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from messaging_service.application.codec import Outgoing, read_event
from messaging_service.application.feed import Feed
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Clock, Envelope, PortalWebhook
from messaging_service.application.send_email_notices import OwedEmailNotices
from messaging_service.application.send_webhooks import OwedWebhooks, event_id, webhook_body
from messaging_service.application.threads import StoredThread, Threads
from messaging_service.domain.errors import Deferred, MessageFault, WebhookDown
from messaging_service.domain.events import (
    MessageEscalated,
    MessageFiled,
    MessageHandled,
    MessageParked,
    MessageRead,
    ReplyChanged,
    ReplyOverdue,
    ReplyReceived,
    ReplyWithdrawn,
    ThreadClosed,
    ThreadReopened,
)

Notified = (
    MessageFiled
    | MessageEscalated
    | MessageParked
    | ReplyReceived
    | ReplyChanged
    | ReplyWithdrawn
    | ReplyOverdue
    | MessageHandled
    | MessageRead
    | ThreadClosed
    | ThreadReopened
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the portal calls an event, and the field that says when."""

    type: type[Notified]
    name: str
    when: str


_KINDS = {
    kind.type.__name__: kind
    for kind in (
        _Kind(MessageFiled, "message.filed", "filed_at"),
        _Kind(MessageEscalated, "message.escalated", "escalated_at"),
        _Kind(MessageParked, "message.parked", "parked_at"),
        _Kind(ReplyReceived, "reply.received", "received_at"),
        _Kind(ReplyChanged, "reply.changed", "changed_at"),
        _Kind(ReplyWithdrawn, "reply.withdrawn", "withdrawn_at"),
        _Kind(ReplyOverdue, "reply.overdue", "overdue_at"),
        _Kind(MessageHandled, "message.handled", "handled_at"),
        _Kind(MessageRead, "message.read", "read_at"),
        _Kind(ThreadClosed, "thread.closed", "closed_at"),
        _Kind(ThreadReopened, "thread.reopened", "reopened_at"),
    )
}


_SHUNNED_MS = 30_000
_STORED_WITHIN_MS = 600_000
"""An event about a thread waits so long for the message that opens it; a message that was refused never comes."""


class Notify:
    """The use case of the notify step. The event id is the same at every try, so a portal can drop repeats."""

    def __init__(
        self,
        *,
        webhooks: Mapping[str, PortalWebhook],
        threads: Threads,
        patients: Patients,
        feed: Feed,
        owed: OwedWebhooks,
        email_notices: OwedEmailNotices,
        clock: Clock,
    ) -> None:
        self._owed = owed
        self._email_notices = email_notices
        self._shunned: dict[str, int] = {}
        self._webhooks = webhooks
        self._threads = threads
        self._patients = patients
        self._feed = feed
        self._clock = clock

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        """Write the event to the patient's feed and post it to the portal, or keep it for later if that is not taken.

        Of a reply an e-mail is owed as well, to whoever asked for it.

        Raises:
            StoreDown: the feed cannot be written.
            Deferred: the message that opens the thread is not stored yet, so that whose it is is not known.
        """
        kind = _KINDS.get(envelope.kind)
        if kind is None:
            raise MessageFault("event_unknown", envelope.kind, final=True)
        event = read_event(envelope, kind.type)
        at: int = getattr(event, kind.when)
        id = event_id(kind.name, event.message, at)
        thread = await self._thread(event, at)
        if thread is not None:
            patient = await self._patients.survivor(thread.patient)
            if isinstance(event, ReplyReceived):
                await self._email_notices.owe(id, patient, thread)
            await self._feed.add(
                patient,
                id,
                tenant=event.tenant,
                type=kind.name,
                message=event.message,
                thread=event.thread,
                at=at,
                now=self._clock(),
            )
        if event.tenant in self._webhooks:
            await self._post(event.tenant, id, webhook_body(kind.name, at, event.message, event.thread, thread))
        return []

    async def _post(self, tenant: str, id: str, body: bytes) -> None:
        """A portal that was down a moment ago is not waited for again: its events are kept at once."""
        attempts = 0
        if self._clock() >= self._shunned.get(tenant, 0):
            try:
                await self._webhooks[tenant].post(id, body)
            except WebhookDown:
                self._shunned[tenant], attempts = self._clock() + _SHUNNED_MS, 1
            else:
                return
        await self._owed.owe(tenant, id, body, attempts=attempts)

    async def _thread(self, event: Notified, at: int) -> StoredThread | None:
        thread = await self._threads.thread(event.thread)
        is_new = self._clock() - at < _STORED_WITHIN_MS
        if thread is None and is_new and not await self._threads.opener_is_parked(event.thread):
            raise Deferred
        return thread
