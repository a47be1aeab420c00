"""The service as separate processes on a broker node of its own, for as long as a benchmark runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aio_pika
import msgspec

from deploy.sandbox.issuer import Issuer
from tests.benchmarks.children import ROOT, Child, Failed, child, cpu_seconds, script
from tests.benchmarks.load import Plan
from tests.parts.hospitals import as_toml
from tests.parts.mongo import GIVEN, MongoServer
from tests.parts.rabbit import RabbitNode

TENANT = "spijkenisse"
PERSIST = "persist.normal"
FIRST_STEP = "persist"
OTHER_STEPS = ("file", "escalate", "notify", "park")
TEXT = (
    "Goedendag, vorige week sprak ik u over de nieuwe tabletten en sindsdien neem ik ze elke dag bij het ontbijt. "
    "De eerste dagen moest ik eraan wennen, maar nu gaat het prima. Mijn bloeddruk schrijf ik iedere avond op, zoals u "
    "vroeg: meestal rond de 135 over 82. Ik slaap goed en ik wandel elke dag een half uur in het park. Twee dingen wil "
    "ik u graag voorleggen. Mag ik de tabletten ook 's avonds nemen, omdat ik volgende maand weer in ploegendienst ga "
    "werken? En is het nodig dat ik voor de controle in april nog een formulier voor het laboratorium krijg, of is dat "
    "van februari voldoende? Als het nodig is kan ik op dinsdag en donderdag na drie uur langskomen; op andere dagen "
    "ben ik tot zes uur op mijn werk. Mijn nieuwe telefoonnummer staat inmiddels in het portaal. Verder wil ik graag "
    "weten of ik de brief aan de bedrijfsarts zelf moet opsturen, of dat de poli dat doet. Hartelijk dank voor de "
    "duidelijke uitleg, en tot ziens in april. Met vriendelijke groet, ook van mijn vrouw, P. de Vries"
)
"""About 1 kB of what a patient writes on an ordinary day."""

MESSAGES_OF_A_PATIENT = 20
_READY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything runs on: a folder, a broker node, an issuer of tokens."""

    folder: Path
    node: RabbitNode
    issuer: Issuer

    def environment(self, store: str, epd_port: int = 9) -> dict[str, str]:
        """Settings of the service on `store` (a MESSAGING_STORE value)."""
        return environment(self.folder, self.issuer, self.node.url, store, epd_port)

    def tokens(self, messages: int) -> list[str]:
        """Tokens of as many patients as write `messages` in all; each passes the limits of one patient."""
        patients = range(max(messages // MESSAGES_OF_A_PATIENT, 1))
        return [
            self.issuer.token(f"patient-{n}", name=f"P. de Vries {n}", patient_number=str(100_000 + n))
            for n in patients
        ]

    def broker_cpu_seconds(self) -> float:
        """Processor time that the broker node has used."""
        assert self.node._beam is not None
        return cpu_seconds(self.node._beam.pid)

    def purge(self, queue: str) -> None:
        """Empty a queue."""
        asyncio.run(_purge(self.node.url, queue))


async def _purge(url: str, queue: str) -> None:
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        wire = await channel.get_underlay_channel()
        await wire.queue_purge(queue)


def environment(folder: Path, issuer: Issuer, broker: str, store: str, epd_port: int = 9) -> dict[str, str]:
    """Settings of the service on a broker and a store, with the keys and the hospital in `folder`."""
    return {
        "MESSAGING_BROKER": broker,
        "MESSAGING_STORE": store,
        "MESSAGING_PUBLIC_URL": "http://127.0.0.1:8080",
        "MESSAGING_KEYRING": str(folder / "keyring.json"),
        "MESSAGING_TENANTS": str(folder / "tenants"),
        "SPIJKENISSE_ISSUER": issuer.name,
        "SPIJKENISSE_JWKS": f"file:{issuer.jwks}",
        "SPIJKENISSE_STAFF_ISSUER": "https://staff.invalid",
        "SPIJKENISSE_STAFF_JWKS": "file:/nowhere",
        "SPIJKENISSE_EPD": f"mllp://127.0.0.1:{epd_port}",
        "SPIJKENISSE_ON_CALL": "http://127.0.0.1:9/alarm",
        "SPIJKENISSE_ON_CALL_SECRET": "whsec_bWVhc3VyZW1lbnRzLW9ubHktc2VjcmV0LW9uLWNhbGw=",
    }


def hospital(folder: Path) -> Issuer:
    """One tenant and its keys in a new folder, and who issues its patients' tokens."""
    (folder / "tenants").mkdir(parents=True)
    tenant = tomllib.loads((ROOT / "deploy" / "tenants" / f"{TENANT}.toml").read_text("utf-8"))
    tenant["terms"] = []  # nobody has to accept anything before writing
    tenant["routing"]["first_contact"] = True  # nor be treated
    tenant["limits"] = {"client": {"messages_per_minute": 10**6, "bytes_per_minute": 10**9, "urgent_per_minute": 10**6}}
    (folder / "tenants" / f"{TENANT}.toml").write_text(as_toml(tenant), "utf-8")
    issuer = Issuer(folder, TENANT)
    _run(environment(folder, issuer, f"embedded:{folder}/q", f"sqlite:{folder}/keys.sqlite"), "keys", "init")
    return issuer


@contextmanager
def ground(folder: Path) -> Iterator[Ground]:
    """A node that runs, keys and one tenant."""
    issuer = hospital(folder)
    node = RabbitNode(folder / "rabbit")
    try:
        node.start()
        yield Ground(folder, node, issuer)
    finally:
        node.stop()


def _run(environment: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "messaging_service.cli", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"messaging-service {' '.join(arguments)}: {done.stderr[-2000:]}")


@contextmanager
def gateway(on: Ground, name: str, environment: Mapping[str, str]) -> Iterator[tuple[Child, int]]:
    """A gateway process that is ready, and its port."""
    port = free_port()
    with gateway_at(port, on.folder, name, environment) as process:
        yield process, port


@contextmanager
def gateway_at(port: int, folder: Path, name: str, environment: Mapping[str, str]) -> Iterator[Child]:
    """A gateway process that is ready at that port."""
    command = [sys.executable, "-m", "messaging_service.cli", "gateway"]
    settings = {**environment, "MESSAGING_LISTEN": f"127.0.0.1:{port}"}
    with child(name, command, settings, folder) as process:
        until_ready(process, port)
        yield process


@contextmanager
def workers(on: Ground, steps: Sequence[str], environment: Mapping[str, str]) -> Iterator[dict[str, Child]]:
    """A worker process for each of `steps`, all ready."""
    with ExitStack() as running:
        ports = {step: free_port() for step in steps}
        processes = {}
        for step, port in ports.items():
            command = [sys.executable, "-m", "messaging_service.cli", "worker", step, "--listen", f"127.0.0.1:{port}"]
            processes[step] = running.enter_context(child(step, command, environment, on.folder))
        for step, port in ports.items():
            until_ready(processes[step], port)
        yield processes


def until_ready(process: Child, port: int) -> None:
    """Wait until it answers that it is ready."""
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        process.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise Failed(f"{process.name} is not ready after {_READY_SECONDS} s")


def free_port() -> int:
    """A port on loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mongodb(folder: Path) -> Iterator[tuple[str, str]]:
    """A MongoDB server and what it is: the one given or `mongod`, else the wire server that the tests use."""
    if given := os.environ.get(GIVEN):
        yield given, "mongod"
        return
    server = MongoServer(folder)
    try:
        server.start()
        yield server.uri, "mongod" if shutil.which("mongod") else "wire server"
    finally:
        server.kill()


@dataclass(frozen=True, slots=True)
class Load:
    """How a load went: `cpu_us` is what the server spent on a request, in microseconds of processor time.

    `urgent` is the share of the messages that were judged urgent, which take two queues and more time.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    urgent: float


def load(on: Ground, server: Child, port: int, tokens: list[str], count: int, connections: int) -> Load:
    """Post `count` messages to `server`. Raises Failed unless every answer is a 202."""
    plan = on.folder / "plan.json"
    plan.write_bytes(msgspec.json.encode(Plan("127.0.0.1", port, count, connections, tokens, TEXT)))
    before = server.cpu_seconds
    with child("load", script("load", str(plan)), {}, on.folder) as client:
        result = client.says()
    if result["statuses"] != {"202": count}:
        raise Failed(f"{server.name} answered {result['statuses']} to {count} messages")
    cpu = 1e6 * (server.cpu_seconds - before) / count
    return Load(count / result["seconds"], result["p50_ms"], result["p99_ms"], cpu, result["urgent"] / count)
