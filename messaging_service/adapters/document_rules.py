"""What every document store holds its callers to, so that one behaves like another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from messaging_service.application.ports import Collection, Document, Index
from messaging_service.domain.errors import MessagingError

MAX_DOCUMENT_BYTES = 15 * 1024 * 1024
"""A little under the 16 MiB that MongoDB allows a document, in every store."""

_INT64 = 1 << 63


class IndexNotShardable(MessagingError):
    """A unique index lacks its collection's shard key, so no cluster can enforce it. Add the key to it."""


class QueryInvalid(MessagingError):
    """A find or count asks what its index cannot answer. Give its leading fields, and bound only the next."""


class DocumentInvalid(MessagingError):
    """A document cannot be stored: it is too large or holds what no store keeps or no index compares."""


class IndexDiffers(MessagingError):
    """An index exists with other fields than are declared now. Drop it in the database and start again."""


def check_collections(collections: Sequence[Collection]) -> None:
    """Raise IndexNotShardable for the first unique index that does not contain its collection's shard key."""
    for collection in collections:
        for index in collection.indexes:
            if index.unique and collection.shard_key not in index.fields:
                raise IndexNotShardable(f"{collection.name}.{index.name}")


def ordering(index: Index) -> tuple[str, ...]:
    """The index's fields, and the id behind them where two documents can be equal in all of them."""
    return index.fields if index.unique or "id" in index.fields else (*index.fields, "id")


def encoded(collection: Collection, encode: Callable[[Document], bytes], document: Document) -> bytes:
    """`document` in bytes.

    Raises:
        DocumentInvalid: it holds a type that is not stored, or is larger than MAX_DOCUMENT_BYTES.
    """
    try:
        body = encode(document)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise DocumentInvalid(f"{collection.name}: {type(exc).__name__}") from None  # its text may quote content
    if len(body) > MAX_DOCUMENT_BYTES:
        raise DocumentInvalid(f"{collection.name}: {len(body)} bytes")
    return body


@dataclass(frozen=True, slots=True)
class Query:
    """Which fields a find compares, bounds and sorts by; values are not part of it, so it can be reused."""

    equal: tuple[str, ...]
    bounded: str | None
    order: tuple[str, ...]


class Shape:
    """A collection as its adapter sees it: which documents it takes and which questions it answers."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.indexed: dict[str, bool] = {}
        """Every indexed field but `id` and `version`, and whether a unique index holds it."""
        for index in collection.indexes:
            for name in index.fields:
                if name not in ("id", "version"):
                    self.indexed[name] = self.indexed.get(name, False) or index.unique
        self._queries: dict[tuple[str, frozenset[str], bool], Query] = {}

    def check(self, document: Document) -> None:
        """Let pass what every store treats alike: indexed fields are str, 64-bit int or, if not unique, None.

        Servers disagree on booleans and on whether two absent values collide in a unique index.

        Raises:
            DocumentInvalid: naming the field, never its value.
        """
        if not isinstance(document.get("id"), str):
            raise DocumentInvalid(f"{self.collection.name}.id")
        for name, unique in self.indexed.items():
            value = document.get(name)
            if (value is None and unique) or not _comparable(value):
                raise DocumentInvalid(f"{self.collection.name}.{name}")

    def query(self, index: str, equal: Mapping[str, Any], *, bounded: bool) -> Query:
        """The query on `index` for `equal`, with a bound on the next field if `bounded`.

        Raises:
            KeyError: the collection declares no index of that name.
            QueryInvalid: `equal` is not the index's leading fields, or no field is left to bound.
        """
        key = (index, frozenset(equal), bounded)
        if key not in self._queries:
            self._queries[key] = _query(self.collection, *key)
        return self._queries[key]


def check_values(values: Iterable[Any]) -> None:
    """Raise QueryInvalid unless each is a str, a 64-bit int or None, and can be sent to a server."""
    for value in values:
        if not _comparable(value) or (isinstance(value, str) and not _is_text(value)):
            raise QueryInvalid(f"a {type(value).__name__}")


def _comparable(value: Any) -> bool:
    if isinstance(value, str) or value is None:
        return True
    return isinstance(value, int) and not isinstance(value, bool) and -_INT64 <= value < _INT64


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which no server stores
        return False
    return True


def _query(collection: Collection, name: str, equal: frozenset[str], bounded: bool) -> Query:
    index = collection.index(name)
    leading, rest = index.fields[: len(equal)], index.fields[len(equal) :]
    if set(leading) != equal or (bounded and not rest):
        raise QueryInvalid(f"{collection.name}.{name} by {', '.join(sorted(equal))}")
    return Query(leading, rest[0] if bounded else None, ordering(index)[len(equal) :])
