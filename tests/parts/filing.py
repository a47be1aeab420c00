"""The file step over a sandbox EPD in this process, and what changes and proves filings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec

from deploy.sandbox.epd import SandboxEpd
from messaging_service.adapters.mllp import MllpPool
from messaging_service.application.acknowledge import ApplicationAcknowledgement
from messaging_service.application.changes import Changes
from messaging_service.application.compose import Compose
from messaging_service.application.correct import Correct
from messaging_service.application.file import EpdLine, File
from messaging_service.application.park import Park
from messaging_service.application.reconcile import Reconcile
from messaging_service.application.threads import StoredMessage
from messaging_service.application.topology import PARK, file_queue
from messaging_service.bootstrap import epd_pool
from messaging_service.domain.filing import Filing
from messaging_service.domain.message import Lane
from messaging_service.epd.render import DocumentTemplate
from messaging_service.tenants import Tenant
from tests.parts.mllp_peer import sandbox_epd
from tests.parts.service import LADDER_MS, PATIENCE, Service, enveloped, persisted_event


class Hospital:
    """Spijkenisse with an EPD of its own: files, changes and proves, one call a step."""

    def __init__(self, service: Service, tenant: Tenant, epd: SandboxEpd, pool: MllpPool) -> None:
        self.service, self.tenant, self.epd = service, tenant, epd
        tenants = service.tenants | {tenant.id: tenant}
        self.changes = Changes(service.store)
        line = EpdLine(tenant, pool, DocumentTemplate.compile(tenant.epd.profile))
        common: dict[str, Any] = {"threads": service.threads, "alerts": service.alerts, "clock": service.clock}
        self.file = File(
            lines={tenant.id: line},
            compose=Compose(service.patients, service.threads),
            changes=self.changes,
            access_log=service.access_log,
            meter=service.meter,
            **common,
        )
        self.correct = Correct(
            tenants=tenants,
            store=service.store,
            broker=service.broker,
            patients=service.patients,
            threads=service.threads,
            changes=self.changes,
            access_log=service.access_log,
            clock=service.clock,
        )
        stores: dict[str, Any] = {"store": service.store, "broker": service.broker, **common}
        self.reconcile = Reconcile(changes=self.changes, **stores)
        self.acknowledged = ApplicationAcknowledgement(meter=service.meter, ladder_ms=LADDER_MS, **stores)
        self.park = Park(tenants=tenants, store=service.store, threads=service.threads, clock=service.clock)

    async def filed(self, **accepted: Any) -> StoredMessage:
        """A message that the file step is done with."""
        message = await self.service.persisted(**accepted)
        await self.file(enveloped(persisted_event(message)))
        return message

    async def carry_out(self, expected: int = 0) -> list[str]:
        """What waits on the file queue, handled and taken off; the ids, in order. So many are waited for."""
        return await self._through(file_queue(self.tenant.id, Lane.NORMAL), self.file, expected)

    async def park_all(self) -> list[str]:
        """What waits for the park step, handled and taken off."""
        return await self._through(PARK, self.park)

    async def _through(self, queue: str, step: Any, expected: int = 0) -> list[str]:
        ids = []
        ready = expected or (await self.service.broker.depths([queue]))[queue].ready
        async with self.service.broker.inner.consume(queue, max(ready, 1)) as deliveries:
            for _ in range(ready):
                delivery = await asyncio.wait_for(anext(deliveries), PATIENCE)
                for follows in await step(delivery.envelope):
                    await self.service.broker.publish(follows.queue, follows.envelope)
                await delivery.ack()
                ids.append(delivery.envelope.message_id)
        return ids

    async def filing(self, id: str) -> Filing:
        """A filing as it is stored."""
        found = await self.service.threads.filing(id)
        assert found is not None
        return found


@asynccontextmanager
async def hospital(service: Service, mode: str = "normal", **epd: Any) -> AsyncIterator[Hospital]:
    """Spijkenisse over a sandbox EPD; `epd` changes its [epd] table, `profile` in it the profile's fields."""
    async with sandbox_epd(mode) as sandbox:
        shipped = service.tenants["spijkenisse"]
        profile = replace(shipped.epd.profile, **epd.pop("profile", {}))
        address = f"mllp://127.0.0.1:{sandbox.port}"
        table = msgspec.structs.replace(shipped.epd, **{"address": address, "profile": profile, **epd})
        pool = epd_pool(table)
        try:
            yield Hospital(service, msgspec.structs.replace(shipped, epd=table), sandbox, pool)
        finally:
            await pool.close()
