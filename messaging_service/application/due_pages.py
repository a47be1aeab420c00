"""What is due, page by page by an index: the one way in which the clock's work goes through a collection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from messaging_service.application.ports import Collection, Document, DocumentStore

PAGE = 100


async def due_pages(
    store: DocumentStore,
    collection: Collection,
    index: str,
    equal: Mapping[str, Any],
    *,
    above: Any = None,
    below: Any,
    most: int | None = None,
) -> AsyncIterator[list[Document]]:
    """Pages of documents, oldest first, at most `most` of them; whoever asks takes each out of the index, or leaves it.

    What is left is passed by where the index sorts by a number, and ends the walk where nothing moved.
    """
    field = collection.index(index).fields[len(equal)]
    before: list[Document] = []
    number = 0
    while page := await store.find(collection, index, equal, above=above, below=below, limit=PAGE):
        if page == before or number == most:
            return
        yield page
        before, number, last = page, number + 1, page[-1][field]
        if isinstance(last, int):
            above = last - 1 if above is None else max(above, last - 1)


async def remove_due(
    store: DocumentStore, collection: Collection, index: str, tenants: Iterable[str], *, below: Any
) -> int:
    """Delete all of `tenants` that is due; returns how many went. Raises StoreDown; what is left goes the next time."""
    removed = 0
    for tenant in tenants:
        async for page in due_pages(store, collection, index, {"tenant": tenant}, below=below):
            removed += sum(await asyncio.gather(*(store.delete(collection, document["id"]) for document in page)))
    return removed
