"""The SQL of one collection: id, version, a column for each indexed field, and the whole as a blob."""

# ruff: noqa: S608 - names come from declared collections and are quoted; every value is a parameter

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from messaging_service.adapters.document_rules import IndexDiffers, Query, Shape, encoded, ordering
from messaging_service.application.ports import Collection, Document, Index

Row = tuple[Any, ...]

_MOST_ROWS = 64
_encode: Callable[[Document], bytes] = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class NotAllTaken(Exception):
    """Some rows of a statement of several were refused; one by one shows which. Stays in the adapter."""


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _column(name: str) -> str:
    return name if name in ("id", "version") else _quoted(f"f_{name}")


@dataclass(frozen=True, slots=True)
class Find:
    """A query with its values."""

    query: Query
    equal: Mapping[str, Any]
    above: Any = None
    below: Any = None
    descending: bool = False
    limit: int = 100


class Table:
    """Statements over many rows at once, since each step of one hands the interpreter lock over and back."""

    def __init__(self, collection: Collection) -> None:
        self.shape = Shape(collection)
        self.name = _quoted(collection.name)
        self.fields = tuple(self.shape.indexed)
        self._sql: dict[tuple[Any, ...], str] = {}

    def row(self, document: Document) -> Row:
        """Its id, its version, the indexed values and the encoded whole.

        Raises:
            DocumentInvalid: no store takes it.
        """
        self.shape.check(document)
        body = encoded(self.shape.collection, _encode, document)
        return (document["id"], document.get("version"), *[document.get(name) for name in self.fields], body)

    @staticmethod
    def document(row: Row) -> Document:
        """The document of a (version, body) row, the caller's own copy."""
        document: Document = _decode(row[1])
        document["version"] = row[0]
        return document

    def create(self, connection: sqlite3.Connection) -> None:
        """Make sure that table, columns and indexes exist; a new column is filled from the bodies.

        Raises:
            IndexDiffers: an index of that name has other fields.
        """
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self.name}"
            " (id TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL, body BLOB NOT NULL)"
        )
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({self.name})")}
        missing = [name for name in self.fields if f"f_{name}" not in present]
        for name in missing:
            connection.execute(f"ALTER TABLE {self.name} ADD COLUMN {_column(name)}")
        if missing:
            self._fill(connection, missing)
        for index in self.shape.collection.indexes:
            self._create_index(connection, index)

    def _fill(self, connection: sqlite3.Connection, fields: Sequence[str]) -> None:
        to_set = ", ".join(f"{_column(name)} = ?" for name in fields)
        for id, body in connection.execute(f"SELECT id, body FROM {self.name}"):
            document = _decode(body)
            values = [document.get(name) for name in fields]
            connection.execute(f"UPDATE {self.name} SET {to_set} WHERE id = ?", (*values, id))

    def _create_index(self, connection: sqlite3.Connection, index: Index) -> None:
        name = _quoted(f"{self.shape.collection.name}.{index.name}")
        columns = ", ".join(_column(field) for field in ordering(index))
        wanted = f"CREATE {'UNIQUE ' if index.unique else ''}INDEX {name} ON {self.name} ({columns})"
        found = connection.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?",
            (f"{self.shape.collection.name}.{index.name}",),
        ).fetchone()
        if found is None:
            connection.execute(wanted)
        elif found[0] != wanted:
            raise IndexDiffers(f"{self.shape.collection.name}.{index.name}")

    def insert(self, connection: sqlite3.Connection, rows: Sequence[Row], most: int = _MOST_ROWS) -> list[bool]:
        """Which rows were taken, each at version 1; at most `most` rows a statement.

        Raises:
            NotAllTaken: not every row of a statement of several; nothing tells which.
        """
        taken: list[bool] = []
        for part in _parts(rows, most):
            values = [value for id, _, *rest in part for value in (id, *rest)]
            inserted = connection.execute(self._insert_sql(len(part)), values).rowcount
            taken += _verdict(inserted, len(part))
        return taken

    def replace(self, connection: sqlite3.Connection, rows: Sequence[Row], most: int = _MOST_ROWS) -> list[bool]:
        """Which rows still had that version and were replaced; at most `most` rows a statement.

        Raises:
            NotAllTaken: not every row of a statement of several; nothing tells which.
        """
        taken: list[bool] = []
        for part in _parts(rows, most):
            values = [value for row in part for value in row]
            try:
                replaced = connection.execute(self._replace_sql(len(part)), values).rowcount
            except sqlite3.IntegrityError:  # SQLite undoes this statement alone
                replaced = 0
            taken += _verdict(replaced, len(part))
        return taken

    def delete(self, connection: sqlite3.Connection, id: str) -> bool:
        """Whether it was there."""
        sql = f"DELETE FROM {self.name} WHERE id = ?"
        return connection.execute(sql, (id,)).rowcount == 1

    def get(self, connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Row]:
        """The (version, body) rows that exist, by id."""
        sql = f"SELECT id, version, body FROM {self.name} WHERE id IN (SELECT value FROM json_each(?))"
        found = connection.execute(sql, (msgspec.json.encode(ids).decode(),)).fetchall()
        return {id: (version, body) for id, version, body in found}

    def find(self, asked: Find) -> tuple[str, list[Any]]:
        """SQL and parameters that give (version, body) rows."""
        condition, parameters = _where(asked)
        way = " DESC" if asked.descending else ""
        order = ", ".join(f"{_column(name)}{way}" for name in asked.query.order) or "id"
        sql = f"SELECT version, body FROM {self.name} WHERE {condition} ORDER BY {order} LIMIT ?"
        return sql, [*parameters, asked.limit]

    def count(self, asked: Find) -> tuple[str, list[Any]]:
        """SQL and parameters that give one row with the number."""
        condition, parameters = _where(asked)
        return f"SELECT count(*) FROM {self.name} WHERE {condition}", parameters

    def _insert_sql(self, rows: int) -> str:
        if ("insert", rows) not in self._sql:
            columns = ", ".join(["id", "version", *map(_column, self.fields), "body"])
            row = f"(?, 1{', ?' * (len(self.fields) + 1)})"
            values = ", ".join([row] * rows)
            self._sql["insert", rows] = f"INSERT OR IGNORE INTO {self.name} ({columns}) VALUES {values}"
        return self._sql["insert", rows]

    def _replace_sql(self, rows: int) -> str:
        if ("replace", rows) not in self._sql:
            columns = [*map(_column, self.fields), "body"]
            to_set = ", ".join(f"{column} = new.column{at}" for at, column in enumerate(columns, 3))
            values = ", ".join([f"(?{', ?' * (len(columns) + 1)})"] * rows)
            self._sql["replace", rows] = (
                f"UPDATE {self.name} SET version = version + 1, {to_set} FROM (VALUES {values}) AS new"
                f" WHERE {self.name}.id = new.column1 AND {self.name}.version = new.column2"
            )
        return self._sql["replace", rows]


def _where(asked: Find) -> tuple[str, list[Any]]:
    terms = [f"{_column(name)} IS ?" for name in asked.query.equal]
    parameters = [asked.equal[name] for name in asked.query.equal]
    for sign, bound in ((">", asked.above), ("<", asked.below)):
        if asked.query.bounded and bound is not None:
            terms.append(f"{_column(asked.query.bounded)} {sign} ?")
            parameters.append(bound)
    return " AND ".join(terms) or "true", parameters


def _parts(rows: Sequence[Row], most: int) -> Iterator[Sequence[Row]]:
    """Powers of two, so that a few prepared statements serve every number of rows."""
    start = 0
    while start < len(rows):
        size = min(most, 1 << (len(rows) - start).bit_length() - 1)
        yield rows[start : start + size]
        start += size


def _verdict(done: int, asked: int) -> list[bool]:
    if done == asked:
        return [True] * asked
    if asked == 1:
        return [False]
    raise NotAllTaken
