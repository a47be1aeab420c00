"""Tell a tenant's portal that a message moved on; never what it says."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from messaging_service.application.codec import Outgoing, read_event
from messaging_service.application.ports import Envelope, PortalWebhook
from messaging_service.domain.errors import MessageFault, WebhookDown
from messaging_service.domain.events import MessageEscalated, MessageFiled, MessageParked

_KINDS: dict[str, type[MessageFiled | MessageEscalated | MessageParked]] = {
    "MessageFiled": MessageFiled,
    "MessageEscalated": MessageEscalated,
    "MessageParked": MessageParked,
}
_NAMES = {
    "MessageFiled": "message.filed",
    "MessageEscalated": "message.escalated",
    "MessageParked": "message.parked",
}


class Notify:
    """The use case of the notify step. The event id is the same at every try, so a portal can drop repeats."""

    def __init__(self, webhooks: Mapping[str, PortalWebhook]) -> None:
        self._webhooks = webhooks

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        """Post the event to the portal's webhook.

        Raises:
            MessageFault: the portal does not take it now; the delay ladder tries again.
        """
        kind = _KINDS.get(envelope.kind)
        if kind is None:
            raise MessageFault("event_unknown", envelope.kind, final=True)
        event = read_event(envelope, kind)
        webhook = self._webhooks.get(event.tenant)
        if webhook is None:
            return []
        name, at = _NAMES[envelope.kind], _when(event)
        body = msgspec.json.encode(
            {"type": name, "timestamp": at, "data": {"message": event.message, "thread": event.thread}}
        )
        try:
            await webhook.post(f"{name}.{event.message}", body)
        except WebhookDown as problem:
            raise MessageFault("webhook", event.tenant) from problem
        return []


def _when(event: MessageFiled | MessageEscalated | MessageParked) -> int:
    if isinstance(event, MessageFiled):
        return event.filed_at
    return event.escalated_at if isinstance(event, MessageEscalated) else event.parked_at
