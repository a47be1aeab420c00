"""The whole service for tests: gateway and every worker as processes of their own, and all they talk to.

The servers (RabbitMQ, MongoDB) are given; each system has queues and a database of its own on them.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from deploy.sandbox.epd import Filed, SandboxEpd
from deploy.sandbox.issuer import Issuer, staff_issuer
from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.mongodb import MongoDocuments
from messaging_service.adapters.rabbitmq import RabbitBroker
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.codec import from_document
from messaging_service.application.collections import ALL, PARKED
from messaging_service.application.park import ParkedMessage
from messaging_service.application.ports import Broker, Depth, DocumentStore
from messaging_service.application.threads import Threads
from messaging_service.application.topology import PARK_DEAD, topology
from messaging_service.domain.errors import BrokerDown
from messaging_service.domain.filing import Attempt
from tests.parts.children import Children
from tests.parts.hospitals import SECRET, write_tenants
from tests.parts.mllp_peer import sandbox_epd
from tests.parts.patient import Patient
from tests.parts.receivers import Receivers, receivers
from tests.parts.waiting import until

LADDER_MS = "300,600,1200"
SEPARATE: Mapping[str, tuple[str, ...]] = {
    "gateway": ("gateway",),
    "persist": ("worker", "persist"),
    "file": ("worker", "file"),
    "escalate": ("worker", "escalate"),
    "rest": ("worker", "notify", "park", "receive"),
}
"""A process for the gateway and for each step; the two that have least to do share one."""

TWO_OF_EACH: Mapping[str, tuple[str, ...]] = {
    **SEPARATE,
    "gateway 2": SEPARATE["gateway"],
    "persist 2": SEPARATE["persist"],
    "file 2": SEPARATE["file"],
}
"""Several processes of a step, as a bigger hospital runs them."""

TOGETHER: Mapping[str, tuple[str, ...]] = {"gateway": ("serve",)}
"""Everything in one process, as the embedded queue needs it."""


@dataclass(slots=True)
class System:
    """One running service. `children` are its processes, `epds` the hospitals' EPDs by tenant."""

    url: str
    folder: Path
    plan: Mapping[str, tuple[str, ...]]
    children: Children
    epds: dict[str, SandboxEpd]
    issuers: dict[str, Issuer]
    staff: dict[str, Issuer]
    told: Receivers
    http: aiohttp.ClientSession
    broker: Broker
    store: DocumentStore

    def listener(self, tenant: str) -> int:
        """The port that a tenant's EPD sends to."""
        return int(self.children.environment[f"{tenant.upper()}_LISTEN"].rpartition(":")[2])

    @property
    def virtual_host(self) -> str:
        """The name of its virtual host on RabbitMQ."""
        return self.children.environment["MESSAGING_BROKER"].rpartition("/")[2]

    @property
    def queues(self) -> list[str]:
        """The names of all queues but the rungs of the ladder."""
        return [queue.name for queue in topology(self.epds).queues]

    async def start(self, *names: str) -> None:
        """Start those of the processes that do not run (all, when none is named) and wait until they work."""
        for name in names or self.plan:
            if name not in self.children:
                await self.children.start(name, *self.plan.get(name, ()))
        await until(self._works, "every queue has its consumers and the gateway is ready", 60)

    async def restart(self, name: str) -> None:
        """kill -9, and start again."""
        await self.children.kill(name)
        await self.start(name)

    def patient(self, tenant: str, number: str, name: str = "Jansen", **claims: Any) -> Patient:
        """A patient with a valid token; `claims` add to it or change it."""
        return Patient(self.http, self.url, self.issuers[tenant], tenant, number, name, **claims)

    async def relation(self, tenant: str, number: str, care_team: str, name: str = "Jansen") -> None:
        """A care team treats this patient."""
        line = {"tenant": tenant, "identifiers": {"local": number}, "name": name, "care_team": care_team, "since": 0}
        done = await self.children.command("relations", "load", "-", given=json.dumps(line))
        assert done.status == 0, done.err

    def filed(self, tenant: str, id: str) -> Filed:
        """The document in that tenant's EPD inbox."""
        return self.epds[tenant].inbox[id]

    async def attempts(self, id: str) -> tuple[Attempt, ...]:
        """Every attempt to file a message, with what the EPD answered."""
        filing = await Threads(self.store).filing(id)
        assert filing is not None, f"{id} is not in the store"
        return filing.attempts

    async def parked(self) -> dict[str, ParkedMessage]:
        """What waits for a person, by id."""
        found = await self.store.find(PARKED, "by_state", {"state": "parked"}, limit=10_000)
        listed = [from_document(document, ParkedMessage) for document in found]
        return {parked.id: parked for parked in listed}

    async def command(self, *arguments: str) -> Any:
        """What a command prints with --json; fails the test when the command fails."""
        done = await self.children.command(*arguments, "--json")
        assert done.status == 0, (done.status, done.out, done.err)
        return json.loads(done.out)

    async def depths(self) -> dict[str, Depth]:
        """What waits in each queue now. Raises BrokerDown."""
        return await self.broker.depths(self.queues)

    async def ledger(self) -> dict[str, Any]:
        """The ledger's report; fails the test unless it exits 0."""
        report: dict[str, Any] = await self.command("ledger")
        assert report["ok"], report
        return report

    async def metrics(self) -> dict[str, float]:
        """The gateway's metrics, by name with labels."""
        async with self.http.get(f"{self.url}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        samples = (re.fullmatch(r"(\S+?(?:\{.*\})?) (\S+)", line) for line in lines if not line.startswith("#"))
        return {found[1]: float(found[2]) for found in samples if found}

    async def well_again(self) -> None:
        """Every EPD answers as usual and every process runs."""
        for epd in self.epds.values():
            await epd.set_mode("normal")
        await self.start()

    async def _works(self) -> bool:
        self.children.check()
        with suppress(aiohttp.ClientError, BrokerDown):
            async with self.http.get(f"{self.url}/health/ready") as answer:
                return answer.status == 200 and all(
                    depth.consumers for queue, depth in (await self.depths()).items() if queue != PARK_DEAD
                )
        return False


@asynccontextmanager
async def running(
    folder: Path,
    *,
    broker: str,
    store: str,
    plan: Mapping[str, tuple[str, ...]] = SEPARATE,
    parks_unknown: str = "sein",
    more: Mapping[str, str] = {},
    settings: Mapping[str, str] = {},
) -> AsyncIterator[System]:
    """A system in `folder` on these servers, up and working; everything ends with it.

    `more` tenants: by their ids the text of their files, as it is. `settings` are added to the processes' own.
    """
    async with AsyncExitStack() as stack:
        told = await stack.enter_async_context(receivers())
        tenants = [*write_tenants(folder / "tenants", parks_unknown=parks_unknown), *more]
        for tenant, text in more.items():
            (folder / "tenants" / f"{tenant}.toml").write_text(text, "utf-8")
        epds = {tenant: await stack.enter_async_context(sandbox_epd()) for tenant in tenants}
        issuers = {tenant: Issuer(folder, tenant) for tenant in tenants}
        staff = {tenant: staff_issuer(folder, tenant) for tenant in tenants}
        url = f"http://127.0.0.1:{free_port()}"
        environment = {
            "MESSAGING_BROKER": broker,
            "MESSAGING_STORE": store,
            "MESSAGING_KEYRING": str(folder / "keyring.json"),
            "MESSAGING_TENANTS": str(folder / "tenants"),
            "MESSAGING_LISTEN": url.removeprefix("http://"),
            "MESSAGING_PUBLIC_URL": url,
            "MESSAGING_OPS_WEBHOOK": f"{told.url}/alerts",
            "MESSAGING_SMTP": told.smtp,
            "MESSAGING_LADDER_MS": LADDER_MS,
            "PORTAL": f"{told.url}/events",
            **_addresses(tenants, epds, issuers, staff, told),
            **settings,
        }
        children = Children(environment, folder / "logs")
        stack.push_async_callback(children.close)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        made = await children.command("keys", "init")
        assert made.status == 0, made.err
        queues = await stack.enter_async_context(_queues(broker))
        documents = await stack.enter_async_context(_documents(store))
        system = System(url, folder, plan, children, epds, issuers, staff, told, http, queues, documents)
        await system.start()
        yield system


@asynccontextmanager
async def _queues(url: str) -> AsyncIterator[Broker]:
    """A look at the queues from here; it consumes nothing."""
    embedded = url.startswith("embedded:")
    broker: Broker = EmbeddedBroker(url.removeprefix("embedded:")) if embedded else RabbitBroker(url, name="test")
    await broker.open()
    try:
        yield broker
    finally:
        await broker.close()


@asynccontextmanager
async def _documents(url: str) -> AsyncIterator[DocumentStore]:
    """The documents, to look at from here."""
    sqlite = url.startswith("sqlite:")
    store: DocumentStore = (
        SqliteDocuments(Path(url.removeprefix("sqlite:"))) if sqlite else MongoDocuments(url, url.rpartition("/")[2])
    )
    await store.open(ALL)
    try:
        yield store
    finally:
        await store.close()


def _addresses(
    tenants: list[str],
    epds: Mapping[str, SandboxEpd],
    issuers: Mapping[str, Issuer],
    staff: Mapping[str, Issuer],
    told: Receivers,
) -> dict[str, str]:
    found = {}
    for tenant in tenants:
        prefix = tenant.upper()
        found[f"{prefix}_ISSUER"] = issuers[tenant].name
        found[f"{prefix}_JWKS"] = f"file:{issuers[tenant].jwks}"
        found[f"{prefix}_STAFF_ISSUER"] = staff[tenant].name
        found[f"{prefix}_STAFF_JWKS"] = f"file:{staff[tenant].jwks}"
        found[f"{prefix}_EPD"] = f"mllp://127.0.0.1:{epds[tenant].port}"
        found[f"{prefix}_LISTEN"] = f"127.0.0.1:{free_port()}"
        found[f"{prefix}_ON_CALL"] = f"{told.url}/alarms"
        found[f"{prefix}_ON_CALL_SECRET"] = SECRET
    return found


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
