"""What the SQLite store does among several processes, on a full disk and with a broken file."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from messaging_service.adapters.document_rules import IndexDiffers
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.adapters.sqlite_table import Find, Table
from messaging_service.adapters.sqlite_thread import SqliteThread
from messaging_service.application.ports import Index
from messaging_service.domain.errors import StoreDown
from tests.parts.stores import NOTES, StorePlace, note

HERE = {"tenant": "spijkenisse"}

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""

WRITE = """
import asyncio, os, signal, sys
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from tests.parts.stores import NOTES, note

async def write(path, name, number):
    store = SqliteDocuments(path, patience=30)
    await store.open([NOTES])
    for at in range(0, number, 10):
        batch = [store.insert(NOTES, [note(f"{name}{n}")]) for n in range(at, at + 10)]
        assert await asyncio.gather(*batch) == [[True]] * 10
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "store.db"


@pytest.fixture
async def place(path: Path) -> AsyncIterator[StorePlace]:
    """Stores with little patience over the file."""
    place = StorePlace(lambda: SqliteDocuments(path, patience=0.3))
    yield place
    await place.close()


@contextmanager
def held(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process has the file's write lock; a line to its stdin makes it let go."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def let_go(holder: subprocess.Popen[str]) -> None:
    """Release the lock and wait until it is."""
    holder.communicate("\n", timeout=20)


async def test_a_write_waits_for_another_process(path: Path) -> None:
    """While another process holds the file, writes wait and reads go on; then the write is done."""
    place = StorePlace(lambda: SqliteDocuments(path, patience=30))
    store = await place.open()
    await store.insert(NOTES, [note("A")])
    with held(path) as holder:
        write = asyncio.ensure_future(store.insert(NOTES, [note("B")]))
        assert await store.get(NOTES, "A") == note("A")
        assert await asyncio.wait({write}, timeout=0.1) == (set(), {write})
        let_go(holder)
        assert await write == [True]
    await place.close()


async def test_what_is_asked_while_another_process_writes_shares_a_commit(path: Path) -> None:
    """One job waits for the lock and another comes meanwhile: both are done in one transaction."""
    together: list[Sequence[str]] = []

    def perform(connection: sqlite3.Connection, jobs: Sequence[str]) -> Sequence[str]:
        together.append(jobs)
        connection.execute("COMMIT")
        return jobs

    thread = SqliteThread(path, perform, 30, writes=True)
    with held(path) as holder:
        first = await asked(thread, "first")
        while not thread._queue.empty():  # noqa: ASYNC110 - it is taken by a thread
            await asyncio.sleep(0)
        second = await asked(thread, "second")
        let_go(holder)
    assert (await first, await second) == ("first", "second")
    assert together == [["first", "second"]]
    await thread.close()


async def asked(thread: SqliteThread, job: str) -> asyncio.Future[str]:
    """The job's outcome to come; the job has left the event loop."""
    outcome = asyncio.ensure_future(thread.do(job))
    for _ in range(3):  # begun, handed over
        await asyncio.sleep(0)
    return outcome


async def test_patience_ends(place: StorePlace, path: Path) -> None:
    """A file that stays held is StoreDown, for a ping as well; once it is free the same store goes on."""
    store = await place.open()
    with held(path) as holder:
        with pytest.raises(StoreDown, match="SQLITE_BUSY"):
            await store.insert(NOTES, [note("A")])
        with pytest.raises(StoreDown):
            await store.ping()
        let_go(holder)
    await store.ping()
    assert await store.insert(NOTES, [note("A")]) == [True]


async def test_processes_share_a_new_file_and_a_kill_loses_nothing(place: StorePlace, path: Path) -> None:
    """Three processes create and fill one file together and are killed: every acknowledged insert is there."""
    command = [sys.executable, "-c", WRITE, str(path)]
    here = os.environ | {"PYTHONPATH": "."}
    begun = [asyncio.create_subprocess_exec(*command, name, "100", env=here) for name in "ABC"]
    writers = await asyncio.gather(*begun)
    ended = await asyncio.wait_for(asyncio.gather(*[writer.wait() for writer in writers]), timeout=50)
    assert ended == [-signal.SIGKILL] * 3
    store = await place.open()
    assert await store.count(NOTES, "state", HERE) == 300


VISIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(*(id for (id,) in connection.execute("SELECT id FROM notes")))
connection.close()
"""


def visited(path: Path) -> str:
    """What a process that comes, reads and goes finds."""
    return subprocess.run([sys.executable, "-c", VISIT, str(path)], text=True, capture_output=True, check=True).stdout


async def test_a_visitor_takes_no_log_away(place: StorePlace, path: Path) -> None:
    """What is written after another process came and went is seen by the next one, and so is on disk.

    A store that opened and closed its own file would give up its locks, and the first visitor, taking itself for the
    last connection, would delete the write-ahead log under it.
    """
    store = await place.open()
    await store.insert(NOTES, [note("A")])
    await store.get(NOTES, "A")
    assert visited(path).split() == ["A"]
    await store.insert(NOTES, [note("B")])
    assert visited(path).split() == ["A", "B"]


async def test_a_full_disk_is_store_down_until_there_is_room(place: StorePlace, path: Path) -> None:
    """No file may grow for a while: nothing is half written, all callers are told, and afterwards it goes on."""
    store = await place.open()
    await store.insert(NOTES, [note("A")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = max(each.stat().st_size for each in path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        big = [store.insert(NOTES, [note(f"N{n}", body=os.urandom(size))]) for n in range(3)]
        faults = await asyncio.gather(*big, return_exceptions=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [type(fault) for fault in faults] == [StoreDown] * 3
    assert await store.count(NOTES, "state", HERE) == 1
    assert await store.insert(NOTES, [note("N0")]) == [True]


@pytest.fixture
def broken(path: Path) -> Path:
    """A file that is no database."""
    path.write_bytes(b"no database" * 1000)
    return path


async def test_a_broken_file_is_store_down_until_it_is_repaired(broken: Path, tmp_path: Path) -> None:
    """Opening what is no database raises StoreDown; with the file out of the way the same store opens."""
    store = SqliteDocuments(broken)
    with pytest.raises(StoreDown, match="SQLITE_NOTADB"):
        await store.open([NOTES])
    os.rename(broken, tmp_path / "kept")
    await store.open([NOTES])
    assert await store.insert(NOTES, [note("A")]) == [True]
    await store.close()


async def test_a_folder_that_is_not_there_is_store_down(tmp_path: Path) -> None:
    """No file can be created, so there is no store."""
    store = SqliteDocuments(tmp_path / "absent" / "store.db")
    with pytest.raises(StoreDown):
        await store.open([NOTES])
    await store.close()


async def test_only_its_owner_may_read_the_file(place: StorePlace, path: Path) -> None:
    """The file and the two that SQLite puts beside it have mode 0600, whatever the umask."""
    before = os.umask(0)
    try:
        store = await place.open()
        await store.insert(NOTES, [note("A")])
        modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}


async def test_an_index_with_other_fields_is_refused(place: StorePlace) -> None:
    """A changed declaration under the same name is not passed over in silence."""
    await place.open()
    changed = replace(NOTES, indexes=(Index("state", ("tenant", "at")),))
    with pytest.raises(IndexDiffers, match=r"notes\.state"):
        await place.open(changed)
    await place.open()


async def test_finds_use_their_index(place: StorePlace, path: Path) -> None:
    """SQLite answers a bounded find from the index alone: no scan of the table and no sorting."""
    await place.open()
    table = Table(NOTES)
    query = table.shape.query("state", HERE | {"state": "new"}, bounded=True)
    sql, values = table.find(Find(query, HERE | {"state": "new"}, above=1, descending=True))
    connection = sqlite3.connect(path)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    connection.close()
    assert len(plan) == 1
    assert "USING INDEX notes.state (f_tenant=? AND f_state=? AND f_at>?)" in plan[0]
