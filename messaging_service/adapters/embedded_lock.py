"""The lock that makes one process the consumer of a queue file; it goes when that process dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

from messaging_service.domain.errors import BrokerDown

LOCK_SECONDS = 1.0
"""How long a consumer waits for the one before it to end."""

RETRY_SECONDS = 0.02


class QueueFileInUse(BrokerDown):
    """Another process consumes from this queue file. Stop it, or set MESSAGING_BROKER to a RabbitMQ."""


class ConsumerLock:
    """A file beside the queue file, held with flock(2)."""

    def __init__(self, queue_file: Path) -> None:
        """Nothing is opened yet."""
        self._path = queue_file.with_name(f"{queue_file.name}.consumer")
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process holds it."""
        return self._descriptor is not None

    async def take(self) -> None:
        """Hold it until `release`. Others that merely ask may hold it for an instant: this tries for a while.

        Raises:
            QueueFileInUse: another process keeps it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
        try:
            while not _locked(descriptor, fcntl.LOCK_EX):
                if asyncio.get_running_loop().time() > deadline:
                    raise QueueFileInUse(str(self._path))
                await asyncio.sleep(RETRY_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def held_by_anyone(self) -> bool:
        """Whether some process consumes now."""
        if self.held:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _locked(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Let another process consume."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
