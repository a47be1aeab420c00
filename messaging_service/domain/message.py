"""The message on its way: lanes, steps, states and the parts that travel sealed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Lane(StrEnum):
    """Which queue a message takes; an urgent one never waits behind a backlog."""

    URGENT = "urgent"
    NORMAL = "normal"


class Step(StrEnum):
    """The workers' steps, named as in the architecture page."""

    PERSIST = "persist"
    FILE = "file"
    ESCALATE = "escalate"
    NOTIFY = "notify"
    PARK = "park"


class State(StrEnum):
    """How far a message is, as its writer sees it."""

    ACCEPTED = "accepted"
    PERSISTED = "persisted"
    DELIVERED = "delivered"
    FILED = "filed"
    PARKED = "parked"
    CLOSED = "closed"


class BodyFormat(StrEnum):
    """What the portal says the body is."""

    TEXT = "text"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Identifier:
    """One of a patient's numbers, e.g. Identifier("bsn", "999911120") or Identifier("local", "1234")."""

    system: str
    value: str

    def __repr__(self) -> str:
        """Never the number: reprs end up in logs and tracebacks."""
        return f"Identifier({self.system!r}, …)"


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote: the patient or somebody acting for the patient (terms article 1.1).

    `relation` is what the one who acts is to the patient, as registered (`representative.Kind`).
    """

    subject: str
    role: str
    name: str
    relation: str = ""

    def __repr__(self) -> str:
        """Never the name or the subject."""
        return f"Author(role={self.role!r})"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why the screening judged as it did; `start` and `end` are code points in the text as typed."""

    rule: str
    kind: str
    topic: str
    start: int
    end: int
    context: str
    field: str


@dataclass(frozen=True, slots=True)
class Triage:
    """The screening's verdict, kept sealed with the message."""

    urgent: bool
    alarm: bool
    caution: bool
    topics: tuple[str, ...]
    categories: tuple[str, ...]
    findings: tuple[Finding, ...]
    lexicon: str

    @property
    def lane(self) -> Lane:
        """The lane this verdict asks for."""
        return Lane.URGENT if self.urgent else Lane.NORMAL


@dataclass(frozen=True, slots=True)
class Content:
    """What the patient wrote. `typed` is exact; `clean` may be shown and filed (equal for plain text)."""

    subject: str
    typed: str
    clean: str
    typed_format: BodyFormat
    clean_format: BodyFormat
    language: str

    def __repr__(self) -> str:
        """Never the text."""
        return f"Content({self.typed_format}, {len(self.typed)} characters)"


@dataclass(frozen=True, slots=True)
class Submission:
    """What the gateway seals for transit: everything the later steps need and nobody else may read.

    `reply_by` is the ISO date the patient was shown; `checked` is False when the store was down and an
    urgent message was let through, its account check left to persist. `private`: the thread that it opens is the
    patient's alone.
    """

    identifiers: tuple[Identifier, ...]
    patient_name: str
    author: Author
    content: Content
    triage: Triage
    department: str | None
    reply_by: str
    checked: bool
    private: bool = False


def thread_of(message_id: str, thread: str | None) -> str:
    """A message without a thread opens one, named after itself, so that a retry opens the same one."""
    return thread or message_id
