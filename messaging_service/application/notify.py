"""Tell a tenant's portal that a message moved on; never what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from messaging_service.application.codec import Outgoing, read_event
from messaging_service.application.ports import Envelope, PortalWebhook
from messaging_service.application.threads import Threads
from messaging_service.domain.errors import MessageFault, WebhookDown
from messaging_service.domain.events import (
    MessageEscalated,
    MessageFiled,
    MessageHandled,
    MessageParked,
    ReplyChanged,
    ReplyOverdue,
    ReplyReceived,
    ReplyWithdrawn,
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
)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What the portal calls an event, and the field that says when; one that may happen again has that in its id."""

    type: type[Notified]
    name: str
    when: str
    again: bool = False


_KINDS = {
    kind.type.__name__: kind
    for kind in (
        _Kind(MessageFiled, "message.filed", "filed_at"),
        _Kind(MessageEscalated, "message.escalated", "escalated_at"),
        _Kind(MessageParked, "message.parked", "parked_at"),
        _Kind(ReplyReceived, "reply.received", "received_at"),
        _Kind(ReplyChanged, "reply.changed", "changed_at", again=True),
        _Kind(ReplyWithdrawn, "reply.withdrawn", "withdrawn_at", again=True),
        _Kind(ReplyOverdue, "reply.overdue", "overdue_at"),
        _Kind(MessageHandled, "message.handled", "handled_at"),
    )
}


class Notify:
    """The use case of the notify step. The event id is the same at every try, so a portal can drop repeats."""

    def __init__(self, webhooks: Mapping[str, PortalWebhook], threads: Threads) -> None:
        self._webhooks = webhooks
        self._threads = threads

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        """Post the event to the portal's webhook; with `private` where the patient alone may be told.

        Raises:
            StoreDown: whether it is private cannot be seen.
            MessageFault: the portal does not take it now; the delay ladder tries again.
        """
        kind = _KINDS.get(envelope.kind)
        if kind is None:
            raise MessageFault("event_unknown", envelope.kind, final=True)
        event = read_event(envelope, kind.type)
        webhook = self._webhooks.get(event.tenant)
        if webhook is None:
            return []
        at: int = getattr(event, kind.when)
        data: dict[str, str | bool] = {"message": event.message, "thread": event.thread}
        thread = await self._threads.thread(event.thread)
        if thread is None or thread.private is not False:  # not stored yet: not known to be anybody else's to see
            data["private"] = True
        body = msgspec.json.encode({"type": kind.name, "timestamp": at, "data": data})
        id = f"{kind.name}.{event.message}" + (f".{at}" if kind.again else "")
        try:
            await webhook.post(id, body)
        except WebhookDown as problem:
            raise MessageFault("webhook", event.tenant) from problem
        return []
