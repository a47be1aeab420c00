"""The embedded queue's tables and every statement on them; all run inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from messaging_service.application.ports import Depth, Envelope, QueueDeclaration, Topology
from messaging_service.domain.errors import QueueMissing, QueueRefused, TopologyMismatch

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY, dead_letter TEXT, delivery_limit INTEGER,"
    " max_length INTEGER, consumers INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS delays (ms INTEGER PRIMARY KEY)",
    # a number is never used twice: a late acknowledgement must not delete another message
    "CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('ready', 'taken', 'delayed')),"
    " deliveries INTEGER NOT NULL DEFAULT 0, published_at INTEGER NOT NULL,"
    " available_at INTEGER NOT NULL, message_id TEXT NOT NULL, kind TEXT NOT NULL, headers TEXT NOT NULL,"
    " body BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS messages_in_line ON messages (queue, state)",
    "CREATE INDEX IF NOT EXISTS messages_due ON messages (available_at) WHERE state = 'delayed'",
    "CREATE INDEX IF NOT EXISTS messages_taken ON messages (number) WHERE state = 'taken'",
)

SPENT = (
    "UPDATE messages SET queue = q.dead_letter, deliveries = 0"
    " FROM queues q JOIN queues d ON d.name = q.dead_letter"
    " WHERE number = ? AND q.name = messages.queue AND messages.deliveries > q.delivery_limit"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """A message handed to a consumer of this process; `earlier` counts its deliveries before this one."""

    number: int
    earlier: int
    envelope: Envelope


def now_ms() -> int:
    """Milliseconds since 1970: delays outlive the process, so no monotonic clock will do."""
    return time.time_ns() // 1_000_000


def create(connection: sqlite3.Connection) -> None:
    """Create what is missing."""
    for statement in SCHEMA:
        connection.execute(statement)


def declare(connection: sqlite3.Connection, topology: Topology) -> None:
    """Add the queues and delays that are missing.

    Raises:
        TopologyMismatch: a queue is there with other arguments; nothing is changed.
    """
    wanted = {queue.name: _arguments(queue) for queue in topology.queues}
    for name, *found in connection.execute(
        "SELECT name, dead_letter, delivery_limit, max_length FROM queues"
    ).fetchall():
        if name in wanted and tuple(found) != wanted[name]:
            raise TopologyMismatch(f"queue {name}: has {tuple(found)}, declared {wanted[name]}")
    connection.executemany(
        "INSERT OR IGNORE INTO queues (name, dead_letter, delivery_limit, max_length) VALUES (?, ?, ?, ?)",
        [(name, *arguments) for name, arguments in wanted.items()],
    )
    connection.executemany("INSERT OR IGNORE INTO delays VALUES (?)", [(ms,) for ms in topology.delays])


def publish(connection: sqlite3.Connection, queue: str, envelope: Envelope, delay_ms: int) -> None:
    """Append a message, for later if `delay_ms`.

    Raises:
        QueueMissing: no such queue or delay.
        QueueRefused: the queue holds as many ready messages as it may.
    """
    _check_room(connection, queue)
    if delay_ms and not connection.execute("SELECT 1 FROM delays WHERE ms = ?", (delay_ms,)).fetchone():
        raise QueueMissing(f"delay of {delay_ms} ms")
    now = now_ms()
    connection.execute(
        "INSERT INTO messages (queue, state, published_at, available_at, message_id, kind, headers, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            queue,
            "delayed" if delay_ms else "ready",
            now,
            now + delay_ms,
            envelope.message_id,
            envelope.kind,
            json.dumps(dict(envelope.headers)),
            envelope.body,
        ),
    )


def take(connection: sqlite3.Connection, queue: str, room: int) -> list[Taken]:
    """Up to `room` ready messages in their order, marked as taken and counted as delivered."""
    rows = connection.execute(
        "UPDATE messages SET state = 'taken', deliveries = deliveries + 1 WHERE number IN"
        " (SELECT number FROM messages WHERE queue = ? AND state = 'ready' ORDER BY number LIMIT ?)"
        " RETURNING number, deliveries, message_id, kind, body, headers",
        (queue, room),
    ).fetchall()
    return [
        Taken(number, deliveries - 1, Envelope(message_id, kind, body, json.loads(headers)))
        for number, deliveries, message_id, kind, body, headers in sorted(rows)
    ]


def settle(connection: sqlite3.Connection, acknowledged: Sequence[int], returned: Sequence[int]) -> None:
    """Forget the acknowledged; the returned are ready again, or dead letters past their queue's limit."""
    connection.executemany("DELETE FROM messages WHERE number = ?", [(number,) for number in acknowledged])
    for number in returned:
        connection.execute(SPENT, (number,))
        connection.execute("UPDATE messages SET state = 'ready' WHERE number = ?", (number,))


def recover(connection: sqlite3.Connection) -> None:
    """Give back what an earlier process took and left."""
    taken = connection.execute("SELECT number FROM messages WHERE state = 'taken'").fetchall()
    settle(connection, (), [number for (number,) in taken])
    connection.execute("UPDATE queues SET consumers = 0")


def count_consumer(connection: sqlite3.Connection, queue: str, change: int) -> None:
    """One consumer more or less.

    Raises:
        QueueMissing: no such queue.
    """
    counted = connection.execute("UPDATE queues SET consumers = consumers + ? WHERE name = ?", (change, queue)).rowcount
    if not counted:
        raise QueueMissing(queue)


def waiting(connection: sqlite3.Connection) -> set[str]:
    """The queues that hold something ready, after what was delayed long enough has joined its queue."""
    connection.execute("UPDATE messages SET state = 'ready' WHERE state = 'delayed' AND available_at <= ?", (now_ms(),))
    found = connection.execute(
        "SELECT name FROM queues WHERE EXISTS (SELECT 1 FROM messages WHERE queue = name AND state = 'ready')"
    )
    return {name for (name,) in found}


def depths(connection: sqlite3.Connection, queues: Iterable[str]) -> dict[str, Depth]:
    """How much waits where, with the age of the first in line.

    Raises:
        QueueMissing: one of them does not exist.
    """
    told: dict[str, Depth] = {}
    for queue in queues:
        found = connection.execute("SELECT consumers FROM queues WHERE name = ?", (queue,)).fetchone()
        if found is None:
            raise QueueMissing(queue)
        ready, oldest = connection.execute(
            "SELECT count(*), min(published_at) FROM messages WHERE queue = ? AND state = 'ready'", (queue,)
        ).fetchone()
        told[queue] = Depth(ready, found[0], None if oldest is None else max(now_ms() - oldest, 0))
    return told


def _arguments(queue: QueueDeclaration) -> tuple[str | None, int | None, int | None]:
    """A limit means something only where there is a dead letter queue."""
    return queue.dead_letter, queue.delivery_limit if queue.dead_letter else None, queue.max_length


def _check_room(connection: sqlite3.Connection, queue: str) -> None:
    found = connection.execute("SELECT max_length FROM queues WHERE name = ?", (queue,)).fetchone()
    if found is None:
        raise QueueMissing(queue)
    if found[0] is not None:
        (ready,) = connection.execute(
            "SELECT count(*) FROM messages WHERE queue = ? AND state = 'ready'", (queue,)
        ).fetchone()
        if ready >= found[0]:
            raise QueueRefused(queue)
