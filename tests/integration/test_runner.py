"""The loop of every worker on the real embedded queue: circuit, trial, stop."""

from __future__ import annotations

import asyncio

import pytest

from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import Outgoing
from messaging_service.application.collections import ALERTS
from messaging_service.application.ports import Envelope
from messaging_service.application.topology import PARK, notify_queue
from messaging_service.domain.errors import Deferred, EpdDown, MessageFault, ServerFault, StoreDown
from tests.parts.service import Service, eventually
from workers import runner
from workers.runner import Station

QUEUE = "file.sein.normal"
OTHER = "file.spijkenisse.normal"


class Step:
    """A step whose server is up or down, that keeps what it did."""

    def __init__(self, fault: ServerFault) -> None:
        self.fault = fault
        self.up = True
        self.done: list[str] = []
        self.tried: list[str] = []
        self.probes = 0
        self.probed = asyncio.Event()
        self.faults: dict[str, Exception] = {}
        self.at_once = 0
        self.most_at_once = 0

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        self.tried.append(envelope.message_id)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(0)
            if envelope.message_id in self.faults:
                raise self.faults[envelope.message_id]
            if not self.up:
                raise self.fault
        finally:
            self.at_once -= 1
        self.done.append(envelope.message_id)
        return [Outgoing(notify_queue("sein"), Envelope(envelope.message_id, "Filed", b"{}"))]

    async def probe(self) -> None:
        self.probes += 1
        self.probed.set()
        if not self.up:
            raise self.fault

    async def is_probed(self) -> None:
        """Wait for one probe more."""
        self.probed.clear()
        await asyncio.wait_for(self.probed.wait(), 10)


@pytest.fixture
def epd() -> Step:
    return Step(EpdDown("test"))


def station(
    step: Step, queue: str = QUEUE, *, prefetch: int = 8, concerns: str = "sein", pause: float = 0.05
) -> Station:
    """A station of that step."""
    return Station(queue, step, prefetch, step.probe, concerns, longest_pause=pause)


async def publish(service: Service, count: int, queue: str = QUEUE, prefix: str = "m") -> list[str]:
    """So many messages."""
    ids = [f"{prefix}{n}" for n in range(count)]
    for id in ids:
        await service.broker.inner.publish(queue, Envelope(id, "MessagePersisted", b"{}"))
    return ids


async def test_an_outage_costs_one_alert_and_no_message(service: Service, epd: Step) -> None:
    """The server is down over many probes and back: one alert, one all-clear, every message done once, uncounted."""
    ids = await publish(service, 30)
    epd.up = False
    async with service.running(station(epd)):
        for _ in range(4):
            await epd.is_probed()
        assert service.meter.circuits == [(QUEUE, True)]
        tried = len(epd.tried)
        assert epd.done == []
        await epd.is_probed()
        assert len(epd.tried) == tried, "a message was tried although the probe had failed"
        epd.up = True
        await eventually(lambda: len(epd.done) == len(ids))
        await eventually(lambda: len(service.operations.told) == 2)
    assert sorted(epd.done) == sorted(ids)
    assert service.operations.keys == ["epd-down sein"] * 2
    assert service.operations.told[1][1] == "epd-down sein: back"
    assert service.meter.circuits == [(QUEUE, True), (QUEUE, False)]
    assert set(service.meter.of(QUEUE)) == {"given_back", "done"}
    assert [e.headers.get("attempt") for e in await service.queued(notify_queue("sein"))] == [None] * 30
    assert await service.queued(QUEUE) == []


async def test_a_trial_takes_one_message(service: Service, epd: Step) -> None:
    """The probe passes and the server still fails what it is given: each trial costs one message, not a prefetch."""
    await publish(service, 20)
    epd.up = False

    async def reachable() -> None:
        epd.probes += 1

    async with service.running(Station(QUEUE, epd, 8, reachable, "sein", longest_pause=0.02)):
        await eventually(lambda: service.meter.circuits == [(QUEUE, True)])
        in_hand, epd.most_at_once = len(epd.tried), 0
        before = epd.probes
        await eventually(lambda: epd.probes >= before + 4)
        assert epd.most_at_once <= 1
        assert len(epd.tried) - in_hand <= epd.probes - before + 1
        assert len(service.operations.told) == 1
        epd.up = True
        await eventually(lambda: len(epd.done) == 20)


