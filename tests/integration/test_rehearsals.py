"""The alarm is watched: a rehearsal goes its whole way, wakes nobody, and is missed when it stays away."""

from __future__ import annotations

import msgspec
import pytest

from messaging_service.application.collections import ALARMS, FILINGS, MESSAGES
from messaging_service.application.escalate import Duty, Escalate
from messaging_service.application.rehearsals import Rehearsals, WatchRehearsals
from messaging_service.application.rehearse import Rehearse
from messaging_service.application.topology import escalate_queue, persist_queue
from messaging_service.domain.message import Lane
from messaging_service.screening.screener import Screener
from tests.integration.test_alarms import CHAIN
from tests.parts.service import Pager, Service
from workers.runner import Station

QUEUE = escalate_queue("spijkenisse")


class Way:
    """Spijkenisse's way of alarms, with a chain; nobody else's."""

    def __init__(self, service: Service, screener: Screener) -> None:
        tenant = service.tenants["spijkenisse"]
        tenant = msgspec.structs.replace(tenant, on_call=msgspec.structs.replace(tenant.on_call, chain=CHAIN))
        tenants = {"spijkenisse": tenant}
        self.pagers = [Pager() for _ in range(3)]
        duties = {"spijkenisse": Duty(tenant, self.pagers[0], tuple(self.pagers[1:]))}
        self.escalate = Escalate(duties=duties, store=service.store, clock=service.clock)
        self.rehearsals = Rehearsals(service.store, service.clock)
        self.rehearse = Rehearse(
            tenants=tenants,
            rehearsals=self.rehearsals,
            screener=screener,
            broker=service.broker,
            keyring=service.keyring,
            clock=service.clock,
        )
        self.watch = WatchRehearsals(
            tenants=tenants, rehearsals=self.rehearsals, alerts=service.alerts, clock=service.clock
        )
        self.service = service

    async def round(self, minutes: float) -> None:
        """Time passes; then the gateway, the escalate step and the watch each do what is theirs."""
        self.service.clock.minutes(minutes)
        await self.rehearse()
        for envelope in await self.service.queued(QUEUE):
            await self.escalate(envelope)
        await self.watch()


@pytest.fixture(scope="module")
def screener() -> Screener:
    return Screener.load()


@pytest.fixture
def way(service: Service, screener: Screener) -> Way:
    return Way(service, screener)


async def test_the_whole_way_every_fifteen_minutes(service: Service, way: Way) -> None:
    """Screened by what is shipped, queued, told to the whole chain as a rehearsal; nothing else is left of it."""
    await way.round(0)
    await way.round(14)
    assert [len(pager.alarms) for pager in way.pagers] == [0, 0, 0]
    await way.round(1)
    assert [[alarm.rehearsal for alarm in pager.alarms] for pager in way.pagers] == [[True]] * 3
    last = await way.rehearsals.last("spijkenisse")
    assert last is not None
    assert (last.taken_at, last.failed) == (service.clock(), ())
    assert service.operations.told == []
    assert await service.queued(persist_queue(Lane.URGENT)) == []
    id = way.pagers[0].alarms[0].message
    for collection in (MESSAGES, FILINGS, ALARMS):
        assert await service.store.get(collection, id) is None


async def test_of_several_gateways_one_sends(service: Service, way: Way, screener: Screener) -> None:
    """Two gateways look at the same moment: one rehearsal."""
    other = Way(service.another(), screener)
    await way.rehearse()
    service.clock.minutes(15)
    await way.rehearse()
    await other.rehearse()
    assert len(await service.queued(QUEUE)) == 1


async def test_one_that_stays_away_is_missed(service: Service, way: Way) -> None:
    """Nobody works the escalate queue: when two were missed operations are told, once; then that it is over."""
    await way.round(0)
    for _ in range(40):
        service.clock.minutes(1)
        await way.rehearse()
        await way.watch()
    assert service.operations.keys == ["alarm-path spijkenisse"]
    await way.round(0)
    assert service.operations.keys == ["alarm-path spijkenisse"] * 2
    assert "reach on-call" in service.operations.told[-1][1]


async def test_a_restart_is_no_proof(service: Service, way: Way, screener: Screener) -> None:
    """Escalate is dead and the alert stands: a process that starts anew neither ends it nor has it told again."""
    await way.round(0)
    await way.round(15)
    for _ in range(60):
        service.clock.minutes(1)
        await way.watch()
    restarted = Way(service.another(), screener)
    for _ in range(60):
        service.clock.minutes(1)
        await restarted.watch()
        await restarted.watch()
    assert service.operations.keys == ["alarm-path spijkenisse"]
    await restarted.rehearsals.taken("spijkenisse", [])
    await restarted.watch()
    await way.watch()
    assert service.operations.told[1:] == [("alarm-path spijkenisse", "spijkenisse: rehearsals reach on-call")]


async def test_a_channel_that_does_not_take_it_is_named(service: Service, way: Way) -> None:
    """One of the chain's channels fails: the step goes on, operations are told which."""
    await way.round(0)
    way.pagers[2].down = True
    await way.round(15)
    ((_, text),) = service.operations.told
    assert "Head of ward webhook" in text
    way.pagers[2].down = False
    await way.round(15)
    assert len(service.operations.told) == 2


async def test_a_failing_rehearsal_holds_up_no_alarm(service: Service, way: Way) -> None:
    """On-call is down for a rehearsal: its circuit stays closed and the message is done."""
    await way.rehearse()
    service.clock.minutes(15)
    await way.rehearse()
    for pager in way.pagers:
        pager.down = True

    async def nothing() -> None: ...

    async with service.running(Station(QUEUE, way.escalate, 8, nothing)) as stop:
        while service.meter.of(QUEUE) == []:
            await service.arrives(QUEUE, 0)
        stop.set()
    assert service.meter.of(QUEUE) == ["done"]
    assert service.meter.circuits == []


async def test_a_harmless_verdict_is_told(service: Service, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screening finds the rehearsal harmless, as after a wrong change of the lexicon: operations are told."""
    monkeypatch.setattr("messaging_service.application.rehearse._BODY", "Mag ik weer sporten?")
    monkeypatch.setattr("messaging_service.application.rehearse._SUBJECT", "Vraag")
    await way.round(0)
    for _ in range(30):
        await way.round(1)
    assert service.operations.keys == ["alarm-path spijkenisse"]
    assert "screening does not find" in service.operations.told[0][1]
    assert way.pagers[0].alarms == []
    monkeypatch.undo()
    await way.round(15)
    assert service.operations.told[1:] == [("alarm-path spijkenisse", "spijkenisse: rehearsals reach on-call")]


async def test_never_where_the_hospital_says_so(service: Service, way: Way) -> None:
    """rehearse_minutes = 0: none is sent and none is missed."""
    tenant = service.tenants["spijkenisse"]
    never = msgspec.structs.replace(tenant, on_call=msgspec.structs.replace(tenant.on_call, rehearse_minutes=0))
    way.rehearse._tenants = way.watch._tenants = {"spijkenisse": never}
    for _ in range(4):
        await way.round(15)
    assert (way.pagers[0].alarms, service.operations.told) == ([], [])
