"""The access log (NEN 7513): entries chained per tenant and process run, so that a gap, a change or a swap is found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from messaging_service.application.access_anchors import Anchors, Says
from messaging_service.application.access_chain import Chain, Head
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, Clock, Document, DocumentStore
from messaging_service.domain.errors import Conflict, MessageFault, ServerFault, StoreDown

_BATCH = 500
_SECONDS_BETWEEN_ANCHORS = 60.0
SEALED_AS = "access log"

log = structlog.get_logger()


class ChainedAccessLog:
    """Writes entries in batches; `record` returns when its entry is durable.

    When the store fails mid-batch nobody knows which entries were written, so new chains begin: what was in doubt stays
    the tail of the old ones, beyond the last confirmed head, which is anchored all the same.
    """

    def __init__(
        self, store: DocumentStore, patients: Patients, anchors: Anchors, clock: Clock, source: str = "service"
    ) -> None:
        self._store = store
        self._patients = patients
        self._anchors = anchors
        self._clock = clock
        self._source = source
        self._waiting: list[tuple[Access, bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None
        self._anchoring: asyncio.Task[None] | None = None
        self._chains: dict[str, Chain] = {}
        self._heads: dict[str, tuple[str, Head]] = {}

    async def record(self, access: Access) -> None:
        """Durable when it returns. Raises StoreDown."""
        name = await self._sealed_name(access)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((access, name, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await done

    async def anchor(self) -> None:
        """Anchor the heads that are new since the last time. After StoreDown or Conflict they still are."""
        for run, (tenant, head) in list(self._heads.items()):
            await self._anchors.add(tenant, Says.HEAD, head)
            if self._heads.get(run) == (tenant, head):
                del self._heads[run]

    async def close(self) -> None:
        """Finish what was begun and anchor it."""
        if self._flushing is not None:
            await self._flushing
        if self._anchoring is not None:
            self._anchoring.cancel()
        await self._try_anchor()

    async def _sealed_name(self, access: Access) -> bytes:
        if not access.by.name or not access.patient:
            return b""
        try:
            patient = await self._patients.load(access.patient)
        except MessageFault:
            return b""  # destroyed with the patient's key
        return patient.seal(access.object, SEALED_AS, access.by.name)

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            tenants = dict.fromkeys(access.tenant for access, _, _ in batch)
            try:
                await self._write([self._link(access, name) for access, name, _ in batch])
            except Exception as problem:  # also one of ours: it belongs to those who wait, and must not end the log
                for tenant in tenants:
                    self._chains.pop(tenant, None)
                for _, _, done in batch:
                    if not done.done():
                        done.set_exception(problem)
            else:
                self._confirm(tenants)
                for _, _, done in batch:
                    if not done.done():
                        done.set_result(None)
        self._flushing = None

    def _link(self, access: Access, name: bytes) -> Document:
        chain = self._chains.setdefault(access.tenant, Chain(access.tenant))
        return chain.link(access, name, self._clock(), self._source)

    async def _write(self, entries: Sequence[Document]) -> None:
        if not all(await self._store.insert(ACCESS_LOG, entries)):
            raise StoreDown("an entry of the access log has an id that is taken")

    def _confirm(self, tenants: dict[str, None]) -> None:
        for tenant in tenants:
            head = self._chains[tenant].confirm()
            self._heads[head.run] = (tenant, head)
        if self._anchoring is None:
            self._anchoring = asyncio.create_task(self._keep_anchored())

    async def _keep_anchored(self) -> None:
        """A new head is anchored at once, and those that follow within a minute together."""
        while self._heads:
            await self._try_anchor()
            await asyncio.sleep(_SECONDS_BETWEEN_ANCHORS)
        self._anchoring = None

    async def _try_anchor(self) -> None:
        try:
            await self.anchor()
        except (ServerFault, Conflict) as problem:
            log.warning("access_log_not_anchored", error=type(problem).__name__)
