"""Store and broker with faults on demand, around the real embedded ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.application.ports import (
    Broker,
    Collection,
    Delivery,
    Depth,
    Document,
    DocumentStore,
    Envelope,
    Topology,
)
from messaging_service.domain.errors import BrokerDown, PublishUnknown, StoreDown

T = TypeVar("T")
Hook = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class _Fault:
    operation: str
    collection: str
    done: bool
    passing: int


class FaultyStore(DocumentStore):
    """`down` fails every call; `fail` plans one fault; `meanwhile` lets something happen just before one call."""

    def __init__(self, inner: DocumentStore) -> None:
        self.inner = inner
        self.down = False
        self.calls: list[tuple[str, str]] = []
        self._faults: list[_Fault] = []
        self._hooks: dict[tuple[str, str], Hook] = {}

    def fail(self, operation: str, collection: Collection, *, done: bool = False, passing: int = 0) -> None:
        """The next such call fails, after `passing` others; `done`: it is carried out and only its answer is lost."""
        self._faults.append(_Fault(operation, collection.name, done, passing))

    def meanwhile(self, operation: str, collection: Collection, hook: Hook) -> None:
        """Somebody else does this just before the next such call."""
        self._hooks[operation, collection.name] = hook

    async def _through(self, operation: str, collection: str, call: Callable[[], Awaitable[T]]) -> T:
        self.calls.append((operation, collection))
        if hook := self._hooks.pop((operation, collection), None):
            await hook()
        fault = self._due(operation, collection)
        if self.down or (fault and not fault.done):
            raise StoreDown("test")
        answer = await call()
        if fault:
            raise StoreDown("test, after it was done")
        return answer

    def _due(self, operation: str, collection: str) -> _Fault | None:
        for fault in self._faults:
            if (fault.operation, fault.collection) == (operation, collection):
                if fault.passing == 0:
                    self._faults.remove(fault)
                    return fault
                fault.passing -= 1
        return None

    async def open(self, collections: Sequence[Collection]) -> None:
        await self.inner.open(collections)

    async def insert(self, collection: Collection, documents: Sequence[Document]) -> list[bool]:
        return await self._through("insert", collection.name, lambda: self.inner.insert(collection, documents))

    async def get(self, collection: Collection, id: str) -> Document | None:
        return await self._through("get", collection.name, lambda: self.inner.get(collection, id))

    async def get_many(self, collection: Collection, ids: Sequence[str]) -> dict[str, Document]:
        return await self._through("get_many", collection.name, lambda: self.inner.get_many(collection, ids))

    async def find(self, collection: Collection, index: str, equal: Mapping[str, Any], **limits: Any) -> list[Document]:
        return await self._through("find", collection.name, lambda: self.inner.find(collection, index, equal, **limits))

    async def count(self, collection: Collection, index: str, equal: Mapping[str, Any]) -> int:
        return await self._through("count", collection.name, lambda: self.inner.count(collection, index, equal))

    async def replace(self, collection: Collection, document: Document) -> bool:
        return await self._through("replace", collection.name, lambda: self.inner.replace(collection, document))

    async def delete(self, collection: Collection, id: str) -> bool:
        return await self._through("delete", collection.name, lambda: self.inner.delete(collection, id))

    async def ping(self) -> None:
        if self.down:
            raise StoreDown("test")
        await self.inner.ping()

    async def close(self) -> None:
        await self.inner.close()


class WatchedDelivery(Delivery):
    """A delivery with something done before its acknowledgement."""

    def __init__(self, inner: Delivery, before_ack: Hook | None) -> None:
        self.queue = inner.queue
        self.envelope = inner.envelope
        self.delivery_count = inner.delivery_count
        self._inner = inner
        self._before_ack = before_ack

    async def ack(self) -> None:
        if self._before_ack is not None:
            await self._before_ack()
        await self._inner.ack()

    async def give_back(self) -> None:
        await self._inner.give_back()


class WatchedDeliveries:
    """Deliveries, each watched; any number of tasks may share it."""

    def __init__(self, inner: AsyncIterator[Delivery], before_ack: Hook | None) -> None:
        self._inner = inner
        self._before_ack = before_ack

    def __aiter__(self) -> WatchedDeliveries:
        return self

    async def __anext__(self) -> Delivery:
        return WatchedDelivery(await anext(self._inner), self._before_ack)


class FaultyBroker(Broker):
    """`down` fails every call; `unknown` publishes, and says it does not know; `before_ack` may look, or raise.

    `before_publish` happens once, just before the next publish.
    """

    def __init__(self, inner: EmbeddedBroker) -> None:
        self.inner = inner
        self.down = False
        self.unknown: set[str] = set()
        self.before_ack: Hook | None = None
        self.before_publish: Hook | None = None
        self.published: list[tuple[str, str, int]] = []

    async def open(self) -> None:
        await self.inner.open()

    async def declare(self, topology: Topology) -> None:
        await self.inner.declare(topology)

    async def publish(self, queue: str, envelope: Envelope, *, delay_ms: int = 0) -> None:
        self._check()
        hook, self.before_publish = self.before_publish, None
        if hook is not None:
            await hook()
        await self.inner.publish(queue, envelope, delay_ms=delay_ms)
        self.published.append((queue, envelope.message_id, delay_ms))
        if queue in self.unknown:
            self.unknown.remove(queue)
            raise PublishUnknown(queue)

    @asynccontextmanager
    async def consume(self, queue: str, prefetch: int) -> AsyncIterator[AsyncIterator[Delivery]]:
        self._check()
        async with self.inner.consume(queue, prefetch) as deliveries:
            yield WatchedDeliveries(deliveries, self.before_ack)

    async def depths(self, queues: Sequence[str]) -> dict[str, Depth]:
        self._check()
        return await self.inner.depths(queues)

    async def ping(self) -> None:
        self._check()
        await self.inner.ping()

    async def close(self) -> None:
        await self.inner.close()

    def _check(self) -> None:
        if self.down:
            raise BrokerDown("test")
