"""What runs in one process, connected; the files beside it make use cases of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp

from messaging_service.adapters.metrics import Metrics
from messaging_service.adapters.mllp import MllpPool
from messaging_service.application.access_anchors import Anchors
from messaging_service.application.access_log import ChainedAccessLog
from messaging_service.application.accounts import Accounts
from messaging_service.application.alerts import Alerts
from messaging_service.application.changes import Changes
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Broker, Clock, DocumentStore, Topology, Traces, WorkingDays
from messaging_service.application.relations import Relations
from messaging_service.application.threads import Threads
from messaging_service.config import Settings
from messaging_service.crypto.keyring import Keyring
from messaging_service.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs in one process, connected."""

    settings: Settings
    name: str
    tenants: Mapping[str, Tenant]
    topology: Topology
    clock: Clock
    keyring: Keyring
    broker: Broker
    store: DocumentStore
    http: aiohttp.ClientSession
    metrics: Metrics
    patients: Patients
    accounts: Accounts
    relations: Relations
    threads: Threads
    changes: Changes
    anchors: Anchors
    access_log: ChainedAccessLog
    alerts: Alerts
    calendars: Mapping[str, WorkingDays]
    pools: dict[str, MllpPool]
    closing: AsyncExitStack
    traces: Traces | None = None

    @property
    def queues(self) -> tuple[str, ...]:
        """The names of all queues."""
        return tuple(queue.name for queue in self.topology.queues)
