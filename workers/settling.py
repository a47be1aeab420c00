"""What becomes of one delivery: done, deferred, retried on the ladder, parked, or given back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from messaging_service.application.codec import Outgoing
from messaging_service.application.ports import Broker, Delivery, Envelope
from messaging_service.application.ports.tracing import TRACEPARENT
from messaging_service.application.topology import DEFERRAL_MS, PARK, SOON
from messaging_service.domain.errors import BrokerDown, Deferred, MessageFault, ServerFault

log = structlog.get_logger()

Handler = Callable[[Envelope], Awaitable[list[Outgoing]]]


class Settling:
    """Settles the deliveries of one queue. Acknowledges last, after the broker has confirmed what follows."""

    def __init__(self, queue: str, broker: Broker, ladder_ms: Sequence[int]) -> None:
        self._queue = queue
        self._broker = broker
        self._ladder_ms = ladder_ms

    async def settle(self, delivery: Delivery, handler: Handler) -> str:
        """Handle a delivery to its end and say what became of it.

        Raises:
            ServerFault: a server is down; the delivery waits and no attempt is counted.
        """
        try:
            outcome = await self._attempt(delivery.envelope, handler)
        except BrokerDown:
            await delivery.give_back()
            raise
        except ServerFault:
            await self._return_uncounted(delivery)
            raise
        await delivery.ack()
        return outcome

    async def _attempt(self, envelope: Envelope, handler: Handler) -> str:
        try:
            await self._publish(envelope, await handler(envelope))
        except Deferred:
            return await self._defer(envelope)
        except MessageFault as fault:
            return await self._climb(envelope, fault)
        except ServerFault:
            raise
        except Exception as problem:
            log.exception("step_failed", queue=self._queue, message=envelope.message_id)
            return await self._climb(envelope, MessageFault("internal", type(problem).__name__))
        return "done"

    async def _publish(self, envelope: Envelope, follows: list[Outgoing]) -> None:
        trace = {TRACEPARENT: envelope.headers[TRACEPARENT]} if TRACEPARENT in envelope.headers else {}
        if len(follows) == 1:
            await self._send(follows[0], trace)
        elif follows:
            await asyncio.gather(*(self._send(outgoing, trace) for outgoing in follows))

    async def _send(self, outgoing: Outgoing, trace: Mapping[str, str | int]) -> None:
        envelope = outgoing.envelope
        if trace:
            envelope = replace(envelope, headers={**envelope.headers, **trace})
        await self._broker.publish(outgoing.queue, envelope)

    async def _defer(self, envelope: Envelope) -> str:
        """Soon at first; a predecessor that takes long is asked for less often."""
        times = envelope.count("deferred")
        delay = DEFERRAL_MS if times < SOON else self._ladder_ms[0]
        waiting = replace(envelope, headers={**envelope.headers, "deferred": times + 1})
        await self._broker.publish(self._queue, waiting, delay_ms=delay)
        return "deferred"

    async def _climb(self, envelope: Envelope, fault: MessageFault) -> str:
        """The next rung of the ladder, or the park step; that itself never gives up and keeps who did, and why."""
        attempt = envelope.count("attempt")
        last = fault.final or attempt >= len(self._ladder_ms)
        said = {**envelope.headers, "attempt": attempt + 1}
        if self._queue != PARK:
            said |= {"queue": self._queue, "reason": fault.reason}
        log.warning("attempt_failed", queue=self._queue, message=envelope.message_id, reason=fault.reason)
        if last and self._queue != PARK:
            await self._broker.publish(PARK, replace(envelope, headers=said))
            return "parked"
        delay = self._ladder_ms[min(attempt, len(self._ladder_ms) - 1)]
        await self._broker.publish(self._queue, replace(envelope, headers=said), delay_ms=delay)
        return "retried"

    async def _return_uncounted(self, delivery: Delivery) -> None:
        """By way of the delay queue, since the broker counts what is simply given back."""
        try:
            await self._broker.publish(self._queue, delivery.envelope, delay_ms=DEFERRAL_MS)
        except BrokerDown:
            await delivery.give_back()
        else:
            await delivery.ack()
