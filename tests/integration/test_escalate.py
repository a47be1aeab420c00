"""The escalate step: on-call is told, once a thread, and never kept from it by a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from messaging_service.application.codec import from_document
from messaging_service.application.collections import ALARMS
from messaging_service.application.escalate import Duty, Escalate, StoredAlarm
from messaging_service.application.ports import Envelope
from messaging_service.domain.errors import MessageFault, OnCallUnreachable
from messaging_service.domain.events import MessageAccepted, MessageEscalated
from messaging_service.domain.message import Lane
from tests.parts.service import Pager, Service, enveloped, event_in

Urgent = Callable[..., MessageAccepted]


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
def escalate(service: Service, pager: Pager) -> Escalate:
    return Escalate(
        duties={"spijkenisse": Duty(service.tenants["spijkenisse"], pager)}, store=service.store, clock=service.clock
    )


@pytest.fixture
def urgent(service: Service) -> Urgent:
    """An urgent message as the escalate queue holds it: without its content."""

    def make(**accepted: object) -> MessageAccepted:
        return replace(service.accepted(lane=Lane.URGENT, **accepted), sealed=b"")  # type: ignore[arg-type]

    return make


async def test_on_call_and_portal_are_told(service: Service, escalate: Escalate, pager: Pager, urgent: Urgent) -> None:
    """The alarm says which message, thread and since when; the portal gets the event."""
    event = urgent()
    service.clock.minutes(1)
    (told,) = await escalate(enveloped(event))
    (alarm,) = pager.alarms
    assert (alarm.tenant, alarm.thread, alarm.message) == ("spijkenisse", event.thread, event.message)
    assert alarm.accepted_at == event.accepted_at
    assert told.queue == "notify.spijkenisse"
    assert event_in(told.envelope, MessageEscalated).escalated_at == service.clock()


async def test_urgent_without_alarm_pages_nobody(escalate: Escalate, pager: Pager, urgent: Urgent) -> None:
    """Urgent in its lane only: the portal is told, on-call sleeps."""
    assert len(await escalate(enveloped(urgent(alarm=False)))) == 1
    assert pager.alarms == []


async def test_one_alarm_a_thread(service: Service, escalate: Escalate, pager: Pager, urgent: Urgent) -> None:
    """Further messages of the thread are counted under its open alarm; another thread rings by itself."""
    first = urgent()
    later = [urgent(thread=first.thread) for _ in range(3)]
    for event in (first, *later):
        await escalate(enveloped(event))
    await escalate(enveloped(urgent(patient="9999")))
    assert pager.alarms[0].message == first.message
    assert len(pager.alarms) == 2
    alarm = await service.store.get(ALARMS, first.thread)
    assert alarm is not None
    assert alarm["messages"] == [event.message for event in (first, *later)]


async def test_a_repeat_rings_once(escalate: Escalate, pager: Pager, urgent: Urgent) -> None:
    """The same message delivered again neither rings nor counts again."""
    event = urgent()
    for _ in range(3):
        await escalate(enveloped(event))
    assert len(pager.alarms) == 1


async def test_an_alarm_nobody_acknowledged_does_not_silence_the_thread(
    service: Service, escalate: Escalate, pager: Pager, urgent: Urgent
) -> None:
    """An hour later the next urgent message of the thread rings again, and counts from there."""
    first = urgent()
    await escalate(enveloped(first))
    service.clock.minutes(59)
    await escalate(enveloped(urgent(thread=first.thread)))
    assert len(pager.alarms) == 1
    service.clock.minutes(1)
    again = urgent(thread=first.thread)
    await escalate(enveloped(again))
    await escalate(enveloped(urgent(thread=first.thread)))
    assert [alarm.message for alarm in pager.alarms] == [first.message, again.message]
    stored = await service.store.get(ALARMS, first.thread)
    assert stored is not None
    assert stored["raised_at"] == service.clock()


async def test_an_acknowledged_alarm_is_over(
    service: Service, escalate: Escalate, pager: Pager, urgent: Urgent
) -> None:
    """After somebody acknowledged, the thread's next urgent message rings."""
    first = urgent()
    await escalate(enveloped(first))
    stored = await service.store.get(ALARMS, first.thread)
    assert stored is not None
    await service.store.replace(ALARMS, {**stored, "state": "acknowledged"})
    again = urgent(thread=first.thread)
    await escalate(enveloped(again))
    assert len(pager.alarms) == 2
    reopened = await service.store.get(ALARMS, first.thread)
    assert reopened is not None
    assert (reopened["state"], reopened["messages"]) == ("open", [again.message])


