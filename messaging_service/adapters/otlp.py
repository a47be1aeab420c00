"""Traces by OpenTelemetry, told by OTLP over HTTP; the one importer of its SDK, and itself imported only when on.

What the SDK's own environment variables (OTEL_…) say does not count: the service's settings do.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from messaging_service.application.ports import Span, SpanKind, Traces
from messaging_service.application.ports.tracing import valid_traceparent

log = structlog.get_logger()

MOST_WAITING = 4_096
"""Spans that wait to be told; those beyond are lost, and counted."""

_BATCH = 512
_EVERY_MS = 1_000
_SECONDS_TO_TELL = 5.0
_SECONDS_AT_THE_END = 2.0
_KINDS = {kind: trace.SpanKind[kind.name] for kind in SpanKind}
_ERROR = "error.type"


class OtlpTraces(Traces):
    """The traces of one process (port Traces)."""

    def __init__(
        self,
        endpoint: str,
        *,
        process: str,
        messaging_system: str,
        ratio: float = 1.0,
        ca_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        lost: Callable[[str, int], None],
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """Nothing is sent yet.

        `endpoint` is a URL; `ratio` of all traces are told, whoever began them; `lost` counts spans by the reason for
        which they are not: queue_full, not_taken.
        """
        self.messaging_system = messaging_system
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it is counted, and said once, below
        logging.getLogger("urllib3").setLevel(logging.CRITICAL)
        exporter = OTLPSpanExporter(
            endpoint=_with_path(endpoint),
            certificate_file=str(ca_file) if ca_file else None,
            headers=dict(headers or {}),
            timeout=_SECONDS_TO_TELL,
            compression=Compression.NoCompression,
        )
        gate = _Gate(exporter, lost, most_waiting)
        share = TraceIdRatioBased(ratio)
        self._provider = TracerProvider(
            sampler=ParentBased(share, remote_parent_sampled=share, remote_parent_not_sampled=ALWAYS_OFF),
            resource=Resource(
                {
                    "service.name": "messaging-service",
                    "service.instance.id": f"{process}@{socket.gethostname()}.{os.getpid()}",
                }
            ),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(gate)
        self._tracer = self._provider.get_tracer("messaging_service")

    @contextmanager
    def span(self, name: str, kind: SpanKind, attributes: Mapping[str, str | int], parent: str = "") -> Iterator[Span]:
        """See `Traces`."""
        here = trace.get_current_span().get_span_context()
        follows, links = _followed(here, valid_traceparent(parent))
        made = self._tracer.start_span(
            name,
            trace.set_span_in_context(NonRecordingSpan(follows)),
            _KINDS[kind],
            attributes=attributes,
            links=links,
            record_exception=False,
        )
        span = _OtlpSpan(made)
        with (
            trace.use_span(made, record_exception=False, set_status_on_exception=False),
            structlog.contextvars.bound_contextvars(trace_id=f"{made.get_span_context().trace_id:032x}"),
        ):
            try:
                yield span
            except BaseException as problem:
                span.say({_ERROR: type(problem).__name__})
                raise
            finally:
                span.end()

    def close(self) -> None:
        """Tell what is still to be told, within seconds; a collector that hangs is not waited for any longer."""
        telling = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        telling.start()
        telling.join(_SECONDS_AT_THE_END)


def _with_path(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return endpoint if parts.path.strip("/") else parts._replace(path="/v1/traces").geturl()


def _followed(here: SpanContext, parent: str) -> tuple[SpanContext, list[Link]]:
    """Which span the new one follows, and which it is only linked to."""
    if not parent:
        return here, []
    _, trace_id, span_id, flags = parent.split("-")
    given = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16) & 1))
    if here.trace_id == given.trace_id:
        return here, []
    return given, [Link(here)] if here.is_valid else []


class _OtlpSpan(Span):
    def __init__(self, made: trace.Span) -> None:
        self._made = made
        self._forgotten = False
        self._failed = False

    @property
    def traceparent(self) -> str:
        context = self._made.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}"

    def say(self, attributes: Mapping[str, str | int]) -> None:
        """The first fault is the one: what is raised after it is its consequence."""
        if _ERROR in attributes:
            if self._failed:
                return
            self._failed = True
            self._made.set_status(Status(StatusCode.ERROR))
        self._made.set_attributes(attributes)

    def forget(self) -> None:
        self._forgotten = True

    def end(self) -> None:
        """A span that never ends is never told."""
        if not self._forgotten:
            self._made.end()


class _Gate(SpanProcessor):
    """Lets so many ended spans wait at most, in the library's queue and thread; counts those that are lost.

    The library's own queue drops the oldest in silence when it is full; behind this gate it never is.
    """

    def __init__(self, exporter: SpanExporter, lost: Callable[[str, int], None], most: int) -> None:
        self._lost = lost
        self._most = most
        self._waiting = 0
        self._lock = threading.Lock()
        self._batches = BatchSpanProcessor(
            _Told(exporter, self._left, lost),
            max_queue_size=most,
            schedule_delay_millis=_EVERY_MS,
            max_export_batch_size=min(_BATCH, most),
            export_timeout_millis=1000 * _SECONDS_TO_TELL,
        )

    def on_end(self, span: ReadableSpan) -> None:
        """It waits, or is lost."""
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        with self._lock:
            full = self._waiting >= self._most
            if not full:
                self._waiting += 1
        if full:
            self._lost("queue_full", 1)
        else:
            self._batches.on_end(span)

    def shutdown(self) -> None:
        """See `SpanProcessor`."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]  # the library gives it no types

    def _left(self, count: int) -> None:
        with self._lock:
            self._waiting -= count


class _Told(SpanExporter):
    """Counts what the collector did not take, and says once that it does not, and once that it does again."""

    def __init__(self, inner: SpanExporter, left: Callable[[int], None], lost: Callable[[str, int], None]) -> None:
        self._inner = inner
        self._left = left
        self._lost = lost
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """A batch, on the library's thread."""
        try:
            result = self._inner.export(spans)
        finally:
            self._left(len(spans))
        failed = result is not SpanExportResult.SUCCESS
        if failed:
            self._lost("not_taken", len(spans))
        if failed != self._fails:
            self._fails = failed
            log.warning("traces_not_taken" if failed else "traces_taken_again", setting="MESSAGING_TRACES")
        return result

    def shutdown(self) -> None:
        """See `SpanExporter`."""
        self._inner.shutdown()
