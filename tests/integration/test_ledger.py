"""The ledger: what is lost, late or unconfirmed is named by id, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from messaging_service.application import ledger as ledger_module
from messaging_service.application.collections import FILINGS, JOURNAL
from messaging_service.application.journal import Journal, Outcome
from messaging_service.application.ledger import Ledger, LedgerReport
from messaging_service.application.park import Park
from messaging_service.application.topology import topology
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Lane
from messaging_service.tenants import Due
from tests.parts.service import LADDER_MS, Service, enveloped

QUEUE = "persist.normal"
DAY = 24 * 60
RETRYING_MINUTES = sum(LADDER_MS) / 60_000 + 0.1


@pytest.fixture
def journal(service: Service) -> Journal:
    return Journal(service.store, service.clock)


def published(service: Service, journal: Journal, outcome: Outcome = Outcome.CONFIRMED, **accepted: Any) -> Any:
    """A message that this gateway run numbered; it lies in no queue and no store."""
    event = replace(service.accepted(run=journal.run, **accepted), number=journal.next_number())
    journal.settle(event.number, event.message, event.lane, outcome)
    return event


async def check(service: Service) -> LedgerReport:
    queues = [queue.name for queue in topology(service.tenants, LADDER_MS).queues]
    return await Ledger(
        tenants=service.tenants,
        store=service.store,
        broker=service.broker,
        queues=queues,
        ladder_ms=LADDER_MS,
        clock=service.clock,
    ).check()


async def test_what_is_stored_is_found(service: Service, journal: Journal) -> None:
    """Ten confirmed, ten persisted and on their way: nothing is named."""
    for n in range(10):
        await service.persisted(published(service, journal, patient=str(n)))
    await journal.flush()
    report = await check(service)
    assert (report.confirmed, report.persisted, report.under_way) == (10, 10, 10)
    assert (report.lost, report.late, report.unconfirmed, report.tails) == ([], [], [], [])
    assert report.ok


async def test_a_lost_message_is_named(service: Service, journal: Journal) -> None:
    """Confirmed, in no store and no queue: waiting at first, late while a retry could hold it, then lost, by id."""
    event = published(service, journal)
    await service.persisted(published(service, journal, patient="9"))
    await journal.flush()
    assert ((report := await check(service)).waiting, report.ok) == (1, True)
    service.clock.minutes(DAY)
    assert (await check(service)).ok
    service.clock.now += 1
    assert event.message in (report := await check(service)).late
    assert not report.ok
    service.clock.minutes(RETRYING_MINUTES)
    report = await check(service)
    assert (report.lost, report.ok) == ([event.message], False)


async def test_a_message_that_its_queue_may_hold_is_late(service: Service, journal: Journal) -> None:
    """Past its limit while its lane's queue holds something: late, not lost. Another lane's queue excuses nothing."""
    normal, urgent = published(service, journal), published(service, journal, lane=Lane.URGENT)
    await journal.flush()
    service.clock.minutes(DAY + RETRYING_MINUTES)
    await service.broker.publish(QUEUE, enveloped(normal))
    report = await check(service)
    assert (report.late, report.lost) == ([normal.message], [urgent.message])


async def test_nothing_is_called_lost_at_one_look(service: Service, journal: Journal) -> None:
    """A worker had it in hand, in no queue and not yet stored: the second look finds it."""
    event = published(service, journal)
    await journal.flush()
    service.clock.minutes(DAY + RETRYING_MINUTES)

    async def stored_meanwhile() -> None:
        service.store.meanwhile("find", JOURNAL, lambda: service.persisted(event))

    service.store.meanwhile("find", JOURNAL, stored_meanwhile)
    report = await check(service)
    assert (report.lost, report.confirmed, report.persisted) == ([], 1, 1)


@pytest.mark.parametrize(("lane", "minutes"), [(Lane.URGENT, 5), (Lane.NORMAL, DAY)])
async def test_each_lane_has_its_limit(service: Service, journal: Journal, lane: Lane, minutes: int) -> None:
    """Urgent messages are late after five minutes, normal ones after a day: to the millisecond."""
    event = published(service, journal, lane=lane)
    await journal.flush()
    service.clock.minutes(minutes)
    assert (await check(service)).ok
    service.clock.now += 1
    assert (await check(service)).late == [event.message]


async def test_a_parked_message_is_no_loss(service: Service, journal: Journal) -> None:
    """Given up by the persist step and listed for a person: counted as parked, never as lost."""
    event = published(service, journal)
    park = Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)
    await park(replace(enveloped(event), headers={"queue": QUEUE, "reason": "transit_seal"}))
    await journal.flush()
    service.clock.minutes(2 * DAY)
    report = await check(service)
    assert (report.parked, report.ok) == (1, True)


async def test_what_no_portal_saw_confirmed_is_listed_apart(service: Service, journal: Journal) -> None:
    """Outcome unknown and not stored: listed, but no alarm. Failed and not stored: not even that."""
    unknown = published(service, journal, Outcome.UNKNOWN)
    published(service, journal, Outcome.FAILED)
    arrived = published(service, journal, Outcome.UNKNOWN)
    await service.persisted(arrived)
    await journal.flush()
    report = await check(service)
    assert (report.unconfirmed, report.ok, report.confirmed) == ([unknown.message], True, 0)


async def test_a_killed_run_is_reported_with_its_tail(service: Service, journal: Journal) -> None:
    """The gateway died with two publishes unwritten, one of which arrived: the run, its watermark and that one."""
    await service.persisted(published(service, journal))
    await journal.flush()
    await service.persisted(beyond := published(service, journal))
    published(service, journal)
    assert (await check(service)).tails == []
    service.clock.now += 30_000
    (tail,) = (await check(service)).tails
    assert (tail.run, tail.watermark, tail.persisted) == (journal.run, 1, (beyond.message,))


async def test_a_closed_run_has_no_tail(service: Service, journal: Journal) -> None:
    """A gateway that stopped in order is not reported, however long ago."""
    published(service, journal)
    await journal.flush("closed")
    service.clock.minutes(60)
    assert (await check(service)).tails == []


async def test_settled_batches_are_not_read_again(service: Service, journal: Journal) -> None:
    """Once all of a batch is stored and ten minutes have passed it is marked, and later checks leave it alone."""
    await service.persisted(published(service, journal))
    await journal.flush()
    await check(service)
    assert len(await service.all(JOURNAL, "by_state", state="open")) == 1
    service.clock.minutes(11)
    await check(service)
    assert len(await service.all(JOURNAL, "by_state", state="settled")) == 1
    service.store.calls.clear()
    assert (await check(service)).confirmed == 0
    assert ("get_many", "filings") not in service.store.calls


async def test_a_batch_with_one_message_missing_stays_open(service: Service, journal: Journal) -> None:
    """One of a hundred is not there: the batch is read again until it is."""
    events = [published(service, journal, patient=str(n)) for n in range(5)]
    for event in events[1:]:
        await service.persisted(event)
    await journal.flush()
    service.clock.minutes(DAY + 20)
    for _ in range(2):
        assert (await check(service)).lost == [events[0].message]
    await service.persisted(events[0])
    assert (await check(service)).lost == []
    assert len(await service.all(JOURNAL, "by_state", state="settled")) == 1


async def test_many_batches_of_one_millisecond(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty-three batches of one millisecond over pages of five: each is read once, also while some are settled."""
    monkeypatch.setattr(ledger_module, "_PAGE", 5)
    missing = []
    for n in range(23):
        gateway = Journal(service.store, service.clock)
        event = published(service, gateway, patient=str(n))
        if n % 2:
            await service.persisted(event)
        else:
            missing.append(event.message)
        await gateway.flush("closed")
    service.clock.minutes(DAY + 20)
    report = await check(service)
    assert (report.confirmed, report.persisted) == (23, 11)
    assert sorted(report.lost) == sorted(missing)
    assert (await check(service)).confirmed == 12


