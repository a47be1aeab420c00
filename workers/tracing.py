"""What a step does with a delivery, as a span (OpenTelemetry's conventions for messaging: `process`)."""

from __future__ import annotations

from collections.abc import Sequence

from messaging_service.application.codec import Outgoing
from messaging_service.application.ports import Broker, Delivery, Envelope, Span, SpanKind, Traces
from messaging_service.application.ports.tracing import TRACEPARENT
from messaging_service.domain.errors import Deferred, MessageFault
from workers.settling import Handler, Settling


class TracedSettling(Settling):
    """All that `Settling` does; a span holds it, and so whatever is published or sent on the way."""

    def __init__(self, queue: str, broker: Broker, ladder_ms: Sequence[int], traces: Traces) -> None:
        super().__init__(queue, broker, ladder_ms)
        self._traces = traces

    async def settle(self, delivery: Delivery, handler: Handler) -> str:
        """See `Settling`. A delivery that only waited for its predecessor is not told: it may do so for hours."""
        envelope = delivery.envelope
        attributes: dict[str, str | int] = {
            "messaging.system": self._traces.messaging_system,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": self._queue,
            "messaging.message.id": envelope.message_id,
            "messaging.message.body.size": len(envelope.body),
            "messaging_service.attempt": envelope.count("attempt") + 1,
        }
        parent = str(envelope.headers.get(TRACEPARENT, ""))
        with self._traces.span(f"process {self._queue}", SpanKind.CONSUMER, attributes, parent) as span:
            outcome = await super().settle(delivery, _noted(handler, span))
            span.say({"messaging_service.outcome": outcome})
            if outcome == "deferred":
                span.forget()
            return outcome


def _noted(handler: Handler, span: Span) -> Handler:
    """The reason of a message's own fault, which settling answers by the ladder, is the span's error."""

    async def handle(envelope: Envelope) -> list[Outgoing]:
        try:
            return await handler(envelope)
        except Deferred:
            raise
        except MessageFault as fault:
            span.say({"error.type": fault.reason})
            raise

    return handle
