"""Delivered is not filed: what an engine took is proved by the EPD's list, or found to be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from messaging_service.adapters.metrics import Metrics
from messaging_service.application.changes import CorrectedText
from messaging_service.application.collections import PARKED
from messaging_service.application.correct import NotChangeable
from messaging_service.application.ledger import Ledger
from messaging_service.application.queue_ages import QueueAges
from messaging_service.application.reconcile import NOT_IN_EPD, Reconciliation
from messaging_service.application.topology import file_queue, notify_queue
from messaging_service.domain.events import MessageFiled
from messaging_service.domain.filing import RECONCILED, FilingState
from messaging_service.domain.message import Lane
from messaging_service.gateway.health import Checks
from tests.parts.filing import Hospital, hospital
from tests.parts.service import LADDER_MS, START, Service, enveloped, event_in, persisted_event

ENGINE = {"acknowledged_by": "engine"}
NOTIFY = notify_queue("spijkenisse")


async def reconciled(at: Hospital, *numbers: str, since: int = 0, until: int = START + 10**9) -> Reconciliation:
    return await at.reconcile(at.tenant, numbers, since=since, until=until)


def ledger(service: Service) -> Ledger:
    queues = [file_queue("spijkenisse", lane) for lane in Lane] + [
        "persist.urgent",
        "persist.normal",
        "park",
        "park.dead",
    ]
    return Ledger(
        tenants=service.tenants,
        store=service.store,
        broker=service.broker,
        queues=queues,
        ladder_ms=LADDER_MS,
        clock=service.clock,
    )


async def test_an_engines_answer_is_a_delivery(service: Service) -> None:
    """AA of an engine that loses all: delivered, not filed, and the portal is told nothing."""
    async with hospital(service, "engine", **ENGINE) as at:
        message = await service.persisted()
        assert await at.file(enveloped(persisted_event(message))) == []
        filing = await at.filing(message.id)
        assert (filing.state, filing.filed_at, filing.attempts[-1].code) == (FilingState.DELIVERED, 0, "AA")
        assert await at.file(enveloped(persisted_event(message))) == []
        assert len(at.epd.frames) == 1


async def test_a_delivered_message_lets_the_next_of_its_thread_through(service: Service) -> None:
    """Proof may take a day; the conversation does not wait for it."""
    async with hospital(service, **ENGINE) as at:
        first = await at.filed()
        second = await at.filed(thread=first.id)
        assert (await at.filing(second.id)).state is FilingState.DELIVERED


async def test_what_the_list_holds_is_filed(service: Service) -> None:
    """Listed: filed, with the proof beside the engine's answer, and now the portal is told."""
    async with hospital(service, **ENGINE) as at:
        message = await at.filed()
        service.clock.minutes(60)
        done = await reconciled(at, message.id, "SOMEBODY-ELSES", f" {message.id} ", "")
        assert (done.filed, done.missing, done.listed, done.strange) == ([message.id], [], 2, 1)
        filing = await at.filing(message.id)
        assert (filing.state, [attempt.code for attempt in filing.attempts]) == (FilingState.FILED, ["AA", RECONCILED])
        assert filing.filed_at == service.clock()
        (told,) = await service.queued(NOTIFY)
        assert event_in(told, MessageFiled).filed_at == service.clock()


async def test_what_the_list_misses_is_parked_with_one_alert(service: Service) -> None:
    """Delivered in the period and not listed: parked, one alert for all; after a replay it is sent again."""
    async with hospital(service, "engine", **ENGINE) as at:
        lost = [(await at.filed(patient=str(number))).id for number in range(3)]
        done = await reconciled(at)
        assert sorted(done.missing) == sorted(lost)
        assert service.operations.keys == ["epd-misses spijkenisse"]
        assert sorted(await at.park_all()) == sorted(lost)
        parked = await service.all(PARKED, "by_state", state="parked")
        assert {document["reason"] for document in parked} == {NOT_IN_EPD}
        assert {(await at.filing(id)).state for id in lost} == {FilingState.PARKED}
        await at.epd.set_mode("normal")
        await service.mend().replay(f"{lost[0]}.file")
        assert await at.carry_out() == [lost[0]]
        assert at.epd.inbox[lost[0]].count == 1


async def test_a_repeat_changes_nothing(service: Service) -> None:
    """The same list again, before and after the park step: nothing is parked, told or alerted twice."""
    async with hospital(service, **ENGINE) as at:
        kept = await at.filed()
        lost = await at.filed(patient="2")
        for _ in range(2):
            await reconciled(at, kept.id)
        await at.park_all()
        again = await reconciled(at, kept.id)
        assert (again.filed, again.missing) == ([], [])
        assert len(await service.all(PARKED, "by_state", state="parked")) == 1
        assert (await at.filing(lost.id)).state is FilingState.PARKED
        assert [text for _, text in service.operations.told] == [
            "spijkenisse: 1 delivered messages are not in the EPD; see `messaging-service parked list`",
            "spijkenisse: the EPD has all that was delivered",
        ]


