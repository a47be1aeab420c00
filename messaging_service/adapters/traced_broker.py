"""A broker whose publishes are spans (OpenTelemetry's conventions for messaging: `send`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from messaging_service.adapters.counted_broker import CountedBroker
from messaging_service.application.ports import Broker, Envelope, SpanKind, Traces
from messaging_service.application.ports.tracing import TRACEPARENT


class TracedBroker(CountedBroker):
    """All that `CountedBroker` does; the consumer's span will follow the publish's.

    What goes onto a rung of the delay ladder comes back as it was: all tries of a step follow the one publish that put
    the message into its queue.
    """

    def __init__(self, inner: Broker, count: Callable[[str], None], traces: Traces) -> None:
        super().__init__(inner, count)
        self._traces = traces

    async def publish(self, queue: str, envelope: Envelope, *, delay_ms: int = 0) -> None:
        """See `Broker`."""
        if delay_ms:
            await super().publish(queue, envelope, delay_ms=delay_ms)
            return
        attributes: dict[str, str | int] = {
            "messaging.system": self._traces.messaging_system,
            "messaging.operation.type": "send",
            "messaging.operation.name": "publish",
            "messaging.destination.name": queue,
            "messaging.message.id": envelope.message_id,
            "messaging.message.body.size": len(envelope.body),
        }
        parent = str(envelope.headers.get(TRACEPARENT, ""))
        with self._traces.span(f"publish {queue}", SpanKind.PRODUCER, attributes, parent) as span:
            carried = {**envelope.headers, TRACEPARENT: span.traceparent}
            await super().publish(queue, replace(envelope, headers=carried))
