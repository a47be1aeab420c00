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
    read_by_care_team: bool = False
    filed_at: datetime | None = None
    notice: Notice | None = None

    def __repr__(self) -> str:
        """Never the text: reprs end up in logs."""
        return f"Message({self.id}, {self.status})"


class Thread(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation; in a list of threads with its last message alone.

    `unread` are the clinicians' messages that this person has not read; 100 stands for as many or more. `next` is there
    when more messages follow: `Patient.messages` goes through all.
    """

    id: str
    status: str
    unread: int = 0
    closed_by: str | None = None
    closed_at: datetime | None = None
    opened_at: datetime | None = None
    private: bool | None = None
    messages: tuple[Message, ...] = ()
    next: str | None = None


class ThreadPage(msgspec.Struct, frozen=True):
    """A page of threads, and where the next one begins."""

    threads: tuple[Thread, ...]
    next: str | None = None


class ThreadStatus(msgspec.Struct, frozen=True):
    """Whether a thread is `open` or `closed`; `closed_by` patient, representative or care_team."""

    status: str
    closed_by: str | None = None
    closed_at: datetime | None = None


class Recipient(msgspec.Struct, frozen=True):
    """To whom a patient may write: by `department`, None for the team that treats. `treats`: it treats the patient."""

    care_team: str
    treats: bool
    department: str | None = None
    name: str | None = None


class Notifications(msgspec.Struct, frozen=True):
    """The e-mail that says that there is a message: off, unconfirmed, confirmed or refused, `since` when.

    `offered`: whether the hospital sends it.
    """

    offered: bool
    state: str
    since: datetime | None = None
    address: str | None = None
    language: str | None = None

    def __repr__(self) -> str:
        """Never the address: reprs end up in logs."""
        return f"Notifications({self.state})"


class Terms(msgspec.Struct, frozen=True):
    """The terms of use in force, where they can be read by language, and whether they are still to be accepted."""

    to_accept: bool
    version: str | None = None
    texts: Mapping[str, str] = {}
