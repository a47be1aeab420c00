"""A campaign of kill -9, decided by a seed, while patients write; and what must hold afterwards."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from messaging_service.application.threads import StoredMessage, Threads
from messaging_service.domain.filing import FilingState
from tests.faults.writers import Correspondence, Promise, Writer
from tests.parts.mongo import MongoServer
from tests.parts.rabbit import RabbitNode
from tests.parts.system import System
from tests.parts.waiting import until

WRITERS_A_TENANT = 8
_DRAINED_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What dies, for how many seconds it stays dead, and how long all is well before the next."""

    victim: str
    dead: float
    calm: float


def plan(seed: int, victims: Sequence[str], rounds: int) -> list[Fault]:
    """The faults of a seed. Every victim comes once before one comes twice."""
    chance = random.Random(seed)
    order: list[str] = []
    while len(order) < rounds:
        order += chance.sample(list(victims), len(victims))
    return [Fault(victim, chance.uniform(0, 2), chance.uniform(0.3, 2)) for victim in order[:rounds]]


class Campaign:
    """One run over one system. `rabbit` and `mongo` are its servers; SQLite documents have none."""

    def __init__(self, system: System, rabbit: RabbitNode, mongo: MongoServer | None, seed: int) -> None:
        self._system = system
        self._rabbit = rabbit
        self._mongo = mongo
        self._seed = seed
        self.held = Correspondence()

    @property
    def victims(self) -> list[str]:
        """Every process there is."""
        return [*self._system.plan, "broker", *(["store"] if self._mongo else [])]

    async def play(self, rounds: int) -> None:
        """Let patients write through all faults of the plan, and a moment longer."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for tenant in self._system.epds:
                for number in range(WRITERS_A_TENANT):
                    patient = self._system.patient(tenant, f"{self._seed}{number}")
                    writer = Writer(self._system, patient, self.held, f"{self._seed} {tenant} {number}")
                    group.create_task(writer.write(stop))
            try:
                await until(lambda: len(self.held.promises) > 20, "messages flow")
                for fault in plan(self._seed, self.victims, rounds):
                    await self._strike(fault)
            finally:
                stop.set()

    async def _strike(self, fault: Fault) -> None:
        kill, revive = self._ways_to_die(fault.victim)
        await kill()
        await asyncio.sleep(fault.dead)
        await revive()
        await asyncio.sleep(fault.calm)

    def _ways_to_die(self, victim: str) -> tuple[Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]:
        if victim == "broker":
            return self._kill_broker, self._rabbit.started
        if victim == "store":
            return self._kill_store, self._start_store
        return lambda: self._system.children.kill(victim), lambda: self._system.children.start(victim)

    async def _kill_broker(self) -> None:
        host = self._system.virtual_host
        queues = [f"{host}_{queue}" for queue in self._system.queues]
        await until(lambda: self._rabbit.remembers(*queues), "the queues are on the broker's disk")
        self._rabbit.kill()

    async def _kill_store(self) -> None:
        assert self._mongo is not None
        self._mongo.kill()

    async def _start_store(self) -> None:
        assert self._mongo is not None
        self._mongo.start()

    async def check(self) -> None:
        """Every promise is kept, once, in order; nothing else was filed; the ledger agrees."""
        await self._system.start()
        await until(self._all_filed, "everything that was answered 202 is filed", _DRAINED_WITHIN)
        assert self.held.wrong == []
        await self._check_inboxes()
        await self._check_threads()
        self._check_alarms()
        assert await self._system.parked() == {}
        report = await self._system.ledger()
        assert (report["lost"], report["late"]) == ([], [])

    async def _all_filed(self) -> bool:
        filings = await Threads(self._system.store).filings(list(self.held.promises))
        return len(filings) == len(self.held.promises) and all(
            filing.state is FilingState.FILED for filing in filings.values()
        )

    async def _check_inboxes(self) -> None:
        """Each mark is under one TXA-12: the promised one, or that of a post that ended without an answer."""
        marked = {promise.mark: promise for promise in self.held.promises.values()}
        for tenant, epd in self._system.epds.items():
            seen: dict[str, str] = {}
            for id, document in epd.inbox.items():
                mark = document.body.split()[-1]
                assert seen.setdefault(mark, id) == id, f"{mark} is filed as {seen[mark]} and as {id}"
                promised = marked.get(mark)
                if promised is None:
                    assert mark in self.held.given_up, f"{id} ({mark}) is filed and nobody sent it"
                else:
                    assert (promised.id, promised.tenant) == (id, tenant)
                assert len(set(document.control_ids)) == 1, f"{id} came under {document.control_ids}"
        missing = set(self.held.promises) - {id for epd in self._system.epds.values() for id in epd.inbox}
        assert missing == set()

    async def _check_threads(self) -> None:
        """Places have no gap; what a writer saw stored stays before what came after; the normal lane files in order."""
        threads: dict[str, list[Promise]] = defaultdict(list)
        for promise in self.held.promises.values():
            threads[promise.thread].append(promise)
        for thread, promises in threads.items():
            stored = await Threads(self._system.store).messages_in(thread)
            places = {message.id: message.place for message in stored}
            assert sorted(places.values()) == list(range(1, len(stored) + 1))
            for promise in promises:
                if promise.after is not None:
                    assert places[promise.after] < places[promise.id], f"{promise.id} came before {promise.after}"
            self._check_arrivals(promises[0].tenant, stored)

    def _check_arrivals(self, tenant: str, stored: Sequence[StoredMessage]) -> None:
        inbox = self._system.epds[tenant].inbox
        normal = [message.id for message in stored if message.lane == "normal" and message.id in inbox]
        arrivals = [inbox[id].arrival for id in normal]
        assert arrivals == sorted(arrivals), f"thread {stored[0].thread}: filed in the order {arrivals}"

    def _check_alarms(self) -> None:
        rung = {alarm["data"]["thread"] for alarm in self._system.told.alarms}
        urgent = {promise.thread for promise in self.held.promises.values() if promise.urgent}
        assert urgent <= rung, f"no alarm for {urgent - rung}"