async def test_nothing_to_try_closes_the_circuit(service: Service, epd: Step) -> None:
    """The probe passes and the queue is empty by now: the circuit closes, and the next message is done at once."""
    await publish(service, 1)
    epd.up = False
    async with service.running(station(epd)):
        await eventually(lambda: service.meter.circuits == [(QUEUE, True)])
        epd.faults["m0"] = MessageFault("gone", final=True)
        epd.up = True
        await eventually(lambda: service.meter.circuits[-1] == (QUEUE, False))
        await publish(service, 1, prefix="later")
        await eventually(lambda: epd.done == ["later0"])
    assert len(service.operations.told) == 2


@pytest.mark.parametrize("inconclusive", [Deferred(), MessageFault("ack_unknown", final=True)])
async def test_a_trial_wants_a_message_that_says_something(
    service: Service, epd: Step, inconclusive: Exception
) -> None:
    """Messages that wait or are given up unsent do not close the circuit of a server that is silent."""
    await publish(service, 1, prefix="sent")
    epd.up = False

    async def reachable() -> None:
        epd.probed.set()

    epd.faults = {f"m{n}": inconclusive for n in range(3)}
    async with service.running(Station(QUEUE, epd, 1, reachable, "sein", longest_pause=0.02)):
        await eventually(lambda: service.meter.circuits == [(QUEUE, True)])
        await publish(service, 3)
        await eventually(lambda: {"m0", "m1", "m2"} <= set(epd.tried))
        tried = epd.tried.count("sent0")
        await eventually(lambda: epd.tried.count("sent0") >= tried + 2)
        assert service.meter.circuits == [(QUEUE, True)]
    assert len(service.operations.told) == 1


async def test_the_urgent_lanes_pause_is_its_own(service: Service, epd: Step) -> None:
    """The pause between probes doubles up to the station's longest: a short one probes on, a long one waits."""
    await publish(service, 1)
    await publish(service, 1, OTHER)
    epd.up = False
    slow = Step(EpdDown("test"))
    slow.up = False
    async with service.running(station(epd, pause=0.01), station(slow, OTHER, pause=30.0)):
        await eventually(lambda: epd.probes >= 40)
        assert slow.probes < 12


async def test_stop_drains_what_is_in_hand(service: Service, epd: Step) -> None:
    """The stop comes while three are at work: they are finished and acknowledged, the rest stays in the queue."""
    goes_on = asyncio.Event()
    begun: list[str] = []

    async def slow(envelope: Envelope) -> list[Outgoing]:
        begun.append(envelope.message_id)
        await goes_on.wait()
        return await epd(envelope)

    await publish(service, 10)
    async with service.running(Station(QUEUE, slow, 3, epd.probe)) as stop:
        await eventually(lambda: len(begun) == 3)
        stop.set()
        await asyncio.sleep(0)
        goes_on.set()
    assert sorted(epd.done) == sorted(begun) == ["m0", "m1", "m2"]
    assert len(await service.queued(QUEUE)) == 7
    assert len(await service.queued(notify_queue("sein"))) == 3


async def test_stop_during_an_outage_tells_nothing(service: Service, epd: Step) -> None:
    """A worker told to stop while its server is down says nothing of `back`, and the next one does not tell again."""
    await publish(service, 1)
    epd.up = False
    async with service.running(station(epd)):
        await epd.is_probed()
    assert len(service.operations.told) == 1
    assert service.meter.circuits == [(QUEUE, True), (QUEUE, False)]
    successor = service.another()
    async with successor.running(station(epd)):
        await eventually(lambda: len(service.meter.circuits) == 3)
        await epd.is_probed()
        assert len(service.operations.told) == 1
        epd.up = True
        await eventually(lambda: len(epd.done) == 1)
        await eventually(lambda: len(service.operations.told) == 2)
    assert service.operations.told[-1][1] == "epd-down sein: back"


