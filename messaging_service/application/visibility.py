"""Which threads somebody sees: the one place that decides, for reading, lists, search, events and export."""

from __future__ import annotations

from collections.abc import Collection

from messaging_service.application.callers import PATIENT
from messaging_service.application.threads import StoredThread
from messaging_service.domain.message import Author


def sees(author: Author, records: Collection[str], thread: StoredThread) -> bool:
    """Whether this author, let in to these records, sees the thread.

    A thread that is private to the patient does not exist for anybody who acts for the patient.
    """
    return thread.patient in records and (thread.private is False or author.role == PATIENT)
