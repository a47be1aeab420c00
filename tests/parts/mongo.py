"""A MongoDB server for the tests: the one given, else `mongod` if installed, else the wire server `nx-27017`.

`nx-27017` speaks the protocol and keeps its data in SQLite; it is for tests only.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ServerSelectionTimeoutError

INSTALL = "no MongoDB server; install one: pip install nx-27017 (or mongod, or set MESSAGING_TEST_MONGODB to a URI)"
GIVEN = "MESSAGING_TEST_MONGODB"
START_SECONDS = 30
PR_SET_PDEATHSIG = 1


class MongoServer:
    """One server process over `folder`; data and port outlive `kill` and `start`.

    The kernel kills it when the thread that started it ends, so call `start` from the main thread.
    """

    def __init__(self, folder: Path) -> None:
        """Choose a free port; nothing runs yet."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = _free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start on the same data and port and wait until it answers; about a second.

        Raises:
            FileNotFoundError: no server is installed; the message names the remedy.
            RuntimeError: it ended, or did not answer in time; the message quotes what it printed.
        """
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                _command(self.folder, self.port),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "output.txt").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the MongoDB server did not start: {said}")

    def answers(self) -> bool:
        """Whether it answers a ping within a fifth of a second."""
        client: MongoClient[dict[str, Any]]
        with MongoClient(self.uri, serverSelectionTimeoutMS=200) as client:
            try:
                client.admin.command("ping")
            except ServerSelectionTimeoutError:
                return False
            return True

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the process where it is: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


@contextmanager
def mongo_server(folder: Path) -> Iterator[MongoServer]:
    """A started server of our own, which may be killed and started again; gone afterwards."""
    server = MongoServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def mongo_uri(folder: Path) -> Iterator[str]:
    """The URI of the server given in MESSAGING_TEST_MONGODB, else of one of our own in `folder`."""
    if os.environ.get(GIVEN):
        yield os.environ[GIVEN]
        return
    with mongo_server(folder) as server:
        yield server.uri


def _command(folder: Path, port: int) -> list[str]:
    if mongod := shutil.which("mongod"):
        (folder / "db").mkdir(exist_ok=True)
        return [mongod, "--dbpath", str(folder / "db"), "--bind_ip", "127.0.0.1", "--port", str(port)]
    beside = Path(sys.executable).with_name("nx-27017")
    nx = str(beside) if beside.exists() else shutil.which("nx-27017")
    if nx is None:
        raise FileNotFoundError(INSTALL)
    files = ["--data-dir", str(folder / "db"), "--log-file", str(folder / "log.txt")]
    return [nx, *files, "--pid-file", str(folder / "pid.txt"), "--host", "127.0.0.1", "--port", str(port)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
