"""What the API answers, as types. Members that are not known yet are None; ones that are new to us are passed over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Literal

import msgspec


class Notice(msgspec.Struct, frozen=True):
    """To be shown to the patient at once and whole; `telephone` has the numbers in it, 112 first."""

    text: str
    language: str
    telephone: tuple[str, ...]


class Span(msgspec.Struct, frozen=True):
    """Where in `subject` or `body` something is, in UTF-16 units, as JavaScript counts."""

    field: str
    start: int
    end: int


class Accepted(msgspec.Struct, frozen=True):
    """A message that is durably queued. `notice` is there when it is urgent: show it before anything else."""

    id: str
    thread: str
    status_url: str
    reply_by: date
    reply_by_text: str
    urgent: bool
    notice: Notice | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the patient's, or a clinician's reply. Escape a `body` of format text where you show it as HTML.

    `status` and `reply_status` may get values that are not known yet.
    """

    id: str
    status: str
    advice: str | None = None
    thread: str | None = None
    subject: str | None = None
    body: str | None = None
    format: Literal["text", "html"] | None = None
    language: str | None = None
    written_by: str | None = None
    name: str | None = None
    relation: str | None = None
    role: str | None = None
    written_at: datetime | None = None
    reply_by: date | None = None
    reply_status: str | None = None
    reply_by_text: str | None = None
    urgent: bool = False
    accepted_at: datetime | None = None
    care_team: str | None = None
    filed_at: datetime | None = None
    notice: Notice | None = None

    def __repr__(self) -> str:
        """Never the text: reprs end up in logs."""
        return f"Message({self.id}, {self.status})"


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation; in a list of threads with its last message alone."""

    id: str
    status: str
    opened_at: datetime | None = None
    private: bool | None = None
    messages: tuple[Message, ...] = ()


class ThreadPage(msgspec.Struct, frozen=True):
    """A page of threads, and where the next one begins."""

    threads: tuple[Thread, ...]
    next: str | None = None


class Terms(msgspec.Struct, frozen=True):
    """The terms of use in force, where they can be read by language, and whether they are still to be accepted."""

    to_accept: bool
    version: str | None = None
    texts: Mapping[str, str] = {}