async def test_each_tenants_filings_have_their_own_limit(service: Service) -> None:
    """Thirty minutes on, SEIN's urgent filing is late at its five minutes; Spijkenisse allows an hour."""
    relaxed = msgspec.structs.replace(service.tenants["spijkenisse"], due=Due(urgent_minutes=60))
    service.tenants["spijkenisse"] = relaxed
    here = await service.persisted(lane=Lane.URGENT)
    there = await service.persisted(lane=Lane.URGENT, tenant="sein")
    service.clock.minutes(30)
    report = await check(service)
    assert (report.late, report.ok) == ([there.id], False)
    service.clock.minutes(31)
    assert set((await check(service)).late) == {here.id, there.id}


@pytest.mark.parametrize(
    ("state", "late"),
    [
        (FilingState.WAITING, True),
        (FilingState.SENDING, True),
        (FilingState.UNKNOWN, True),
        (FilingState.FILED, False),
        (FilingState.PARKED, False),
        (FilingState.CLOSED, False),
    ],
)
async def test_a_filing_is_late_until_it_has_ended(service: Service, state: FilingState, late: bool) -> None:
    """Waiting, under way or unknown past its limit is late; filed, parked or closed is not."""
    stored = await service.persisted(lane=Lane.URGENT)
    filing = await service.threads.filing(stored.id)
    assert filing is not None
    await service.threads.change(replace(filing, state=state))
    service.clock.minutes(6)
    report = await check(service)
    assert report.late == ([stored.id] if late else [])
    assert report.under_way == int(late)


async def test_a_message_without_a_filing_is_not_taken_for_safe(service: Service, journal: Journal) -> None:
    """The worker died between message and filing and nobody repeats it: past its limit it is named."""
    event = published(service, journal, lane=Lane.URGENT)
    await service.persisted(event)
    await journal.flush()
    await service.store.delete(FILINGS, event.message)
    service.clock.minutes(6 + RETRYING_MINUTES)
    report = await check(service)
    assert (report.lost, report.ok) == ([event.message], False)
