"""A thread that owns one SQLite connection and does at once whatever has been asked of it meanwhile."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from messaging_service.domain.errors import StoreDown

Perform = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]
"""Does jobs together: an outcome for each in the same order, an exception if only that job failed."""

_Waiting = list[tuple[Any, "asyncio.Future[Any]"]]
_MOST_AT_ONCE = 512


class SqliteThread:
    """Jobs go in from the event loop, each batch of outcomes comes back with one wake-up of the loop.

    The connection is opened by the first job and let go after any fault of SQLite, so that the next job
    finds a repaired disk or a file that was put back.
    """

    def __init__(self, path: Path, perform: Perform, patience: float, *, writes: bool = False) -> None:
        """`patience` is how many seconds a job waits for other processes that hold the file.

        With `writes` the write lock is taken before `perform`, which commits; jobs that are asked for while another
        process holds it are done together with those that wait.
        """
        self._path = path
        self._perform = perform
        self._writes = writes
        self._patience = patience
        self._connection: sqlite3.Connection | None = None
        self._gathered: _Waiting = []
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._last = False
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] | None = None
        threading.Thread(target=self._run, name=f"sqlite-{path.name}", daemon=True).start()

    async def do(self, job: Any) -> Any:
        """The job's outcome.

        Raises:
            StoreDown: the file cannot be used now; a write may or may not have been kept.
        """
        if self._ended:
            raise StoreDown("closed")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._gathered.append((job, future))
        if len(self._gathered) == 1:
            self._loop.call_soon(self._hand_over)
        return await future

    async def close(self) -> None:
        """Finish what was asked, close the connection and end the thread."""
        if not self._ended:
            self._ended = self._loop.create_future()
            self._hand_over()
            self._queue.put(None)
        await asyncio.shield(self._ended)

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._queue.put(gathered)

    def _run(self) -> None:
        while not self._last:
            batch = self._next()
            if batch:
                outcomes = self._outcomes(batch)
                self._loop.call_soon_threadsafe(_deliver, batch, outcomes)
        self._let_go()
        if self._ended:
            self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _next(self) -> _Waiting:
        """What waits, once something does."""
        batch: _Waiting = []
        self._add(batch, self._queue.get())
        self._add_waiting(batch)
        return batch

    def _add_waiting(self, batch: _Waiting) -> None:
        with suppress(Empty):
            while not self._last and len(batch) < _MOST_AT_ONCE:
                self._add(batch, self._queue.get_nowait())

    def _add(self, batch: _Waiting, part: _Waiting | None) -> None:
        """None is the end, which was asked for after everything else."""
        if part is None:
            self._last = True
        else:
            batch += part

    def _outcomes(self, batch: _Waiting) -> Sequence[Any]:
        """An outcome for each of the batch, which grows by what is asked while this waits to begin."""
        try:
            if self._connection is None:
                self._connection = _connect(self._path, self._patience)
            if self._writes:
                self._connection.execute("BEGIN IMMEDIATE")
                self._add_waiting(batch)
            return self._perform(self._connection, [job for job, _ in batch])
        except (sqlite3.Error, OSError) as exc:
            self._let_go()
            code = getattr(exc, "sqlite_errorname", type(exc).__name__)
            return [_down(code, exc) for _ in batch]
        except Exception as exc:  # a fault of ours belongs to those who wait, and must not end the thread
            self._let_go()
            return [exc for _ in batch]

    def _let_go(self) -> None:
        """Closing rolls back what was not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _deliver(batch: _Waiting, outcomes: Sequence[Any]) -> None:
    for (_, future), outcome in zip(batch, outcomes, strict=True):
        if future.done():  # its caller was cancelled
            continue
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _down(code: str, cause: Exception) -> StoreDown:
    fault = StoreDown(code)
    fault.__cause__ = cause
    return fault


def _create_for_owner_alone(path: Path) -> None:
    """Create the file with mode 0600; one that exists is not touched.

    It must not even be opened and closed: closing any descriptor of a file gives up all POSIX locks that this
    process holds on it, and another process would then take away the write-ahead log under our other connection
    (sqlite.org/howtocorrupt.html §2.2).
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    """A connection to the file, created for its owner alone, on which every commit reaches the disk."""
    _create_for_owner_alone(path)
    connection = sqlite3.connect(path, timeout=patience, isolation_level=None, cached_statements=512)
    try:
        _enter_wal(connection, time.monotonic() + patience)
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _enter_wal(connection: sqlite3.Connection, deadline: float) -> None:
    """Several processes may do this to a new file at once; SQLite then says busy without waiting."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)
