"""Child processes of a benchmark: one line of JSON when they are ready, gone when the run is gone."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 30


class Failed(Exception):
    """A process of the benchmark ended before its time; the message quotes its log."""


class Child:
    """One process; its standard error goes to a log file."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        """Start it."""
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=_die_with_parent,
            )

    def says(self) -> Any:
        """The next line of JSON that it prints, waited for. Raises Failed when it ends instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Failed(f"{self.name} ended: {self._log.read_text(errors='replace')[-2000:]}")
        return json.loads(line)

    def check(self) -> None:
        """Raise Failed when it has ended."""
        if self._process.poll() is not None:
            raise Failed(f"{self.name} ended: {self._log.read_text(errors='replace')[-2000:]}")

    @property
    def resident_mb(self) -> float:
        """Its resident memory (VmRSS) in MB of 10⁶ bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024 / 1e6

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        return cpu_seconds(self._process.pid)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Tell it to stop; kill it if it does not."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def child(name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Iterator[Child]:
    """A child that is stopped at the end."""
    started = Child(name, command, environment, folder)
    try:
        yield started
    finally:
        started.stop()


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def script(name: str, *arguments: str) -> list[str]:
    """The command of a script beside this file."""
    return [sys.executable, "-m", f"tests.benchmarks.{name}", *arguments]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
