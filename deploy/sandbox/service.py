"""The service and a sandbox EPD as processes on loopback, with keys, tenants and a development issuer."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from issuer import Issuer, staff_issuer

from messaging_service.domain.message import Step
from messaging_service.transport import is_loopback
from workers.clock import CLOCKWORK
from workers.receive import RECEIVE

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_ZGV2ZWxvcG1lbnQtb25seS1zZWNyZXQtb2Ytb24tY2FsbA=="  # noqa: S105 - signs nothing but the demonstration
TENANTS = ("spijkenisse", "sein")
_STARTED_WITHIN = 60
_STEPS = (*(step.value for step in Step), RECEIVE, *CLOCKWORK)
_HERE_ONLY = """
[limits]
messages_per_hour = 5000
requests_per_minute = 5000
client = {{ urgent_per_minute = 5000 }}

[epd.listener]
listen = "127.0.0.1:{port}"
"""
"""What a tenant's file says more in the sandbox: room to press buttons, and where the sandbox EPD reports."""
_READ = '[epd]\nread = ["AU"]\n'
"""The code with which the sandbox EPD says that a clinician has read a message."""
_SHOWN = "\n[receipts]\nof_care_team = true\n"
"""Patients see what the care team has read, also where the shipped file leaves it out."""


class NotStarted(Exception):
    """The sandbox may not run here, or a process of it did not come up."""


def refuse_production(environment: Mapping[str, str], host: str) -> None:
    """The sandbox hands out tokens to whoever asks: it is for one's own machine and for made-up patients.

    Raises:
        NotStarted: it would listen elsewhere than on loopback, or this shell is set up for a service with servers.
    """
    if not is_loopback(host):
        raise NotStarted(f"the sandbox listens on loopback only, not on {host}: it gives everybody a token")
    for name, own in (("MESSAGING_STORE", "sqlite:"), ("MESSAGING_BROKER", "embedded:")):
        if (value := environment.get(name)) and not value.startswith(own):
            raise NotStarted(f"{name} names a real server: the sandbox does not run beside production; unset {name}")


@dataclass(slots=True)
class SandboxEpd:
    """The sandbox EPD's control surface."""

    http: aiohttp.ClientSession
    control: str

    async def inbox(self) -> dict[str, dict[str, Any]]:
        """What a clinician sees, by TXA-12."""
        async with self.http.get(f"{self.control}/inbox") as answer:
            return {filed["document"]: filed for filed in (await answer.json())["documents"]}

    async def be(self, mode: str) -> None:
        """Answer as told: normal, slow, refuse, reject, lie, hang, garbage or down."""
        async with self.http.post(f"{self.control}/mode", json={"mode": mode}) as answer:
            answer.raise_for_status()


def free_port(preferred: int = 0) -> int:
    """A port on loopback: the preferred one if it is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise NotStarted("no free port on 127.0.0.1")


@asynccontextmanager
async def process(
    name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child process whose standard error goes to `log`; told to stop at the end, killed if it does not."""
    with log.open("ab") as file:
        child = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE, stderr=file
        )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 30)
            except TimeoutError:
                child.kill()
                await child.wait()


@asynccontextmanager
async def sandbox_epd(http: aiohttp.ClientSession, log: Path) -> AsyncIterator[tuple[SandboxEpd, int]]:
    """A sandbox EPD on free ports: its control surface and its MLLP port."""
    script = str(ROOT / "deploy" / "sandbox" / "epd.py")
    command = [sys.executable, script, "--port", "0", "--control-port", "0"]
    async with process("sandbox EPD", command, {}, log) as child:
        assert child.stdout is not None
        line = await asyncio.wait_for(child.stdout.readline(), _STARTED_WITHIN)
        if not line:
            raise NotStarted(f"the sandbox EPD ended at once; see {log}")
        ports = json.loads(line)
        yield SandboxEpd(http, f"http://127.0.0.1:{ports['control_port']}"), ports["port"]


