"""Changes to filed messages in the store: what is to be corrected in the EPD, and what to be withdrawn."""

from __future__ import annotations

from dataclasses import dataclass, field

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import CHANGES
from messaging_service.application.ports import DocumentStore
from messaging_service.domain.filing import Change

CORRECTION = "correction"
"""The field that a corrected text is sealed as."""


@dataclass(frozen=True, slots=True)
class CorrectedText:
    """What stands in the place of the text that was filed: plain text."""

    subject: str
    body: str

    def __repr__(self) -> str:
        """Never the text."""
        return f"CorrectedText({len(self.body)} characters)"


@dataclass(frozen=True, slots=True)
class StoredChange:
    """The how-manieth (`number`, from 1) change of a message. `id` is its filing's id as well.

    `document` is its TXA-12 and `replaces`, for a correction that is a document of its own, that of the one before.
    `sealed` holds a CorrectedText, under the patient's key; empty for a withdrawal.
    """

    id: str
    tenant: str
    message: str
    number: int
    kind: Change
    reason: str
    document: str
    replaces: str
    ordered_at: int
    sealed: bytes = field(repr=False)
    version: int = 1


class Changes:
    """Reads and writes them."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def of(self, message: str) -> list[StoredChange]:
        """Those of a message, in order."""
        found = await self._store.find(CHANGES, "of_message", {"message": message}, limit=1000)
        return [from_document(document, StoredChange) for document in found]

    async def get(self, id: str) -> StoredChange | None:
        """One of them."""
        document = await self._store.get(CHANGES, id)
        return from_document(document, StoredChange) if document else None

    async def add(self, change: StoredChange) -> bool:
        """False when the message has a change of that number already."""
        return (await self._store.insert(CHANGES, [to_document(change)]))[0]
