"""What is filed: one message as the clinician will find it, before it is put into HL7."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from messaging_service.domain.filing import Change
from messaging_service.domain.message import Identifier


@dataclass(frozen=True, slots=True, repr=False)
class FilingDocument:
    """One document to file: a message, or a later change of it.

    `document` is TXA-12 and never changes: the message's id, or for a correction by T10 that of the correction, and
    then `replaces` is TXA-12 of the document it takes the place of. `message_id` numbers a result (ORU^R01) through
    all its changes. `thread` is the message id of the thread's first message, None when this is the first. Times are
    aware and written in the zone they are given in. `body` is readable text. `original_note` says that the patient's
    own formatting is kept elsewhere. `reason` is a code of why it is changed.
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
    document: str = ""
    replaces: str = ""
    change: Change = Change.NEW
    reason: str = ""
    author_relation: str = ""

    @property
    def number(self) -> str:
        """TXA-12."""
        return self.document or self.message_id

    def __repr__(self) -> str:
        """Identifiers of the message, never who or what it is about."""
        return f"FilingDocument({self.number!r}, control_id={self.control_id!r})"
