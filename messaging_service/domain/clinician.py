"""What a clinician writes to a patient, as it is kept sealed."""

from __future__ import annotations

from dataclasses import dataclass

from messaging_service.domain.message import Content


@dataclass(frozen=True, slots=True)
class Reply:
    """A clinician's reply. `document` is its number in the EPD, `written_at` in milliseconds; name, role may lack."""

    content: Content
    name: str
    role: str
    document: str
    written_at: int

    def __repr__(self) -> str:
        """Never the text or the name."""
        return f"Reply({self.content!r})"
