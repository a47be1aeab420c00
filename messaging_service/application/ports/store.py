"""The port of the document store: collections, indexes, and the few calls every backend handles well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Document = dict[str, Any]
"""Keys are strings; values str, int, bool, None, bytes, list or dict of these. `id` is a str; `version` an int."""


@dataclass(frozen=True, slots=True)
class Index:
    """A declared index: the only way to find documents other than by id.

    `fields` are top-level names, compared as str or int; a find gives the leading ones and ranges over the next.
    """

    name: str
    fields: tuple[str, ...]
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection, its indexes, and the field a cluster shards it by (part of every unique index)."""

    name: str
    indexes: tuple[Index, ...] = ()
    shard_key: str = "id"

    def index(self, name: str) -> Index:
        """The index of that name.

        Raises:
            KeyError: none is declared.
        """
        for index in self.indexes:
            if index.name == name:
                return index
        raise KeyError(name)


class DocumentStore(Protocol):
    """A store of documents. Every write that returned survives a crash. Raises StoreDown on any server fault.

    Concurrent calls are batched by the adapter: many small awaits cost about one round trip.
    """

    async def open(self, collections: Sequence[Collection]) -> None:
        """Connect and make sure that collections and indexes exist. Before that, every other call raises StoreDown."""

    async def insert(self, collection: Collection, documents: Sequence[Document]) -> list[bool]:
        """Insert each at version 1; False for each whose id or unique index is taken (nothing is changed)."""

    async def get(self, collection: Collection, id: str) -> Document | None:
        """The document with that id."""

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> dict[str, Document]:
        """Those of the documents that exist, by id."""

    async def find(
        self,
        collection: Collection,
        index: str,
        equal: Mapping[str, Any],
        *,
        above: Any = None,
        below: Any = None,
        descending: bool = False,
        limit: int = 100,
    ) -> list[Document]:
        """Documents with `equal` on the leading fields of `index`, sorted by its remaining fields.

        `above` and `below` are exclusive bounds on the first field that `equal` does not give.
        """

    async def count(self, collection: Collection, index: str, equal: Mapping[str, Any]) -> int:
        """How many documents have `equal` on the leading fields of `index`."""

    async def replace(self, collection: Collection, document: Document) -> bool:
        """Replace the document of that id if its stored version equals `document["version"]`.

        Stores it with the version raised by one; False when it is gone or was changed meanwhile, or when the new
        values collide on a unique index.
        """

    async def delete(self, collection: Collection, id: str) -> bool:
        """Delete; False when there was none."""

    async def ping(self) -> None:
        """Raise StoreDown unless a round trip to the server works now."""

    async def close(self) -> None:
        """Finish what was begun and let go of the connections."""
