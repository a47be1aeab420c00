"""Document stores to test against: a place is where one keeps its data, and any number of stores open it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from messaging_service.application.ports import Collection, Document, DocumentStore, Index

NOTES = Collection(
    "notes",
    (
        Index("slot", ("tenant", "slot"), unique=True),
        Index("state", ("tenant", "state", "at")),
    ),
    shard_key="tenant",
)
"""A collection that has all there is: a unique index, one with ties, fields that no index names."""


def note(id: str, *, tenant: str = "spijkenisse", slot: int | None = None, **fields: Any) -> Document:
    """A document for NOTES; the slot is its own unless given."""
    own = int.from_bytes(id.encode()[-7:].rjust(7, b"\0"))
    document = {"id": id, "version": 1, "tenant": tenant, "slot": own if slot is None else slot}
    return document | {"state": "new", "at": 1} | fields


class StorePlace:
    """Opens stores over the same data and closes them all."""

    def __init__(self, make: Callable[[], DocumentStore]) -> None:
        self._make = make
        self._made: list[DocumentStore] = []

    def store(self) -> DocumentStore:
        """One more store over the place, not yet open."""
        self._made.append(self._make())
        return self._made[-1]

    async def open(self, *collections: Collection) -> DocumentStore:
        """One more store, with those collections or NOTES."""
        store = self.store()
        await store.open(collections or (NOTES,))
        return store

    async def close(self) -> None:
        """Close every store that was made."""
        for store in self._made:
            await store.close()
