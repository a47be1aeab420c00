"""The document store in one SQLite file: a writer thread with group commit and a reader thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from messaging_service.adapters.document_rules import check_collections, check_values
from messaging_service.adapters.sqlite_table import Find, NotAllTaken, Row, Table
from messaging_service.adapters.sqlite_thread import SqliteThread
from messaging_service.application.ports import Collection, Document
from messaging_service.domain.errors import StoreDown


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows to insert or to replace; the outcome is a verdict for each."""

    table: Table
    rows: Sequence[Row]
    replacing: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Get:
    table: Table
    ids: Sequence[str]


Alone = Callable[[sqlite3.Connection], Any]
"""A job that cannot be merged with others."""


class SqliteDocuments:
    """A DocumentStore in one file that several processes may open at once.

    A write returns once it is synced to disk (WAL, `synchronous=FULL`); all writes that wait at the same
    moment share one transaction. A process that finds the file held by another waits up to
    `patience` seconds.
    """

    def __init__(self, path: str | Path, patience: float = 5.0) -> None:
        self._path = Path(path)
        self._patience = patience
        self._tables: dict[str, Table] = {}
        self._threads: tuple[SqliteThread, SqliteThread] | None = None

    async def open(self, collections: Sequence[Collection]) -> None:
        """Create the file (mode 0600), tables and indexes where they are missing.

        Raises:
            IndexNotShardable: a unique index lacks the shard key.
            IndexDiffers: an index exists with other fields.
            StoreDown: the file cannot be created, opened or written.
        """
        check_collections(collections)
        if self._threads is None:
            self._threads = (
                SqliteThread(self._path, _write, self._patience, writes=True),
                SqliteThread(self._path, _read, self._patience),
            )
        tables = [Table(collection) for collection in collections]

        def create(connection: sqlite3.Connection) -> None:
            for table in tables:
                table.create(connection)

        await self._writer.do(create)
        self._tables.update({table.shape.collection.name: table for table in tables})

    async def insert(self, collection: Collection, documents: Sequence[Document]) -> list[bool]:
        """As the port says. Raises DocumentInvalid for one that no store takes; then none is inserted."""
        table = self._table(collection)
        rows = [table.row(document) for document in documents]
        taken: list[bool] = await self._writer.do(_Rows(table, rows)) if rows else []
        return taken

    async def replace(self, collection: Collection, document: Document) -> bool:
        """As the port says. Raises DocumentInvalid for one that no store takes."""
        table = self._table(collection)
        taken: list[bool] = await self._writer.do(_Rows(table, [table.row(document)], replacing=True))
        return taken[0]

    async def delete(self, collection: Collection, id: str) -> bool:
        """As the port says."""
        table = self._table(collection)
        check_values((id,))
        deleted: bool = await self._writer.do(lambda connection: table.delete(connection, id))
        return deleted

    async def get(self, collection: Collection, id: str) -> Document | None:
        """As the port says."""
        return (await self.get_many(collection, (id,))).get(id)

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> dict[str, Document]:
        """As the port says."""
        table = self._table(collection)
        check_values(ids)
        found: Mapping[str, Row] = await self._reader.do(_Get(table, ids))
        return {id: table.document(found[id]) for id in ids if id in found}

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
        """As the port says; documents equal in every field of the index come in the order of their ids."""
        table = self._table(collection)
        check_values((*equal.values(), above, below))
        query = table.shape.query(index, equal, bounded=above is not None or below is not None)
        sql, parameters = table.find(Find(query, equal, above, below, descending, limit))
        if limit < 1:
            return []
        rows = await self._reader.do(lambda connection: connection.execute(sql, parameters).fetchall())
        return [table.document(row) for row in rows]

    async def count(self, collection: Collection, index: str, equal: Mapping[str, Any]) -> int:
        """As the port says."""
        table = self._table(collection)
        check_values(equal.values())
        sql, parameters = table.count(Find(table.shape.query(index, equal, bounded=False), equal))
        number: int = await self._reader.do(lambda connection: connection.execute(sql, parameters).fetchone()[0])
        return number

    async def ping(self) -> None:
        """Raise StoreDown unless the file can be read and its write lock taken now."""
        await self._reader.do(lambda connection: connection.execute("PRAGMA schema_version").fetchone())
        await self._writer.do(lambda connection: None)

    async def close(self) -> None:
        """Finish what was begun and let go of the file."""
        threads, self._threads = self._threads, None
        for thread in threads or ():
            await thread.close()

    def _table(self, collection: Collection) -> Table:
        table = self._tables.get(collection.name)
        if table is None:
            raise StoreDown("not open")
        return table

    @property
    def _writer(self) -> SqliteThread:
        return self._opened()[0]

    @property
    def _reader(self) -> SqliteThread:
        return self._opened()[1]

    def _opened(self) -> tuple[SqliteThread, SqliteThread]:
        if self._threads is None:
            raise StoreDown("not open")
        return self._threads


def _write(connection: sqlite3.Connection, jobs: Sequence[_Rows | Alone]) -> list[Any]:
    """All jobs in the transaction that was begun; many rows a statement, and again row by row if any is refused."""
    connection.execute("SAVEPOINT together")
    try:
        outcomes = _written(connection, jobs, together=True)
    except NotAllTaken:
        connection.execute("ROLLBACK TO together")
        outcomes = _written(connection, jobs, together=False)
    connection.execute("COMMIT")
    return outcomes


def _written(connection: sqlite3.Connection, jobs: Sequence[_Rows | Alone], *, together: bool) -> list[Any]:
    outcomes: list[Any] = [None] * len(jobs)
    merged: dict[tuple[Table, bool], list[int]] = {}
    for at, job in enumerate(jobs):
        if isinstance(job, _Rows):
            merged.setdefault((job.table, job.replacing), []).append(at)
        else:
            outcomes[at] = _alone(connection, job)
    for (table, replacing), places in merged.items():
        rows = [row for at in places for row in jobs[at].rows]  # type: ignore[union-attr]
        perform = table.replace if replacing else table.insert
        verdicts = iter(perform(connection, rows) if together else perform(connection, rows, most=1))
        for at in places:
            outcomes[at] = [next(verdicts) for _ in jobs[at].rows]  # type: ignore[union-attr]
    return outcomes


def _read(connection: sqlite3.Connection, jobs: Sequence[_Get | Alone]) -> list[Any]:
    """Ids asked for at the same moment are looked up with one statement a table."""
    wanted: dict[Table, set[str]] = {}
    for job in jobs:
        if isinstance(job, _Get):
            wanted.setdefault(job.table, set()).update(job.ids)
    found = {table: table.get(connection, list(ids)) for table, ids in wanted.items()}
    return [found[job.table] if isinstance(job, _Get) else _alone(connection, job) for job in jobs]


def _alone(connection: sqlite3.Connection, job: Alone) -> Any:
    """The job's outcome; what is wrong with its own parameters is its own."""
    try:
        return job(connection)
    except sqlite3.Error:
        raise
    except Exception as exc:
        return exc