async def test_only_the_period_counts(service: Service) -> None:
    """Delivered before the list begins or from its end on: it says nothing about those."""
    async with hospital(service, **ENGINE) as at:
        await at.filed(patient="1")
        service.clock.minutes(10)
        inside = await at.filed(patient="2")
        service.clock.minutes(10)
        await at.filed(patient="3")
        done = await reconciled(at, since=START + 1, until=service.clock())
        assert done.missing == [inside.id]


async def test_many_of_one_millisecond_are_all_looked_at(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of two over five that came at once miss none."""
    monkeypatch.setattr("messaging_service.application.reconcile._PAGE", 2)
    async with hospital(service, **ENGINE) as at:
        ids = {(await at.filed(patient=str(number))).id for number in range(5)}
        service.clock.minutes(1)
        ids |= {(await at.filed(patient="9")).id}
        assert set((await reconciled(at)).missing) == ids


async def test_a_list_proves_what_was_never_answered(service: Service) -> None:
    """Sent, ACK unknown, and listed: filed, and its copy in the queue sends nothing more."""
    async with hospital(service, "hang", ack_timeout=0.1) as at:
        message = await service.persisted()
        with pytest.raises(Exception, match="ack-unknown"):
            await at.file(enveloped(persisted_event(message)))
        assert (await reconciled(at, message.id)).filed == [message.id]
        (told,) = await at.file(enveloped(persisted_event(message)))
        assert event_in(told.envelope, MessageFiled).message == message.id
        assert [attempt.code for attempt in (await at.filing(message.id)).attempts] == [RECONCILED]


async def test_another_tenants_numbers_prove_nothing(service: Service) -> None:
    """A number of another hospital on the list is strange, and its filing stays as it is."""
    async with hospital(service, **ENGINE) as at:
        other = await service.persisted(tenant="sein")
        done = await reconciled(at, other.id)
        assert (done.strange, done.filed) == (1, [])
        assert (await at.filing(other.id)).state is FilingState.WAITING


async def test_what_was_withdrawn_is_rightly_missing(service: Service) -> None:
    """A message that was withdrawn, or whose correction took its place, is not parked for being gone."""
    async with hospital(service, **ENGINE) as at:
        withdrawn, corrected = await at.filed(patient="1"), await at.filed(patient="2")
        await at.correct.withdraw(withdrawn.id, "wrong-patient")
        change = await at.correct.correct(corrected.id, CorrectedText("Vraag", "Beter"), "typo")
        await at.carry_out()
        done = await reconciled(at)
        assert done.missing == [change.id]
        assert set(done.changed) == {withdrawn.id, f"{withdrawn.id}.1", corrected.id}
        assert (await reconciled(at, change.id)).filed == [change.id]


async def test_what_is_missing_cannot_be_withdrawn(service: Service) -> None:
    """Parked as not in the EPD: there is nothing to change there."""
    async with hospital(service, "engine", **ENGINE) as at:
        message = await at.filed()
        await reconciled(at)
        await at.park_all()
        with pytest.raises(NotChangeable):
            await at.correct.withdraw(message.id, "wrong-patient")


async def test_the_ledger_asks_for_proof_in_time(service: Service, tmp_path: Path) -> None:
    """Delivered counts apart; past the tenant's limit without proof the ledger is not in order."""
    async with hospital(service, **ENGINE) as at:
        message = await at.filed()
        young = await ledger(service).check()
        assert (young.delivered, young.unproven, young.ok) == (1, [], True)
        service.clock.minutes(72 * 60 + 1)
        old = await ledger(service).check()
        assert (old.unproven, old.late, old.ok) == ([message.id], [], False)
        await reconciled(at, message.id)
        assert (await ledger(service).check()).ok


async def test_the_metrics_count_what_is_delivered(service: Service) -> None:
    """The gauge shows what waits for its proof, and falls when that comes."""
    async with hospital(service, **ENGINE) as at:
        message = await at.filed()
        ages = QueueAges(("spijkenisse",), service.store, service.clock)
        checks = Checks(service.broker, service.store, Metrics(), ages, (NOTIFY,))
        assert b"\nmessaging_delivered 1.0\n" in await checks.exposition()
        await reconciled(at, message.id)
        assert b"\nmessaging_delivered 0.0\n" in await checks.exposition()