async def test_without_a_store_it_rings(service: Service, escalate: Escalate, pager: Pager, urgent: Urgent) -> None:
    """The store is down: on-call is told all the same, each time, and the step goes on."""
    service.store.down = True
    event = urgent()
    assert len(await escalate(enveloped(event))) == 1
    await escalate(enveloped(event))
    assert len(pager.alarms) == 2


@pytest.mark.parametrize("done", [False, True])
async def test_a_store_that_fails_after_the_page(
    service: Service, escalate: Escalate, pager: Pager, urgent: Urgent, done: bool
) -> None:
    """The alarm is out and cannot be written down: that fails nothing; at worst the next one rings too."""
    event = urgent()
    service.store.fail("insert", ALARMS, done=done)
    assert len(await escalate(enveloped(event))) == 1
    await escalate(enveloped(event))
    assert len(pager.alarms) == (1 if done else 2)


async def test_a_crash_between_page_and_record_rings_again(
    service: Service, pager: Pager, escalate: Escalate, urgent: Urgent
) -> None:
    """The worker dies after on-call took it: the repeat rings once more, rather than not at all."""
    event = urgent()

    async def dies() -> None:
        raise KeyboardInterrupt

    service.store.meanwhile("insert", ALARMS, dies)
    with pytest.raises(KeyboardInterrupt):
        await escalate(enveloped(event))
    await escalate(enveloped(event))
    assert [alarm.message for alarm in pager.alarms] == [event.message] * 2


async def test_on_call_that_cannot_be_reached_is_a_servers_fault(
    service: Service, escalate: Escalate, pager: Pager, urgent: Urgent
) -> None:
    """No channel took it: nothing is recorded, so that the retry rings; it is never counted against the message."""
    pager.down = True
    event = urgent()
    with pytest.raises(OnCallUnreachable):
        await escalate(enveloped(event))
    assert await service.store.get(ALARMS, event.thread) is None
    pager.down = False
    await escalate(enveloped(event))
    assert len(pager.alarms) == 1


async def test_a_thread_keeps_the_first_and_the_last(service: Service, escalate: Escalate, urgent: Urgent) -> None:
    """However many come under one alarm, its document stays small, and it counts them all."""
    first = urgent()
    events = [first, *(urgent(thread=first.thread) for _ in range(120))]
    for event in events:
        await escalate(enveloped(event))
    stored = await service.store.get(ALARMS, first.thread)
    assert stored is not None
    assert stored["messages"] == [first.message, *(event.message for event in events[-99:])]
    assert from_document(stored, StoredAlarm).counted == 121


async def test_a_tenant_without_a_portal(service: Service, pager: Pager, urgent: Urgent) -> None:
    """On-call is told, and the patient's feed is to hear of it."""
    tenant = msgspec.structs.replace(service.tenants["spijkenisse"], portal=None)
    escalate = Escalate(duties={tenant.id: Duty(tenant, pager)}, store=service.store, clock=service.clock)
    assert [told.queue for told in await escalate(enveloped(urgent()))] == ["notify.spijkenisse"]
    assert len(pager.alarms) == 1


async def test_what_cannot_be_escalated(escalate: Escalate, pager: Pager, urgent: Urgent) -> None:
    """A tenant that is not here, an event that is none: the message's own fault, on the list for a person."""
    with pytest.raises(MessageFault, match="tenant_unknown"):
        await escalate(enveloped(replace(urgent(), tenant="elsewhere")))
    with pytest.raises(MessageFault, match="unreadable_event"):
        await escalate(Envelope("m", "MessageAccepted", b"{}"))
    assert pager.alarms == []
