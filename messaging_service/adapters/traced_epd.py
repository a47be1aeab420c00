"""An EPD whose exchanges are spans: what was sent under which control id, and how it was acknowledged."""

from __future__ import annotations

from urllib.parse import urlsplit

from messaging_service.application.ports import AtTurn, Epd, SpanKind, Traces
from messaging_service.domain.errors import Deferred
from messaging_service.epd.acknowledgement import AckUnknown, told_of

_POSITIVE = ("AA", "CA")


class TracedEpd(Epd):
    """All that `inner` does. A span holds the wait for the connection as well."""

    def __init__(self, inner: Epd, tenant: str, address: str, traces: Traces) -> None:
        """`address` is the EPD's URL."""
        self._inner = inner
        self._traces = traces
        parts = urlsplit(address)
        self._attributes: dict[str, str | int] = {
            "network.transport": "tcp",
            "network.protocol.name": "mllp",
            "server.address": parts.hostname or "",
            "server.port": parts.port or 0,
            "messaging_service.tenant": tenant,
        }

    async def exchange(
        self, frame: bytes, control_id: str, partition: str, urgent: bool, at_turn: AtTurn | None = None
    ) -> bytes:
        """See `Epd`."""
        attributes = {**self._attributes, "messaging_service.hl7.control_id": control_id}
        with self._traces.span("MLLP exchange", SpanKind.CLIENT, attributes) as span:
            try:
                answer = await self._inner.exchange(frame, control_id, partition, urgent, at_turn)
            except AckUnknown as problem:
                span.say({"error.type": f"ack_unknown.{problem.why}"})
                raise
            except Deferred:
                span.forget()  # another worker sends it
                raise
            code, _ = told_of(answer)
            span.say({"messaging_service.hl7.ack_code": code})
            if code not in _POSITIVE:
                span.say({"error.type": code})
            return answer

    async def probe(self) -> None:
        """See `Epd`."""
        await self._inner.probe()

    async def close(self) -> None:
        """See `Epd`."""
        await self._inner.close()
