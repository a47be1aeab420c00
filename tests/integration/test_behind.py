"""The messages behind every number that operations see: those and no others, page by page, in few reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from messaging_service.application.alerts import Alerts
from messaging_service.application.behind import Asked, BehindNumbers, Number
from messaging_service.application.collections import AWAITED, PATIENTS
from messaging_service.application.escalate import Duty, Escalate
from messaging_service.application.feed import Feed
from messaging_service.application.journal import Journal, Outcome
from messaging_service.application.park import Park
from messaging_service.application.send_webhooks import OwedWebhooks
from messaging_service.application.untold import Untold
from messaging_service.domain.awaited import Outcome as AwaitedOutcome
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Lane, Step
from tests.integration.test_park import given_up
from tests.parts.service import Pager, Service, enveloped

HERE, ELSEWHERE = "spijkenisse", "sein"


def behind_numbers(service: Service) -> BehindNumbers:
    """What finds the messages."""
    feed = Feed(service.store)
    untold = Untold(
        store=service.store, threads=service.threads, patients=service.patients, feed=feed, clock=service.clock
    )
    return BehindNumbers(store=service.store, threads=service.threads, untold=untold, clock=service.clock)


async def behind(
    service: Service, number: Number, tenant: str = HERE, *, limit: int = 50, **narrowed: Any
) -> list[str]:
    """Every message behind a number, over all its pages; none comes twice."""
    found: list[str] = []
    asked = Asked(number, tenant, **narrowed)
    while True:
        page, after = await behind_numbers(service)(asked, limit)
        found += [one.message for one in page]
        if not after:
            assert len(set(found)) == len(found)
            return found
        assert after != asked.after
        asked = replace(asked, after=after)


def park(service: Service) -> Park:
    return Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)


async def told(service: Service, message: Any, type: str) -> None:
    """The notify step had the event."""
    await Feed(service.store).add(
        message.patient,
        f"{type}.{message.id}",
        tenant=HERE,
        type=type,
        message=message.id,
        thread=message.thread,
        at=service.clock(),
        now=service.clock(),
    )


@pytest.mark.parametrize("limit", [2, 50])
async def test_waiting_for_the_epd_and_for_the_store(service: Service, limit: int) -> None:
    """From the filings the oldest first, from the gateways' journal the newest; pages end at no message twice, though
    many share one moment."""
    stored = [(await service.persisted(patient=str(number))).id for number in range(3)]
    for number in range(4):
        service.clock.minutes(1)
        stored.append((await service.persisted(patient=f"later {number}")).id)
    journal = Journal(service.store, service.clock)
    for message, tenant in ((stored[0], HERE), ("A" * 26, HERE), ("B" * 26, ELSEWHERE)):
        journal.settle(journal.next_number(), message, Lane.NORMAL, Outcome.CONFIRMED, tenant)
    await journal.flush()
    found = await behind(service, Number.FILE, limit=limit, lane=Lane.NORMAL)
    assert set(found[:3]) == set(stored[:3])
    assert found[3:] == stored[3:]
    assert await behind(service, Number.FILE, lane=Lane.URGENT) == []
    assert await behind(service, Number.FILE, ELSEWHERE) == []
    assert await behind(service, Number.PERSIST, limit=limit) == ["A" * 26]
    await service.threads.set_state(stored[3], FilingState.DELIVERED)
    assert await behind(service, Number.DELIVERED) == [stored[3]]


async def test_not_told_to_on_call(service: Service) -> None:
    """An urgent message, stored or not, is listed until an alarm answers for it, or the portal was told that on-call
    was; what the step gave up on is in the parked list instead."""
    events = [service.accepted(patient=str(number), lane=Lane.URGENT) for number in range(5)]
    *stored, unstored = events
    for event in stored:
        service.clock.minutes(1)
        await service.persisted(replace(event, accepted_at=service.clock()))
    journal = Journal(service.store, service.clock)
    journal.settle(journal.next_number(), unstored.message, Lane.URGENT, Outcome.CONFIRMED, HERE)
    await journal.flush()
    await service.persisted(patient="in no hurry")
    waiting = [unstored.message, *(event.message for event in reversed(stored))]
    assert await behind(service, Number.ESCALATE) == waiting
    assert await behind(service, Number.ESCALATE, limit=1) == waiting
    assert await behind(service, Number.ESCALATE, ELSEWHERE) == []

    escalate = Escalate(duties={HERE: Duty(service.tenants[HERE], Pager())}, store=service.store, clock=service.clock)
    for event in (stored[0], unstored):
        await escalate(enveloped(event))
        service.clock.minutes(1)
    by_event = await service.threads.message(stored[1].message)
    await told(service, by_event, "message.escalated")
    await park(service)(replace(enveloped(stored[2]), headers={"queue": f"escalate.{HERE}", "reason": "internal"}))
    assert await behind(service, Number.ESCALATE) == [stored[3].message]
    assert await behind(service, Number.ALARMS) == [stored[0].message, unstored.message]
    assert await behind(service, Number.ALARMS, ELSEWHERE) == []


async def test_not_told_to_the_portal(service: Service) -> None:
    """What is filed or parked is listed until the event is in the feed of its patient, also under the record that the
    patient's was merged into; what is on its way to the EPD has nothing to tell yet."""
    messages = [await service.persisted(patient=str(number)) for number in range(4)]
    for message in messages[:3]:
        await service.threads.set_state(message.id, FilingState.FILED)
    assert set(await behind(service, Number.NOTIFY)) == {message.id for message in messages[:3]}
    await told(service, messages[0], "message.filed")
    await told(service, messages[1], "message.escalated")
    elsewhere = await service.persisted(patient="survivor")
    record = await service.store.get(PATIENTS, messages[2].patient)
    assert record is not None
    await service.store.replace(PATIENTS, {**record, "merged_into": elsewhere.patient})
    await told(service, replace(messages[2], patient=elsewhere.patient), "message.filed")
    assert set(await behind(service, Number.NOTIFY)) == {messages[1].id}
    assert await behind(service, Number.NOTIFY, ELSEWHERE) == []
    service.clock.minutes(8 * 24 * 60)
    assert await behind(service, Number.NOTIFY) == [], "what feeds have forgotten is not called untold"


