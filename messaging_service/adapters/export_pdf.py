"""Messages as a PDF that can be read and searched, printed off the event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from messaging_service.application.export import Exported, Mark
from messaging_service.tenants import Tenant

if TYPE_CHECKING:
    from messaging_service.adapters.export_book import Book

MOST_CHARACTERS = 1_000_000
"""In one document; what is beyond comes in the next part, so that no export takes more memory than this."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A document, and where the next part begins; None: this was the last."""

    document: bytes
    next: Mark | None


class PdfExport:
    """Prints one export at a time, a message at a time and off the event loop; the others wait for their turn."""

    def __init__(self, most: int = MOST_CHARACTERS) -> None:
        self._most = most
        self._turn = asyncio.Semaphore(1)

    async def __call__(self, tenant: Tenant, exported: Exported, language: str) -> Printed:
        """The document of an export, or of its first part. `language` is that of the words around the messages."""
        async with self._turn:
            book, last = await asyncio.to_thread(_begin, tenant, exported.taken_at, language), None
            async for one in exported.messages:
                if last is not None and book.characters > self._most:
                    return Printed(await asyncio.to_thread(book.done, more=True), last)
                await asyncio.to_thread(book.add, one)
                last = one.mark
            return Printed(await asyncio.to_thread(book.done, more=False), None)


def _begin(tenant: Tenant, taken_at: int, language: str) -> Book:
    """What draws is loaded by whoever prints first: 48 MB that no worker needs, nor a gateway that prints nothing."""
    from messaging_service.adapters.export_book import Book

    return Book(tenant, taken_at, language)
