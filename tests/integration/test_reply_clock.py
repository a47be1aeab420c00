"""Reply dates: reminded before, told after, stopped by whatever ends the waiting; no step twice and none left out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import product

import pytest

from messaging_service.application import awaited
from messaging_service.application.collections import AWAITED, THREADS
from messaging_service.domain.awaited import How, Outcome, Stage
from messaging_service.domain.errors import BrokerDown, StoreDown
from messaging_service.domain.filing import FilingState
from messaging_service.domain.refusals import NotFound
from tests.parts.epd_sender import document
from tests.parts.receiving import Receiving
from tests.parts.reply_clock import ReplyClock, Teams, moment
from tests.parts.service import Service

BEFORE, REMINDER = "2026-06-01T07:59", "2026-06-01T08:00"
PASSED, TOLD = "2026-06-03T07:59", "2026-06-03T08:00"
"""Around the reply date of the messages here, Tuesday 2 June 2026."""


@pytest.fixture
def clock(service: Service) -> ReplyClock:
    return ReplyClock(service)


async def test_the_team_before_the_lead_and_the_patient_after(service: Service, clock: ReplyClock) -> None:
    """Each once, at its moment and not before; then the clock has nothing more to do."""
    asked = (await service.persisted()).id
    assert await clock.at(BEFORE) == []
    assert await clock.at(REMINDER) == [("triage", [asked])]
    assert (await clock.of(asked)).stage is Stage.REMINDED
    assert await clock.at(PASSED) == []
    assert await clock.events("ReplyOverdue") == []
    assert await clock.at(TOLD) == [("triage!", [asked])]
    assert await clock.events("ReplyOverdue") == [asked]
    assert (await clock.of(asked)).outcome is Outcome.OVERDUE
    assert await clock.at("2026-07-01T08:00") == []
    assert await clock.events("ReplyOverdue") == [asked]


async def test_an_answer_stops_the_clock_of_all_that_was_asked_before_it(service: Service, clock: ReplyClock) -> None:
    """Both questions of the thread are answered, on time; what is asked after the answer has a clock of its own."""
    receiving = Receiving(service)
    first = await service.persisted()
    second = await service.persisted(thread=first.thread)
    await receiving.taken(document(parent=first.id))
    third = await service.persisted(thread=first.thread)
    stages = [(await clock.of(one.id)).stage for one in (first, second, third)]
    assert stages == [Stage.ANSWERED, Stage.ANSWERED, Stage.WAITING]
    assert (await clock.of(second.id)).outcome is Outcome.ON_TIME
    assert await clock.at(REMINDER) == [("triage", [third.id])]


async def test_a_thread_is_told_of_once(service: Service, clock: ReplyClock) -> None:
    """Whoever writes three times is reminded of and told once: the first question speaks for the thread."""
    first = await service.persisted()
    for _ in range(2):
        await service.persisted(thread=first.thread)
    other = await service.persisted()
    assert await clock.at(REMINDER) == [("triage", sorted((first.id, other.id)))]
    await clock.at(TOLD)
    assert sorted(await clock.events("ReplyOverdue")) == sorted((first.id, other.id))
    assert await service.awaited.due("spijkenisse", moment("2027-01-01T00:00")) == []


async def test_a_withdrawn_answer_was_none(service: Service, clock: ReplyClock) -> None:
    """For another patient after all: the clock goes on, and the next answer stops it; one more behind it counts."""
    receiving = Receiving(service)
    asked = (await service.persisted()).id
    await receiving.taken(document(parent=asked), document(trigger="T11", control="C2", at="20260528130000+0200"))
    assert (await clock.of(asked)).stage is Stage.WAITING
    assert await clock.at(REMINDER) == [("triage", [asked])]
    service.clock.now = moment("2026-06-03T00:00")
    await receiving.taken(document(parent=asked, number="D2", control="C3"))
    await receiving.taken(document(parent=asked, number="D3", control="C4"))
    assert (await clock.of(asked)).outcome is Outcome.LATE
    service.clock.minutes(5)
    await receiving.taken(document(trigger="T11", number="D2", control="C5", at="20260603130000+0200"))
    stopped = await clock.of(asked)
    assert stopped.stage is Stage.ANSWERED
    assert stopped.stopped_by == (await receiving.reply_in(asked)).id


async def test_handled_by_telephone(service: Service, clock: ReplyClock) -> None:
    """A lead says so: nobody is reminded, the patient is told, who it was is a pseudonym; once more is the same."""
    asked = await service.persisted()
    service.clock.now = moment(REMINDER)
    handled = await clock.mark.by_staff(clock.staff(), asked.id, How.TELEPHONE)
    assert (handled.stage, handled.how, handled.outcome) == (Stage.HANDLED, How.TELEPHONE, Outcome.ON_TIME)
    assert "lead" not in handled.stopped_by
    service.clock.minutes(5)
    assert await clock.mark.by_staff(clock.staff(), asked.id, How.VISIT) == handled
    assert await clock.at(TOLD) == []
    assert await clock.events("MessageHandled") == [asked.id] * 2
    shown = await service.reader.message(Receiving(service).writer(), asked.id)
    assert shown.awaited is not None
    assert shown.awaited.stage is Stage.HANDLED


async def test_handled_is_for_the_own_hospital(service: Service, clock: ReplyClock) -> None:
    """Another hospital's message, and one that nobody sent, do not exist."""
    asked = await service.persisted()
    for staff, id in ((clock.staff("sein"), asked.id), (clock.staff(), "A" * 26)):
        with pytest.raises(NotFound):
            await clock.mark.by_staff(staff, id, How.OTHER)
    assert (await clock.of(asked.id)).stage is Stage.WAITING


