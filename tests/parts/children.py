"""Processes of the service under test: started, killed and started again by name, each with its own log file."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLI = (sys.executable, "-m", "messaging_service.cli")
PR_SET_PDEATHSIG = 1
_STOPPED_WITHIN = 30


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ran to its end."""

    status: int
    out: str
    err: str


class Children:
    """Runs `messaging-service …` processes with one environment.

    The kernel kills them when the thread that started them ends, so a killed test run leaves nothing behind; start
    them from the main thread.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        """`logs` is the folder for `<name>.log`, made when missing."""
        self.environment = dict(environment)
        self._logs = logs
        self._commands: dict[str, tuple[str, ...]] = {}
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._asked_to_end: set[str] = set()
        logs.mkdir(parents=True, exist_ok=True)

    def __contains__(self, name: str) -> bool:
        """Whether it was started and has not ended."""
        child = self._running.get(name)
        return child is not None and child.returncode is None

    @property
    def names(self) -> list[str]:
        """Every process that was ever started, running or not."""
        return list(self._commands)

    async def start(self, name: str, *arguments: str) -> None:
        """Start `messaging-service ARGUMENTS`, or what last ran under this name when none are given."""
        command = arguments or self._commands[name]
        assert name not in self, f"{name} is running"
        self._commands[name] = command
        self._asked_to_end.discard(name)
        with self.log_file(name).open("ab") as log:
            self._running[name] = await asyncio.create_subprocess_exec(
                *CLI,
                *command,
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
            )

    def check(self) -> None:
        """Fail the test when a process ended although nobody asked it to, with what it said last."""
        for name, child in self._running.items():
            ended = child.returncode is not None and name not in self._asked_to_end
            assert not ended, f"{name} ended with status {child.returncode}: {self.log(name)[-2000:]}"

    async def kill(self, name: str) -> None:
        """End it as a power cut would: kill -9."""
        await self._end(name, signal.SIGKILL)

    async def stop(self, name: str) -> int:
        """Ask it to stop, as an operator would, and give its exit status; killed when it does not."""
        return await self._end(name, signal.SIGTERM)

    def freeze(self, name: str) -> None:
        """Stop the process where it is: connections stay, nothing is done."""
        self._running[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self._running[name].send_signal(signal.SIGCONT)

    async def close(self) -> None:
        """End everything at once."""
        for name, child in self._running.items():
            if name in self:
                child.kill()
        for child in self._running.values():
            await child.wait()

    def log_file(self, name: str) -> Path:
        """Where it writes."""
        return self._logs / f"{name}.log"

    def log(self, name: str) -> str:
        """What it wrote so far, in all its lives."""
        return self.log_file(name).read_text(errors="replace")

    async def command(self, *arguments: str, given: str = "", environment: Mapping[str, str] | None = None) -> Done:
        """Run `messaging-service ARGUMENTS` to its end, in `environment` when that is given."""
        child = await asyncio.create_subprocess_exec(
            *CLI,
            *arguments,
            cwd=ROOT,
            env={**os.environ, **(environment or self.environment)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=_die_with_parent,
        )
        out, err = await child.communicate(given.encode())
        return Done(child.returncode or 0, out.decode(), err.decode())

    async def _end(self, name: str, number: signal.Signals) -> int:
        child = self._running[name]
        self._asked_to_end.add(name)
        if child.returncode is None:
            child.send_signal(number)
        try:
            return await asyncio.wait_for(child.wait(), _STOPPED_WITHIN)
        except TimeoutError:
            child.kill()
            return await child.wait()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
