"""What has happened, in the past tense; these are the bodies on the queues (contracts/asyncapi.yaml).

Times are milliseconds since 1970 in UTC. Only MessageAccepted carries content, and that sealed.
"""

from __future__ import annotations

from dataclasses import dataclass

from messaging_service.domain.message import Lane


@dataclass(frozen=True, slots=True)
class MessageAccepted:
    """The gateway answered, or is about to answer, 202.

    `run` and `number` are the gateway run's own count of publishes: the ledger finds gaps by them. `identifier` is the
    keyed digest by which the patient is looked up; "" from a gateway before it told.
    """

    message: str
    tenant: str
    thread: str
    lane: Lane
    alarm: bool
    accepted_at: int
    run: str
    number: int
    sealed: bytes
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class MessagePersisted:
    """The message lies sealed in the store, routed and in its place in the thread."""

    message: str
    tenant: str
    thread: str
    lane: Lane
    accepted_at: int


@dataclass(frozen=True, slots=True)
class ChangeOrdered:
    """A message that the EPD has is to be corrected there or withdrawn; `message` is the id of the change."""

    message: str
    tenant: str
    thread: str
    lane: Lane
    accepted_at: int


@dataclass(frozen=True, slots=True)
class MessageFiled:
    """The EPD acknowledged the message."""

    message: str
    tenant: str
    thread: str
    filed_at: int


@dataclass(frozen=True, slots=True)
class MessageEscalated:
    """On-call was told of an urgent message, or the alarm of its thread counted one more."""

    message: str
    tenant: str
    thread: str
    escalated_at: int


@dataclass(frozen=True, slots=True)
class AlarmRehearsed:
    """The way of an alarm is tried; there is no such message, and nobody is to be woken."""

    message: str
    tenant: str
    thread: str
    accepted_at: int


@dataclass(frozen=True, slots=True)
class MessageParked:
    """A step gave up on the message; a person has it now, and the patient is told to call."""

    message: str
    tenant: str
    thread: str
    parked_at: int


@dataclass(frozen=True, slots=True)
class ReplyReceived:
    """A clinician's reply can be read, or one that a clinician began a thread with."""

    message: str
    tenant: str
    thread: str
    received_at: int


@dataclass(frozen=True, slots=True)
class ReplyChanged:
    """A reply now reads otherwise, or is shown again after it was withdrawn."""

    message: str
    tenant: str
    thread: str
    changed_at: int


@dataclass(frozen=True, slots=True)
class ReplyWithdrawn:
    """A reply was withdrawn by its clinician and cannot be read any more."""

    message: str
    tenant: str
    thread: str
    withdrawn_at: int


@dataclass(frozen=True, slots=True)
class ReplyOverdue:
    """The date until which an answer was aimed at has passed without one."""

    message: str
    tenant: str
    thread: str
    overdue_at: int


@dataclass(frozen=True, slots=True)
class MessageHandled:
    """The care team handled the message without a written answer, by telephone for instance."""

    message: str
    tenant: str
    thread: str
    handled_at: int


@dataclass(frozen=True, slots=True)
class MessageRead:
    """The care team has read the thread up to this message."""

    message: str
    tenant: str
    thread: str
    read_at: int


@dataclass(frozen=True, slots=True)
class ThreadClosed:
    """The thread takes no more messages; `message` is the one that opened it."""

    message: str
    tenant: str
    thread: str
    closed_at: int


@dataclass(frozen=True, slots=True)
class ThreadReopened:
    """A thread that was closed takes messages again; `message` is the one that opened it."""

    message: str
    tenant: str
    thread: str
    reopened_at: int


ThreadEvent = MessageRead | ThreadClosed | ThreadReopened
ReplyEvent = ReplyReceived | ReplyChanged | ReplyWithdrawn
MessageEvent = MessageAccepted | MessagePersisted | ChangeOrdered | MessageFiled | MessageEscalated | MessageParked
ReplyDateEvent = ReplyOverdue | MessageHandled
Event = MessageEvent | ReplyEvent | ReplyDateEvent | ThreadEvent | AlarmRehearsed