async def test_answered_stays_answered(service: Service, clock: ReplyClock) -> None:
    """Handled a moment after the answer came: the answer counts, and the patient is told of no other end."""
    asked = await service.persisted()
    await Receiving(service).taken(document(parent=asked.id))
    assert (await clock.mark.by_staff(clock.staff(), asked.id, How.TELEPHONE)).stage is Stage.ANSWERED
    assert await clock.events("MessageHandled") == []


async def test_a_closed_thread_or_message_is_no_longer_waited_for(service: Service, clock: ReplyClock) -> None:
    """Found out when the reminder is due, so that whoever closes need not know of clocks."""
    in_closed, closed = await service.persisted(), await service.persisted()
    thread = await service.store.get(THREADS, in_closed.thread)
    filing = await service.threads.filing(closed.id)
    assert thread is not None
    assert filing is not None
    assert await service.store.replace(THREADS, {**thread, "state": "closed"})
    await service.threads.change(replace(filing, state=FilingState.CLOSED))
    assert await clock.at(REMINDER) == []
    assert [(await clock.of(one.id)).how for one in (in_closed, closed)] == [How.THREAD_CLOSED, How.CLOSED]


async def test_an_answer_that_came_before_its_question_had_a_clock(service: Service, clock: ReplyClock) -> None:
    """Persist died once the message was stored, and the clinician was quicker than its repeat: nobody is told."""
    event = service.accepted()
    service.store.fail("insert", AWAITED)
    with pytest.raises(StoreDown):
        await service.persisted(event)
    await Receiving(service).taken(document(parent=event.message))
    await service.persisted(event)
    assert await clock.at(REMINDER) == []
    assert (await clock.of(event.message)).stage is Stage.ANSWERED


async def test_two_processes_tell_nobody_twice(service: Service, clock: ReplyClock) -> None:
    """Twenty messages, three processes at the same moment: each message is told of once, before and after."""
    asked = sorted([(await service.persisted()).id for _ in range(20)])
    others = [ReplyClock(service.another(), clock.teams) for _ in range(2)]
    for at, whom in ((REMINDER, "triage"), (TOLD, "triage!")):
        clock.teams.told.clear()
        service.clock.now = moment(at)
        await asyncio.gather(*(each.remind() for each in (clock, *others)))
        assert {team for team, _ in clock.teams.told} == {whom}
        assert sorted(id for _, ids in clock.teams.told for id in ids) == asked
    assert sorted(await clock.events("ReplyOverdue")) == asked


async def test_no_mail_is_an_alert_and_another_try(service: Service, clock: ReplyClock) -> None:
    """No mail server: operations hear it once, the patient is told all the same, and the lead as soon as may be."""
    asked = (await service.persisted()).id
    clock.teams.down = True
    assert await clock.at(TOLD) == []
    assert await clock.at("2026-06-03T08:04") == []
    assert await clock.at("2026-06-03T08:06") == []
    assert await clock.events("ReplyOverdue") == [asked]
    assert service.operations.keys == ["mail spijkenisse"]
    clock.teams.down = False
    assert await clock.at("2026-06-03T08:12") == [("triage!", [asked])]
    assert service.operations.keys == ["mail spijkenisse"] * 2
    assert (await clock.of(asked)).next_at == 0


@pytest.mark.parametrize("at", [REMINDER, TOLD])
async def test_a_crash_at_any_write_leaves_nobody_out(service: Service, at: str) -> None:
    """The store or the broker fails at each call in turn; the clock's next rounds tell everybody."""
    asked = (await service.persisted()).id
    clock = ReplyClock(service)
    for operation, passing, done in product(("find", "replace"), (0, 1), (False, True)):
        service.store.fail(operation, AWAITED, passing=passing, done=done)
        with pytest.raises(StoreDown):
            await clock.at(at)
        service.clock.minutes(11)
        await clock.remind()
        assert not await _due(service), (operation, passing, done)
        assert asked in {id for _, ids in clock.teams.told for id in ids}
        await _again(service, asked)
        clock.teams.told.clear()


async def _due(service: Service) -> bool:
    return bool(await service.awaited.due("spijkenisse", service.clock()))


async def _again(service: Service, id: str) -> None:
    """Set the clock of a message back to where it began."""
    found = await service.awaited.get(id)
    assert found is not None
    begun = replace(found, stage=Stage.WAITING, outcome=Outcome.OPEN, next_at=found.remind_at)
    assert await service.awaited.change(begun)


async def test_a_broker_that_is_down_holds_the_patients_news_back(service: Service, clock: ReplyClock) -> None:
    """What could not be published is published by a later round."""
    asked = (await service.persisted()).id
    service.broker.down = True
    with pytest.raises(BrokerDown):
        await clock.at(TOLD)
    service.broker.down = False
    assert await clock.at("2026-06-03T08:11") == [("triage!", [asked])]
    assert await clock.events("ReplyOverdue") == [asked]


async def test_more_than_a_page(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """More at once than one look takes: all are told of, in one round."""
    teams, one = Teams(), await service.persisted()
    known = await service.awaited.get(one.id)
    assert known is not None
    monkeypatch.setattr(awaited, "_PAGE", 5)
    for number in range(12):
        await service.document(replace(known, id=f"m{number}", thread=f"t{number}", version=1), AWAITED)
    await ReplyClock(service, teams).at(REMINDER)
    assert len({id for _, ids in teams.told for id in ids}) == 13
