"""What stands in a store's and a queue's files, and what a reader of a release's samples may rely on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from messaging_service.application.ports import Envelope

Documents = dict[tuple[str, str], dict[str, Any]]
"""By collection and id."""


def documents(folder: Path) -> Documents:
    """All that are stored."""
    with sqlite3.connect(folder / "documents.sqlite") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {
            (table, id): msgspec.msgpack.decode(body)
            for table in tables
            for id, body in connection.execute(f'SELECT id, body FROM "{table}"')
        }
    connection.close()
    return found


def envelopes(folder: Path) -> list[Envelope]:
    """All that are in a queue."""
    with sqlite3.connect(folder / "queue.sqlite") as connection:
        rows = connection.execute("SELECT message_id, kind, body, headers FROM messages").fetchall()
    connection.close()
    return [Envelope(id, kind, bytes(body), msgspec.json.decode(headers)) for id, kind, body, headers in rows]


def objects(value: object, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The value's objects, itself and within, each by where it stands; the items of a list stand at one place."""
    if isinstance(value, dict):
        yield path, value
        for name, member in value.items():
            yield from objects(member, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from objects(item, f"{path}[]")


def relied_on(stored: Documents) -> dict[str, dict[str, set[type]]]:
    """By place: the members that every object there has, and the types that they were seen with."""
    found: dict[str, dict[str, set[type]]] = {}
    for (collection, _), document in stored.items():
        for path, each in objects(document, collection):
            known = found.setdefault(path, {name: set() for name in each})
            for name in set(known) - set(each):
                del known[name]
            for name in known:
                known[name].add(type(each[name]))
    return found
