"""(a) What the gateway takes, beside a bare handler on the same node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.children import Child, child, script
from tests.benchmarks.figures import Figure
from tests.benchmarks.system import PERSIST, Ground, Load, gateway, load, mongodb

CONNECTIONS = 32
_AIM = 0.6


@dataclass(slots=True)
class _Server:
    name: str
    queue: str
    process: Child
    port: int
    loads: list[Load]

    def middle(self, of: Callable[[Load], float]) -> float:
        return median(of(load) for load in self.loads)


def measure(on: Ground, count: int, rounds: int, say: Callable[[str], None]) -> Iterator[Figure]:
    """Rounds in which each server takes `count` messages in turn; the figures are the rounds' medians."""
    with ExitStack() as running:
        servers = list(_started(on, running))
        tokens = on.tokens(count * (rounds + 1))
        for round in range(rounds + 1):  # the first warms up: every token is verified once
            for server in servers:
                went = load(on, server.process, server.port, tokens, count, CONNECTIONS)
                say(f"{server.name}: {went.per_second:.0f}/s{'' if round else ' (warming up)'}")
                if went.urgent:
                    say(f"the lexicon takes {went.urgent:.0%} of these ordinary messages for urgent")
                server.loads = [*server.loads, went] if round else []
                on.purge(server.queue)
    ours, bare = servers[0], servers[1]
    for server in servers:
        yield Figure("a", f"{server.name}: accepted", server.middle(lambda load: load.per_second), "messages/s")
        yield Figure("a", f"{server.name}: p50", server.middle(lambda load: load.p50_ms), "ms")
        yield Figure("a", f"{server.name}: p99", server.middle(lambda load: load.p99_ms), "ms")
        yield Figure("a", f"{server.name}: its processor time", server.middle(lambda load: load.cpu_us), "µs/message")
    for server in servers[2:]:
        yield Figure("a", f"{ours.name} / {server.name}", _ratio(ours, server), "×")
    yield Figure("a", f"{ours.name} / {bare.name}", _ratio(ours, bare), "×", aim=_AIM)


def _ratio(ours: _Server, other: _Server) -> float:
    """Round by round, since the machine is not equally quiet in all."""
    return median(mine.per_second / theirs.per_second for mine, theirs in zip(ours.loads, other.loads, strict=True))


def _started(on: Ground, running: ExitStack) -> Iterator[_Server]:
    environment = on.environment(f"sqlite:{on.folder}/documents.sqlite")
    yield _Server("gateway, SQLite", PERSIST, *running.enter_context(gateway(on, "gateway", environment)), [])
    for name, options in (("bare handler", []), ("bare handler on the wire channel", ["--wire"])):
        command = script("bare_handler", on.node.url, "bare", *options)
        process = running.enter_context(child(name.replace(" ", "-"), command, {}, on.folder))
        yield _Server(name, "bare", process, process.says()["port"], [])
    uri, kind = running.enter_context(mongodb(on.folder / "mongo"))
    environment = on.environment(f"{uri}/messaging")
    motor = running.enter_context(gateway(on, "gateway-motor", environment))
    yield _Server(f"gateway, motor on {kind}", PERSIST, *motor, [])
