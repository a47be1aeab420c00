"""What is filed: one message as the clinician will find it, before it is put into HL7."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from messaging_service.domain.message import Identifier


@dataclass(frozen=True, slots=True, repr=False)
class FilingDocument:
    """One message to file.

    `message_id` becomes TXA-12 and never changes; `thread` is TXA-13, the message id of the thread's first
    message, None when this is the first. Times are aware and written in the zone they are given in. `body`
    is readable text. `original_note` says that the patient's own formatting is kept elsewhere.
    """

    message_id: str
    control_id: str
    thread: str | None
    written_at: datetime
    sent_at: datetime
    identifiers: tuple[Identifier, ...]
    patient_name: str
    author_name: str
    author_role: str
    care_team_code: str
    care_team_name: str
    department_code: str
    subject: str
    body: str
    urgent: bool = False
    topics: tuple[str, ...] = ()
    caution: bool = False
    original_note: bool = False

    def __repr__(self) -> str:
        """Identifiers of the message, never who or what it is about."""
        return f"FilingDocument({self.message_id!r}, control_id={self.control_id!r})"
