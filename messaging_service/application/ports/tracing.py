"""The port of traces: what one message went through, as spans of one trace. Off, there is none of it (None)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import Enum
from typing import Protocol

TRACEPARENT = "traceparent"
"""The header of W3C Trace Context, of requests and of envelopes alike."""

_VERSION_00 = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def valid_traceparent(given: object) -> str:
    """`given` where it is a traceparent of version 00 (W3C Trace Context §3.2), else ""."""
    return given if isinstance(given, str) and _VERSION_00.fullmatch(given) else ""


class SpanKind(Enum):
    """Which side of a call or of a queue a span is."""

    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """A piece of work that is under way."""

    @property
    def traceparent(self) -> str:
        """What those who go on with it are given."""

    def say(self, attributes: Mapping[str, str | int]) -> None:
        """Codes, names and ids of ours, never content or a patient's number. `error.type` marks it as failed."""

    def forget(self) -> None:
        """Nothing was done after all: it is not told."""


class Traces(Protocol):
    """Where spans are begun. Telling them costs no caller any time, and is given up where it cannot be done."""

    messaging_system: str
    """`messaging.system` of OpenTelemetry's conventions: which broker it is."""

    def span(
        self, name: str, kind: SpanKind, attributes: Mapping[str, str | int], parent: str = ""
    ) -> AbstractContextManager[Span]:
        """A span from entering to leaving; what is raised within marks it as failed, by the kind of error alone.

        It follows the one that is under way in this task. Where the traceparent `parent` is of another trace, it goes
        on with that trace instead, and is linked to the one under way.
        """