async def test_a_store_that_is_down_is_one_alert_for_all(service: Service) -> None:
    """The store fails under the stations of two tenants: one alert, and one when it is back, though it kept none."""
    step = Step(StoreDown("test"))
    step.up, service.store.down = False, True
    for queue in (QUEUE, OTHER):
        await publish(service, 3, queue)
    async with service.running(station(step), station(step, OTHER, concerns="spijkenisse")):
        await eventually(lambda: len(service.meter.circuits) == 2)
        await step.is_probed()
        step.up, service.store.down = True, False
        await eventually(lambda: len(step.done) == 6)
        await eventually(lambda: len(service.meter.circuits) == 4)
    assert service.operations.keys == ["store-down"] * 2
    assert await service.store.get(ALERTS, "store-down") is None


async def test_another_server_that_fails_meanwhile(service: Service, epd: Step) -> None:
    """The EPD is down, then the store as well: both are told, and both are told to be back."""
    await publish(service, 1)
    epd.up = False
    async with service.running(station(epd)):
        await eventually(lambda: service.operations.keys == ["epd-down sein"])
        epd.fault = StoreDown("test")
        await eventually(lambda: "store-down" in service.operations.keys)
        epd.up = True
        await eventually(lambda: len(service.operations.told) == 4)
    assert sorted(text for _, text in service.operations.told[2:]) == ["epd-down sein: back", "store-down: back"]


async def test_a_broker_that_is_down_is_waited_for(service: Service, epd: Step) -> None:
    """Nothing can be consumed: one alert; when the broker is back the queue is worked off."""
    await publish(service, 2)
    service.broker.down = True
    async with service.running(station(epd)):
        await eventually(lambda: service.operations.keys == ["broker-down"])
        await epd.is_probed()
        assert epd.done == []
        service.broker.down = False
        await eventually(lambda: len(epd.done) == 2)
        await eventually(lambda: len(service.operations.told) == 2)


async def test_one_bad_message_is_parked_alone(service: Service, epd: Step) -> None:
    """A message's own fault holds up nobody: the others are done, it alone is parked, and no circuit opens."""
    epd.faults["m1"] = MessageFault("AE-204", final=True)
    await publish(service, 4)
    async with service.running(station(epd)):
        await eventually(lambda: len(epd.done) == 3)
        (parked,) = await service.holds(PARK, 1)
    assert (parked.message_id, parked.headers["reason"], parked.headers["queue"]) == ("m1", "AE-204", QUEUE)
    assert service.meter.circuits == []


async def test_no_more_at_once_than_the_prefetch(service: Service, epd: Step) -> None:
    """The station's share bounds what is in hand."""
    await publish(service, 40)
    async with service.running(station(epd, prefetch=5)):
        await eventually(lambda: len(epd.done) == 40)
    assert 1 < epd.most_at_once <= 5


async def test_a_fault_in_the_loop_itself_is_never_silent(service: Service, epd: Step) -> None:
    """An acknowledgement that raises what it must not: the station ends with that error and gives the rest back."""
    await publish(service, 3)

    async def broken() -> None:
        raise LookupError("no broker raises this")

    service.broker.before_ack = broken
    with pytest.raises(ExceptionGroup) as raised:
        async with service.running(station(epd, prefetch=1)):
            await asyncio.Event().wait()
    assert raised.group_contains(LookupError)
    assert len(await service.queued(QUEUE)) == 3


async def test_a_station_that_is_cancelled_finishes_what_it_holds(service: Service, epd: Step) -> None:
    """Another station of the process failed: this one's work in hand is not left running behind its back."""
    goes_on, begun = asyncio.Event(), asyncio.Event()

    async def slow(envelope: Envelope) -> list[Outgoing]:
        begun.set()
        await goes_on.wait()
        return await epd(envelope)

    await publish(service, 2)
    alerts = Alerts(service.store, service.operations, service.clock)
    running = asyncio.create_task(
        runner.Runner(
            Station(QUEUE, slow, 1, epd.probe),
            broker=service.broker,
            alerts=alerts,
            meter=service.meter,
            ladder_ms=(20,),
            stop=asyncio.Event(),
        ).run()
    )
    await begun.wait()
    running.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert epd.done == ["m0"]
    assert [envelope.message_id for envelope in await service.queued(QUEUE)] == ["m1"]
