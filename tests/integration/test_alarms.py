"""An alarm until somebody has it in hand: it climbs the chain, and one tap from the notification ends that."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from messaging_service.application.alarms import ACKNOWLEDGED, Alarms
from messaging_service.application.climb import Climb
from messaging_service.application.collections import ACCESS_LOG, ALARMS
from messaging_service.application.escalate import OPEN, Duty, Escalate, StoredAlarm
from messaging_service.application.ports import AccessPoint, Actor
from messaging_service.crypto.alarm_links import AlarmLink, LinkInvalid
from messaging_service.domain.events import MessageAccepted
from messaging_service.domain.message import Lane
from messaging_service.domain.refusals import NotFound
from messaging_service.tenants import Rung, Tenant
from tests.parts.service import Pager, Service, enveloped

CHAIN = tuple(
    Rung(name=name, after_minutes=after, webhook="http://127.0.0.1:9/", secret="whsec_x")
    for name, after in (("Second on call", 5), ("Head of ward", 12))
)
DOCTOR = Actor("doctor", "on-call", "role", "", AccessPoint.STAFF, "alarms:acknowledge")


class Chain:
    """Spijkenisse with a chain: a pager first, and one on each rung."""

    def __init__(self, service: Service) -> None:
        tenant = service.tenants["spijkenisse"]
        on_call = msgspec.structs.replace(tenant.on_call, chain=CHAIN)
        self.tenant: Tenant = msgspec.structs.replace(tenant, on_call=on_call)
        self.first, self.rungs = Pager(), (Pager(), Pager())
        duties = {"spijkenisse": Duty(self.tenant, self.first, self.rungs)}
        self.escalate = Escalate(duties=duties, store=service.store, clock=service.clock)
        self.climb = Climb(duties=duties, store=service.store, alerts=service.alerts, clock=service.clock)
        self.service = service

    async def rings(self, **accepted: Any) -> MessageAccepted:
        """An urgent message, of which who is first was told."""
        event = self.service.accepted(lane=Lane.URGENT, **accepted)
        await self.escalate(enveloped(event))
        return event

    @property
    def told(self) -> list[int]:
        """How often who is first was told, and each rung."""
        return [len(pager.alarms) for pager in (self.first, *self.rungs)]


@pytest.fixture
def chain(service: Service) -> Chain:
    return Chain(service)


@pytest.fixture
def alarms(service: Service) -> Alarms:
    return Alarms(
        store=service.store,
        threads=service.threads,
        keyring=service.keyring,
        access_log=service.access_log,
        clock=service.clock,
    )


def link_of(service: Service, event: MessageAccepted, hours: int = 72, **changes: Any) -> str:
    """The link in the notification of that alarm."""
    expires = service.clock() // 1000 + hours * 3600
    given = {"tenant": "spijkenisse", "thread": event.thread, "message": event.message, "expires": expires, **changes}
    return service.keyring.alarm_link(AlarmLink(**given))


async def stored(service: Service, thread: str) -> StoredAlarm:
    document = await service.store.get(ALARMS, thread)
    assert document is not None
    return msgspec.convert(document, StoredAlarm)


async def test_nobody_acknowledges(service: Service, chain: Chain) -> None:
    """Each rung is told at its time, once, of the first message; then operations, once; all of it again for none."""
    event = await chain.rings()
    for minutes, told in ((4, [1, 0, 0]), (1, [1, 1, 0]), (3, [1, 1, 0]), (4, [1, 1, 1]), (14, [1, 1, 1])):
        service.clock.minutes(minutes)
        await chain.climb()
        assert chain.told == told
    assert service.operations.keys == []
    service.clock.minutes(1)
    await chain.climb()
    await chain.climb()
    assert service.operations.keys == ["alarm-unacknowledged spijkenisse"]
    (second,) = chain.rungs[0].alarms
    assert (second.message, second.rung, second.count) == (event.message, 1, 1)
    service.clock.minutes(24 * 60)
    await chain.climb()
    assert chain.told == [1, 1, 1]


@pytest.mark.parametrize("acknowledged", [True, False])
async def test_how_it_ends(service: Service, chain: Chain, alarms: Alarms, acknowledged: bool) -> None:
    """Operations are told that all is acknowledged where it is; after a day, how many never were; the next one anew."""
    event = await chain.rings()
    service.clock.minutes(27)
    await chain.climb()
    if acknowledged:
        await alarms.acknowledge_by_link(link_of(service, event))
    else:
        service.clock.minutes(24 * 60 - 27)
    await chain.climb()
    await chain.climb()
    key = "alarm-unacknowledged spijkenisse"
    (_, ended) = service.operations.told
    assert ended[0] == key
    assert ("every alarm that went unheard is acknowledged" in ended[1]) == acknowledged
    assert ("1 alarms were not acknowledged in 24 hours" in ended[1]) != acknowledged
    await chain.rings()
    service.clock.minutes(27)
    await chain.climb()
    assert service.operations.keys == [key] * 3


async def test_after_an_outage_every_rung_is_told(service: Service, chain: Chain) -> None:
    """The clock stood still past both times: both rungs are told at once."""
    await chain.rings()
    service.clock.minutes(13)
    await chain.climb()
    assert chain.told == [1, 1, 1]


async def test_two_clocks_tell_a_rung_once(service: Service, chain: Chain) -> None:
    """While one process tells a rung, another that looks at the same moment leaves it alone."""
    await chain.rings()
    service.clock.minutes(5)

    async def another_looks() -> None:
        await chain.climb()

    service.store.meanwhile("replace", ALARMS, another_looks)
    await chain.climb()
    assert chain.told == [1, 1, 0]


async def test_a_rung_that_cannot_be_reached(service: Service, chain: Chain) -> None:
    """It is tried again, operations are told, and that it is over; the next one is told at its own time."""
    await chain.rings()
    chain.rungs[0].down = True
    service.clock.minutes(5)
    await chain.climb()
    assert service.operations.keys == ["on-call-down spijkenisse rung 1"]
    service.clock.minutes(2)
    chain.rungs[0].down = False
    await chain.climb()
    assert chain.told == [1, 1, 0]
    assert service.operations.told[1:] == [
        ("on-call-down spijkenisse rung 1", "spijkenisse: rung 1 took an alarm again")
    ]


async def test_one_tap(service: Service, chain: Chain, alarms: Alarms) -> None:
    """The link acknowledges, twice changes nothing; nobody on the chain is told after; it is written down."""
    event = await chain.rings()
    link = link_of(service, event)
    assert (await alarms.of_link(link)).state == OPEN
    done = await alarms.acknowledge_by_link(link)
    assert (done.state, done.acknowledged_at) == (ACKNOWLEDGED, service.clock())
    service.clock.minutes(30)
    assert (await alarms.acknowledge_by_link(link)).acknowledged_at == done.acknowledged_at
    await chain.climb()
    assert chain.told == [1, 0, 0]
    assert service.operations.keys == []
    written = await service.all(ACCESS_LOG, "of_patient", patient="")
    assert [(one["object_kind"], one["object"], one["actor"]) for one in written] == [
        ("alarm", event.thread, "alarm-link")
    ]
    assert await alarms.open("spijkenisse", 10) == []


async def test_a_link_of_before_does_not_acknowledge_what_rang_after(
    service: Service, chain: Chain, alarms: Alarms
) -> None:
    """The thread rings anew once it was acknowledged; the old notification leads nowhere then."""
    event = await chain.rings()
    link = link_of(service, event)
    await alarms.acknowledge_by_link(link)
    again = await chain.rings(thread=event.thread)
    assert chain.told == [2, 0, 0]
    with pytest.raises(NotFound):
        await alarms.acknowledge_by_link(link)
    assert (await stored(service, again.thread)).state == OPEN


async def test_links_that_were_not_made_here(service: Service, chain: Chain, alarms: Alarms) -> None:
    """Every change to a link, and its time, ends it; a link for another hospital's alarm finds nothing."""
    event = await chain.rings()
    link = link_of(service, event)
    other = chain.service.accepted(lane=Lane.URGENT).message
    wrong = [
        link[:-1] + ("0" if link[-1] != "0" else "1"),
        link.replace(event.message, other),
        "",
        "x" * 500,
        f"{link} ",
    ]
    parts = link.split(".")
    wrong.append(".".join([*parts[:3], str(int(parts[3]) + 1), parts[4]]))
    wrong.append(".".join(["sein", *parts[1:]]))
    for one in wrong:
        with pytest.raises(LinkInvalid):
            await alarms.acknowledge_by_link(one)
    with pytest.raises(NotFound):
        await alarms.acknowledge_by_link(link_of(service, event, tenant="sein"))
    service.clock.minutes(72 * 60)
    with pytest.raises(LinkInvalid):
        await alarms.acknowledge_by_link(link)
    assert (await stored(service, event.thread)).state == OPEN


async def test_staff_acknowledge_by_message(service: Service, chain: Chain, alarms: Alarms) -> None:
    """By any message that the alarm counts, stored in its thread or not; other hospitals find nothing."""
    event = await chain.rings()
    await service.persisted(event)
    later = await chain.rings(thread=event.thread)
    await service.persisted(later)
    for stranger, message in (("sein", event.message), ("spijkenisse", "A" * 26)):
        with pytest.raises(NotFound):
            await alarms.acknowledge(stranger, message, DOCTOR)
    done = await alarms.acknowledge("spijkenisse", later.message, DOCTOR)
    assert (done.id, done.state, done.messages) == (event.thread, ACKNOWLEDGED, (event.message, later.message))


async def test_counted_while_it_is_acknowledged(service: Service, chain: Chain, alarms: Alarms) -> None:
    """A message that is counted at that moment neither hinders the acknowledgement nor is lost from the alarm."""
    event = await chain.rings()

    async def one_more() -> None:
        await chain.rings(thread=event.thread)

    service.store.meanwhile("replace", ALARMS, one_more)
    done = await alarms.acknowledge_by_link(link_of(service, event))
    assert (done.state, len(done.messages)) == (ACKNOWLEDGED, 2)
