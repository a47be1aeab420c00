"""Events and documents as bytes and back; the one place that knows how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from messaging_service.application.ports import Document, Envelope
from messaging_service.domain.errors import MessageFault
from messaging_service.domain.events import Event

T = TypeVar("T")
_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not what they should be."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An envelope and the queue it goes to."""

    queue: str
    envelope: Envelope


def outgoing(queue: str, event: Event, headers: Mapping[str, str | int] | None = None) -> Outgoing:
    """The event as an envelope for `queue`; the header `queue` tells the park step where it was going."""
    kind, marked = type(event).__name__, {**(headers or {}), "queue": queue}
    return Outgoing(queue, Envelope(event.message, kind, _json.encode(event), marked))


def read_event(envelope: Envelope, kind: type[T]) -> T:
    """The event in an envelope.

    Raises:
        MessageFault: final; the body is not such an event.
    """
    try:
        return msgspec.json.decode(envelope.body, type=kind)
    except UNREADABLE as problem:
        raise MessageFault("unreadable_event", kind.__name__, final=True) from problem


def pack(value: object) -> bytes:
    """A dataclass as compact bytes, to be sealed."""
    return _msgpack.encode(value)


def unpack(packed: bytes, kind: type[T]) -> T:
    """What `pack` wrote. Raises MessageFault when it is something else."""
    try:
        return msgspec.msgpack.decode(packed, type=kind)
    except UNREADABLE as problem:
        raise MessageFault("unreadable_content", kind.__name__, final=True) from problem


def to_document(value: object) -> Document:
    """A dataclass as a document; bytes stay bytes."""
    document: Document = msgspec.to_builtins(value, builtin_types=(bytes,))
    return document


def from_document(document: Mapping[str, Any], kind: type[T]) -> T:
    """The dataclass of a document."""
    return msgspec.convert(document, kind, builtin_types=(bytes,))
