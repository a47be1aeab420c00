"""Metrics in Prometheus' format; the one importer of prometheus_client."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from messaging_service.application.ports import Depth
from messaging_service.application.samples import Flow

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FILING_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 86400)


class Metrics:
    """The counters of one process (application port Meter). Labels are codes of ours, never of patients."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._accepted = self._counter("messaging_accepted", "Messages answered 202", "tenant", "lane")
        self._refused = self._counter("messaging_refused", "Requests answered with a problem", "problem")
        self._handled = self._counter("messaging_handled", "Deliveries a step is done with", "queue", "outcome")
        self._published = self._counter("messaging_published", "Messages put into a queue", "queue")
        self._acks = self._counter("messaging_acknowledgements", "Answers of the EPD", "tenant", "lane", "code")
        self._channels = self._counter("messaging_channel", "Outward channels", "channel", "outcome")
        self._tokens = self._counter("messaging_tokens_refused", "Access tokens refused", "reason")
        self._spans = self._counter("messaging_spans_lost", "Spans of traces that were not told", "reason")
        self._latency = Histogram(
            "messaging_filing_seconds",
            "From accepted to acknowledged by the EPD",
            ("tenant", "lane"),
            registry=self.registry,
            buckets=_FILING_BUCKETS,
        )
        self._circuit = self._gauge("messaging_circuit_open", "1 while a queue's step waits for a server", "queue")
        self._depth = self._gauge("messaging_queue_depth", "Messages ready in a queue", "queue")
        self._age = self._gauge("messaging_queue_oldest_seconds", "Age of the oldest message of a queue", "queue")
        self._up = self._gauge("messaging_up", "1 while a server answers", "server")
        self._parked = self._gauge("messaging_parked", "Messages that wait for a person")
        self._flows: dict[str, Flow] = {}
        self._open: set[str] = set()
        self._delivered = self._gauge("messaging_delivered", "Messages delivered, and not proved to be filed yet")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def accepted(self, tenant: str, lane: str) -> None:
        """A message was answered 202."""
        self._accepted.labels(tenant, lane).inc()

    def refused(self, problem: str) -> None:
        """A request was answered with this problem."""
        self._refused.labels(problem).inc()

    def handled(self, queue: str, outcome: str) -> None:
        """A step is done with a delivery."""
        self._handled.labels(queue, outcome).inc()
        self._moved(queue, done=outcome == "done", failed=outcome in ("retried", "parked"))

    def published(self, queue: str) -> None:
        """The broker confirmed a message put into a queue."""
        self._published.labels(queue).inc()
        self._moved(queue, put=1)

    def acknowledged(self, tenant: str, lane: str, code: str, waited_ms: int) -> None:
        """The EPD answered; only a positive answer ends the waiting."""
        self._acks.labels(tenant, lane, code).inc()
        if code in ("AA", "CA"):
            self._latency.labels(tenant, lane).observe(waited_ms / 1000)

    def circuit(self, queue: str, open: bool) -> None:
        """The circuit of a queue opened or closed."""
        self._circuit.labels(queue).set(1 if open else 0)
        (self._open.add if open else self._open.discard)(queue)

    def channel(self, channel: str, outcome: str) -> None:
        """An outward channel took a message, or failed."""
        self._channels.labels(channel, outcome).inc()

    def token(self, reason: str) -> None:
        """A token was refused."""
        self._tokens.labels(reason).inc()

    def spans_lost(self, reason: str, count: int) -> None:
        """Spans that no collector will ever see, for this reason."""
        self._spans.labels(reason).inc(count)

    def queues(self, depths: Mapping[str, Depth], oldest_ms: Mapping[str, int], parked: int) -> None:
        """What waits now, read at each scrape; a queue not in `oldest_ms` is empty."""
        for queue, depth in depths.items():
            self._depth.labels(queue).set(depth.ready)
            self._age.labels(queue).set(oldest_ms.get(queue, 0) / 1000)
        self._parked.set(parked)

    def delivered(self, count: int) -> None:
        """How many an interface engine took, or the EPD committed to, that nothing proves to be filed."""
        self._delivered.set(count)

    def up(self, server: str, answers: bool) -> None:
        """Whether a server answered just now."""
        self._up.labels(server).set(1 if answers else 0)

    def _moved(self, queue: str, *, put: int = 0, done: int = 0, failed: int = 0) -> None:
        known = self._flows.get(queue, Flow())
        self._flows[queue] = Flow(known.put + put, known.done + done, known.failed + failed)

    def flows(self) -> dict[str, Flow]:
        """By queue, what this process did since it began."""
        return dict(self._flows)

    def open_circuits(self) -> tuple[str, ...]:
        """The queues whose step waits for a server."""
        return tuple(sorted(self._open))

    def exposition(self) -> bytes:
        """All metrics as text."""
        return generate_latest(self.registry)
