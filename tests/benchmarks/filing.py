"""(b) From accepted to filed: every step a process of its own."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from tests.benchmarks.accepting import CONNECTIONS
from tests.benchmarks.children import Child, Failed, child, script
from tests.benchmarks.figures import Figure
from tests.benchmarks.system import FIRST_STEP, OTHER_STEPS, Ground, gateway, load, workers

_AIM_PER_SECOND = 400
_AIM_MB = 120
_PATIENCE_SECONDS = 300


class Peer:
    """The EPD that acknowledges at once, and how many documents it has."""

    def __init__(self, process: Child) -> None:
        ports = process.says()
        self.process = process
        self.port: int = ports["port"]
        self._control = socket.create_connection(("127.0.0.1", ports["control"]))
        self._lines = self._control.makefile("r")

    def inbox(self) -> dict[str, Any]:
        """documents, received and, once there are any, first and last (seconds since 1970)."""
        self._control.sendall(b"?\n")
        told: dict[str, Any] = json.loads(self._lines.readline())
        return told

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._control.close()


def measure(on: Ground, store: str, kind: str, count: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """A backlog of `count` accepted messages through all steps, then as many while the gateway takes them in.

    The clock runs from the first document that the EPD receives to the last.
    """
    tokens = on.tokens(2 * count)
    with ExitStack() as running:
        peer = Peer(running.enter_context(child("epd", script("ack_peer"), {}, on.folder)))
        running.callback(peer.close)
        environment = on.environment(store, peer.port)
        server, port = running.enter_context(gateway(on, "gateway", environment))
        accepted = load(on, server, port, tokens, count, CONNECTIONS)
        say(f"{count} messages accepted, {accepted.urgent:.0%} of them judged urgent; the workers begin")
        processes = running.enter_context(workers(on, OTHER_STEPS, environment))
        processes |= running.enter_context(workers(on, (FIRST_STEP,), environment))
        yield from _backlog(on, kind, count, peer, processes)
        begun = time.time()
        taken = load(on, server, port, tokens, count, CONNECTIONS)
        seconds = _until(peer, 2 * count, processes)["last"] - begun
        say(f"{count / seconds:.0f}/s posted and filed at the same time")
        yield Figure("b", f"{kind}: posted and filed at once", count / seconds, "messages/s")
        yield Figure("b", f"{kind}: accepted meanwhile", taken.per_second, "messages/s")
        yield Figure("b", f"{kind}: gateway, resident", server.resident_mb, "MB")
        for step, process in processes.items():
            yield Figure("b", f"{kind}: {step}, resident", process.resident_mb, "MB", aim=_AIM_MB, at_most=True)


def _backlog(on: Ground, kind: str, count: int, peer: Peer, processes: dict[str, Child]) -> Iterator[Figure]:
    """The rate, and what each part spends on a message: that tells more on a machine that others use as well."""
    spent = _spent(on, peer, processes)
    filed_before = peer.inbox()["documents"]
    inbox = _until(peer, count, processes)
    rate = (count - 1) / (inbox["last"] - inbox["first"])
    yield Figure("b", f"{kind}: filed from a backlog", rate, "messages/s", aim=_AIM_PER_SECOND)
    after = _spent(on, peer, processes)
    each = {part: 1e6 * (after[part] - spent[part]) / (count - filed_before) for part in spent}
    for part in ("persist", "file", "broker"):
        yield Figure("b", f"{kind}: {part}, processor time", each[part], "µs/message")
    yield Figure("b", f"{kind}: all parts, processor time", sum(each.values()), "µs/message")


def _spent(on: Ground, peer: Peer, processes: dict[str, Child]) -> dict[str, float]:
    parts = {step: process.cpu_seconds for step, process in processes.items()}
    return parts | {"broker": on.broker_cpu_seconds(), "epd": peer.process.cpu_seconds}


def _until(peer: Peer, count: int, processes: dict[str, Child]) -> dict[str, Any]:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        inbox = peer.inbox()
        if inbox["documents"] >= count:
            return inbox
        for process in processes.values():
            process.check()
        time.sleep(0.1)
    raise Failed(f"{inbox['documents']} of {count} messages were filed in {_PATIENCE_SECONDS} s")
