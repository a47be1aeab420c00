"""The application on real embedded parts: SQLite for store and queues, keys of its own, a clock that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from messaging_service.adapters import embedded_queue
from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application import ledger, topology
from messaging_service.application.collections import ALL
from messaging_service.cli import main
from messaging_service.config import load_tenants
from messaging_service.crypto.keyring import Keyring
from messaging_service.epd.policy import AckPolicy
from messaging_service.tenants import AccountRules, Portal, Tenant
from tests.parts.certificate import self_signed
from tests.parts.faulty import FaultyBroker, FaultyStore
from tests.parts.service import DEFERRAL_MS, LADDER_MS, MovedClock, Service
from workers import runner, settling

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "tenants"
SECRET = "whsec_dGVzdHMtb25seS1zZWNyZXQtb2YtZXZlcnktd2ViaG9vaw=="
PORTAL = Portal(webhook="http://127.0.0.1:9/events", secret=SECRET, loopback=True)
ADDRESSES = {
    f"{tenant}_{name}": value
    for tenant in ("SPIJKENISSE", "SEIN")
    for name, value in {
        "ISSUER": "https://issuer.invalid",
        "JWKS": "file:/nowhere",
        "STAFF_ISSUER": "https://staff.invalid",
        "STAFF_JWKS": "file:/nowhere",
        "EPD": "mllp://127.0.0.1:9",
        "ON_CALL": "http://127.0.0.1:9/alarms",
        "ON_CALL_SECRET": SECRET,
    }.items()
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds where the service takes seconds."""
    monkeypatch.setattr(embedded_queue, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(topology, "DEFERRAL_MS", DEFERRAL_MS)
    monkeypatch.setattr(settling, "DEFERRAL_MS", DEFERRAL_MS)
    monkeypatch.setattr(ledger, "_SECOND_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(runner, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(runner, "_TRIAL_SECONDS", 0.3)


@pytest.fixture
def tenants() -> dict[str, Tenant]:
    """The shipped hospitals, with a portal, at addresses where nobody listens; no terms to accept first, and
    no treatment relation needed.

    Spijkenisse sends again what was not acknowledged; SEIN parks it.
    """
    shipped = load_tenants(SHIPPED, ADDRESSES)
    return {
        "spijkenisse": _as_tested(shipped["spijkenisse"], AckPolicy()),
        "sein": _as_tested(shipped["sein"], AckPolicy(on_unknown="park")),
    }


def _as_tested(tenant: Tenant, policy: AckPolicy) -> Tenant:
    epd = msgspec.structs.replace(tenant.epd, connect_timeout=1.0, ack_timeout=1.5, policy=policy)
    routing = msgspec.structs.replace(tenant.routing, first_contact=True)
    return msgspec.structs.replace(tenant, epd=epd, portal=PORTAL, accounts=AccountRules(), terms=(), routing=routing)


@pytest.fixture
async def service(tmp_path: Path, tenants: dict[str, Tenant], quick: None) -> AsyncIterator[Service]:
    """The parts, open; queues declared."""
    store = FaultyStore(SqliteDocuments(tmp_path / "documents.sqlite"))
    broker = FaultyBroker(EmbeddedBroker(tmp_path / "queue.sqlite"))
    await store.open(ALL)
    await broker.open()
    await broker.declare(topology.topology(tenants, LADDER_MS))
    keyring = Keyring.create(tmp_path / "keyring.json", list(tenants))
    yield Service(store, broker, tenants, keyring, MovedClock())
    await broker.close()
    await store.close()


Command = Callable[..., Result]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command to its end on embedded parts of its own, whose keys and queues are made."""
    settings = {"BROKER": f"embedded:{tmp_path}/q", "STORE": f"sqlite:{tmp_path}/d", "KEYRING": f"{tmp_path}/keyring"}
    for name, value in {**settings, "TENANTS": str(SHIPPED)}.items():
        monkeypatch.setenv(f"MESSAGING_{name}", value)
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)

    def invoke(*arguments: str, given: str = "") -> Result:
        return CliRunner().invoke(main, arguments, input=given)

    for made in (("keys", "init"), ("queues", "declare")):
        assert invoke(*made).exit_code == 0
    return invoke


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    return self_signed(tmp_path_factory.mktemp("tls"))