async def test_what_the_portal_has_not_taken(service: Service) -> None:
    """Events kept for a portal that is down, by message; another hospital's are not there."""
    owed = OwedWebhooks(
        webhooks={},
        store=service.store,
        feed=Feed(service.store),
        threads=service.threads,
        alerts=Alerts(service.store, service.operations, service.clock),
        clock=service.clock,
    )
    await owed.owe(HERE, f"message.filed.{'A' * 26}", b"{}", attempts=1)
    await owed.owe(HERE, f"reply.changed.{'B' * 26}.1780000000000", b"{}", attempts=0)
    page, after = await behind_numbers(service)(Asked(Number.WEBHOOK, HERE), 50)
    assert [(one.message, one.about, one.attempts, one.state) for one in page] == [
        ("B" * 26, "reply.changed", 0, "owed"),
        ("A" * 26, "message.filed", 1, "owed"),
    ]
    assert (after, await behind(service, Number.WEBHOOK, ELSEWHERE)) == ("", [])


async def test_failed_in_a_day(service: Service) -> None:
    """What a step of a lane gave up on, mended or not, the newest first, for a day."""
    ids: list[str] = []
    for number in range(3):
        message = await service.persisted(patient=str(number))
        await park(service)(given_up(message, reason="AE-204"))
        service.clock.minutes(1)
        ids.insert(0, message.id)
    await service.mend().close(f"{ids[1]}.file", "called")
    assert await behind(service, Number.FAILED, limit=2, step=Step.FILE, lane=Lane.NORMAL) == ids
    assert [one.message for one in await behind_numbers(service).up_to(Asked(Number.FAILED, HERE), 2)] == ids[:2]
    assert await behind(service, Number.FAILED, step=Step.FILE, lane=Lane.URGENT) == []
    assert await behind(service, Number.FAILED, step=Step.NOTIFY) == []
    assert await behind(service, Number.FAILED, ELSEWHERE) == []
    service.clock.minutes(24 * 60)
    assert await behind(service, Number.FAILED) == []


@pytest.mark.parametrize("limit", [2, 50])
async def test_reply_dates_passed(service: Service, limit: int) -> None:
    """By date; more of one date than a page holds are none of them missed."""
    messages = [await service.persisted(patient=str(number)) for number in range(5)]
    for number, message in enumerate(messages):
        found = await service.store.get(AWAITED, message.id)
        assert found is not None
        passed = {"outcome": AwaitedOutcome.OVERDUE.value, "reply_by": f"2026-06-0{1 + number // 3}"}
        await service.store.replace(AWAITED, {**found, **passed})
    found_ids = await behind(service, Number.OVERDUE, limit=limit)
    assert set(found_ids[:3]) == {message.id for message in messages[:3]}
    assert set(found_ids[3:]) == {message.id for message in messages[3:]}
    assert await behind(service, Number.OVERDUE, ELSEWHERE) == []


async def test_few_reads_whatever_is_stored(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of any list reads no more documents with 300 messages stored than it may for 60."""
    read = 0
    inner = service.store.inner.find

    async def counted(*args: Any, **how: Any) -> Any:
        nonlocal read
        found = await inner(*args, **how)
        read += len(found)
        return found

    for number in range(300):
        message = await service.persisted(patient=str(number % 20), lane=Lane.URGENT if number % 2 else Lane.NORMAL)
        service.clock.minutes(0.01)
        await service.threads.set_state(message.id, FilingState.FILED)
    monkeypatch.setattr(service.store.inner, "find", counted)
    for name in Number:
        read = 0
        await behind_numbers(service)(Asked(name, HERE), 10)
        assert read <= 450, name