async def until_ready(http: aiohttp.ClientSession, url: str, child: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until the gateway answers that it is ready."""
    async with asyncio.timeout(_STARTED_WITHIN):
        while True:
            if child.returncode is not None:
                raise NotStarted(f"the service ended with status {child.returncode}:\n{log.read_text()[-2000:]}")
            try:
                async with http.get(f"{url}/health/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


class Worker:
    """All worker steps in one process, which can be killed and started again."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._child: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._child is not None and self._child.returncode is None

    async def start(self) -> None:
        """Start it, if it is not there."""
        if self.running:
            return
        command = [sys.executable, "-m", "messaging_service.cli", "worker", *_STEPS]
        with self._log.open("ab") as file:
            self._child = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env={**os.environ, **self._environment}, stdout=file, stderr=file
            )

    async def kill(self) -> None:
        """Kill it as a power cut would: SIGKILL, nothing finished, nothing said."""
        if self._child is not None and self.running:
            self._child.kill()
            await self._child.wait()

    async def stop(self) -> None:
        """Ask it to stop, and wait."""
        if self._child is not None and self.running:
            self._child.terminate()
            try:
                await asyncio.wait_for(self._child.wait(), 30)
            except TimeoutError:
                await self.kill()


@dataclass(slots=True)
class Running:
    """The embedded service with everything around it. `listeners`: where each tenant takes what its EPD sends."""

    url: str
    epd: SandboxEpd
    issuers: dict[str, Issuer]
    environment: dict[str, str]
    http: aiohttp.ClientSession
    folder: Path
    worker: Worker
    listeners: dict[str, str]


def hospitals(folder: Path) -> dict[str, str]:
    """Write the shipped tenants' files to `folder`/tenants, each with a listener; tenant → its host:port."""
    tenants, listeners = folder / "tenants", {}
    tenants.mkdir(exist_ok=True)
    for tenant in TENANTS:
        port = free_port()
        shipped = (ROOT / "deploy" / "tenants" / f"{tenant}.toml").read_text("utf-8").replace("[epd]\n", _READ, 1)
        shown = "" if "[receipts]" in shipped else _SHOWN
        (tenants / f"{tenant}.toml").write_text(shipped + _HERE_ONLY.format(port=port) + shown, "utf-8")
        listeners[tenant] = f"127.0.0.1:{port}"
    return listeners


def settings(folder: Path, url: str, epd_port: int, on_call: str, issuers: Mapping[str, Issuer]) -> dict[str, str]:
    """The environment of an embedded service in `folder`."""
    found = {
        "MESSAGING_BROKER": f"embedded:{folder}/queue.sqlite",
        "MESSAGING_STORE": f"sqlite:{folder}/documents.sqlite",
        "MESSAGING_KEYRING": f"{folder}/keyring.json",
        "MESSAGING_TENANTS": str(folder / "tenants"),
        "MESSAGING_LISTEN": url.removeprefix("http://"),
        "MESSAGING_PUBLIC_URL": url,
    }
    for tenant, issuer in issuers.items():
        prefix = tenant.upper()
        found[f"{prefix}_ISSUER"] = issuer.name
        found[f"{prefix}_JWKS"] = f"file:{issuer.jwks}"
        staff = staff_issuer(folder, tenant)
        found[f"{prefix}_STAFF_ISSUER"] = staff.name
        found[f"{prefix}_STAFF_JWKS"] = f"file:{staff.jwks}"
        found[f"{prefix}_EPD"] = f"mllp://127.0.0.1:{epd_port}"
        found[f"{prefix}_ON_CALL"] = on_call
        found[f"{prefix}_ON_CALL_SECRET"] = SECRET
    return found


async def command(environment: Mapping[str, str], *arguments: str, given: str = "") -> str:
    """Run `messaging-service` to its end and return what it printed. Raises NotStarted when it fails."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "messaging_service.cli",
        *arguments,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate(given.encode())
    if child.returncode:
        raise NotStarted(f"messaging-service {' '.join(arguments)}: {err.decode()[-2000:]}")
    return out.decode()


@asynccontextmanager
async def embedded_service(folder: Path, on_call: str, port: int) -> AsyncIterator[Running]:
    """Start the sandbox EPD, the gateway and the worker, with state in `folder`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    issuers = {tenant: Issuer(folder, tenant) for tenant in TENANTS}
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        epd, epd_port = await stack.enter_async_context(sandbox_epd(http, folder / "epd.log"))
        listeners = hospitals(folder)
        environment = settings(folder, url, epd_port, on_call, issuers)
        await command(environment, "keys", "init")
        worker = Worker(environment, folder / "worker.log")
        stack.push_async_callback(worker.stop)
        await worker.start()
        gateway = [sys.executable, "-m", "messaging_service.cli", "gateway"]
        child = await stack.enter_async_context(process("gateway", gateway, environment, folder / "gateway.log"))
        await until_ready(http, url, child, folder / "gateway.log")
        yield Running(url, epd, issuers, environment, http, folder, worker, listeners)
