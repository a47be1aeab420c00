"""Pages of what several finds give, by time. No page ends inside a moment: none is missed or repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from messaging_service.application.ports import Collection, Document, DocumentStore

_MOST = 16
"""A page grows to so many times its size where that many share one moment; beyond it the rest is left out."""


@dataclass(frozen=True, slots=True)
class Found:
    """One find: what `equal` gives on the leading fields of `index`, in the order of `field`, the next one."""

    collection: Collection
    index: str
    equal: Mapping[str, Any]
    field: str


async def page_of(
    store: DocumentStore,
    finds: Sequence[Found],
    *,
    after: Any = None,
    until: Any = None,
    descending: bool = False,
    limit: int,
    keep: Callable[[Found, Document], bool] = lambda find, document: True,
) -> tuple[list[tuple[Found, Document]], Any]:
    """About `limit` documents after the moment `after`, and the moment to go on after; None: there are no more.

    Reads at most `limit` documents a find, more only where all of them share one moment. `until` is an exclusive bound
    at the far end. What `keep` refuses is read and left out.
    """
    above, below = (until, after) if descending else (after, until)
    for times in (1, 4, _MOST):
        asked = limit * times
        pages = await asyncio.gather(
            *(
                store.find(f.collection, f.index, f.equal, above=above, below=below, descending=descending, limit=asked)
                for f in finds
            )
        )
        merged = [(find, document) for find, page in zip(finds, pages, strict=True) for document in page]
        merged.sort(key=lambda one: one[1][one[0].field], reverse=descending)
        if all(len(page) < asked for page in pages) and len(merged) <= asked:
            return [one for one in merged if keep(*one)], None
        ends = merged[asked - 1][0].field
        last = merged[asked - 1][1][ends]
        whole = [one for one in merged[:asked] if one[1][one[0].field] != last]
        if whole:
            break
    else:
        whole = merged[:asked]
    return [one for one in whole if keep(*one)], whole[-1][1][whole[-1][0].field]
