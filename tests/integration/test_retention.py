"""Retention: what is past its tenant's term goes, in steps and by index; what the EPD has not filed never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from messaging_service.application import retain as step
from messaging_service.application.collections import (
    ACCESS_LOG,
    ALL,
    AWAITED,
    CHANGES,
    FILINGS,
    MESSAGES,
    PARKED,
)
from messaging_service.application.due_pages import PAGE
from messaging_service.application.forget_accesses import ForgetAccesses
from messaging_service.application.remove_message import RemoveMessage
from messaging_service.application.retain import DAY_MS, Retain, Retained
from messaging_service.application.retention_rules import KEPT, RULES, SHARED_RULES, Rule
from messaging_service.application.threads import StoredMessage
from messaging_service.domain.filing import FilingState
from messaging_service.tenants import Listener, Retention
from messaging_service.tenants.retention import days_of
from tests.parts.service import START, Service

DAYS = 30
TERMS = Retention(messages="working_copy", working_copy_days=DAYS, evidence_years=1)


@pytest.fixture
def retain(service: Service) -> Retain:
    """At a hospital that keeps working copies for thirty days."""
    for tenant in list(service.tenants.values()):
        epd = msgspec.structs.replace(tenant.epd, listener=Listener(listen="127.0.0.1:0", remember_days=30))
        service.tenants[tenant.id] = msgspec.structs.replace(tenant, retention=TERMS, epd=epd)
    remove = RemoveMessage(store=service.store, threads=service.threads, access_log=service.access_log)
    forget = ForgetAccesses(service.store, service.anchors, service.clock)
    return Retain(
        tenants=service.tenants, store=service.store, remove_message=remove, forget_accesses=forget, clock=service.clock
    )


async def state(service: Service, message: StoredMessage, state: FilingState) -> None:
    filing = await service.threads.filing(message.id)
    assert filing is not None
    await service.threads.change(replace(filing, state=state))


async def filed(service: Service, **accepted: Any) -> StoredMessage:
    message = await service.persisted(**accepted)
    await state(service, message, FilingState.FILED)
    return message


def of(found: list[Retained], rule: Rule, tenant: str = "spijkenisse") -> tuple[int, int, int]:
    (one,) = [each for each in found if each.collection == rule.collection.name and each.tenant in (tenant, "")]
    return one.due, one.removed, one.spared


def test_every_collection_has_a_term_or_says_why_not() -> None:
    """A collection that somebody adds cannot be forgotten, and none has both."""
    ruled = [rule.collection.name for rule in (*RULES, *SHARED_RULES)]
    assert sorted([*ruled, *KEPT, ACCESS_LOG.name]) == sorted(collection.name for collection in ALL)


async def test_only_what_is_filed_goes(service: Service, retain: Retain) -> None:
    """After the term, not a moment before: filed messages go, with their clock; whatever is not filed stays as it is.

    The removal is in the access log, the filing stays as evidence, and a new message takes the place after.
    """
    first = await filed(service)
    second = await filed(service, thread=first.thread)
    others = [await service.persisted(patient="77") for _ in FilingState]
    for message, its_state in zip(others, FilingState, strict=True):
        await state(service, message, its_state)
    service.clock.now = START + DAYS * DAY_MS
    assert of(await retain(), RULES[0]) == (0, 0, 0)
    service.clock.now += 1
    unfiled = len(FilingState) - 1
    assert of(await retain.count(), RULES[0]) == (3 + unfiled, 0, unfiled)
    assert of(await retain(), RULES[0]) == (3 + unfiled, 3, unfiled)
    kept = [
        message for message, its_state in zip(others, FilingState, strict=True) if its_state is not FilingState.FILED
    ]
    assert {each["id"] for each in await service.all(MESSAGES, "by_time", tenant="spijkenisse")} == {m.id for m in kept}
    assert await service.store.get(AWAITED, first.id) is None
    assert await service.store.get(FILINGS, first.id) is not None
    entries = await service.all(ACCESS_LOG, "of_patient", patient=first.patient)
    assert {each["object"] for each in entries if each["action"] == "delete"} == {first.id, second.id}
    assert (await service.persisted(thread=first.thread)).place == 3


async def test_a_message_whose_change_is_not_filed_stays(service: Service, retain: Retain) -> None:
    """A correction that the EPD still has to take keeps its message."""
    message = await filed(service)
    await service.store.insert(CHANGES, [{"id": f"{message.id}.1", "message": message.id, "number": 1}])
    service.clock.now += DAYS * DAY_MS + 1
    assert of(await retain(), RULES[0]) == (1, 0, 1)


async def test_evidence_outlives_its_message(service: Service, retain: Retain) -> None:
    """A filing past its own term stays while the message is there, and goes when it is not."""
    filings = RULES[1]
    message = await filed(service)
    await state(service, message, FilingState.CLOSED)
    service.clock.now += 400 * DAY_MS
    assert of(await retain(), filings) == (1, 0, 1)
    await state(service, message, FilingState.FILED)
    assert of(await retain(), filings) == (1, 1, 0)


async def test_every_rule_by_its_own_index(service: Service, retain: Retain) -> None:
    """Of each kind one on either side of the bound: the older goes, of this tenant alone; a dry run takes nothing."""
    service.clock.now = START + 1_000 * DAY_MS
    rules = [rule for rule in (*RULES, *SHARED_RULES) if rule.collection is not MESSAGES]
    tenant = service.tenants["spijkenisse"]
    for rule in rules:
        before = service.clock() - rule.days(tenant) * DAY_MS
        field = [*rule.collection.index(rule.index).fields]
        for number, among in enumerate(rule.among):
            for name, at in (("old", before - DAY_MS), ("new", before)):
                document = {"id": f"{name}-{number}", "tenant": tenant.id, "step": "file", **among}
                sorted_by = field[len(among) + (field[0] == "tenant")]
                await service.store.insert(rule.collection, [{**document, sorted_by: rule.bound(at, tenant)}])
    counted, done, again = await retain.count(), await retain(), await retain()
    for rule in rules:
        number = len(rule.among)
        assert of(counted, rule) == (number, 0, 0), rule
        assert of(done, rule) == (number, number, 0), rule
        assert of(again, rule) == (0, 0, 0), rule
        assert not any(of(done, rule, "sein")) or rule in SHARED_RULES, rule
        assert await service.store.get(rule.collection, "new-0"), rule


async def test_in_small_steps(service: Service, retain: Retain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A round takes no more than its pages; the next goes on, past those that stay at the front."""
    monkeypatch.setattr(step, "_PAGES_A_ROUND", 1)
    parked = {"tenant": "spijkenisse", "state": "closed", "step": "persist", "body": b"sealed"}
    await service.store.insert(PARKED, [{"id": f"{n}.persist", "order": f"{n:015}", **parked} for n in range(PAGE + 1)])
    rule = next(rule for rule in RULES if rule.collection is PARKED)
    assert of(await retain(), rule) == (PAGE, PAGE, 0)
    assert of(await retain(), rule) == (1, 1, 0)
    left = await service.store.get(PARKED, "0.persist")
    assert left is not None
    assert (left["state"], left["body"]) == ("forgotten", b"")
    assert await service.threads.opener_is_parked("0")


async def test_the_access_log_goes_after_its_years(service: Service, retain: Retain) -> None:
    """Not within the term of twenty years, and then by its own way; a dry run counts it."""
    await service.persisted()

    async def entries() -> int:
        return len(await service.all(ACCESS_LOG, "by_time", tenant="spijkenisse"))

    def of_log(found: list[Retained]) -> tuple[int, int]:
        (one,) = [each for each in found if (each.collection, each.tenant) == (ACCESS_LOG.name, "spijkenisse")]
        return one.due, one.removed

    there = await entries()
    service.clock.now += days_of(20) * DAY_MS
    assert (of_log(await retain()), await entries()) == ((0, 0), there)
    service.clock.now += 1
    assert of_log(await retain.count()) == (there, 0)
    assert (of_log(await retain()), await entries()) == ((there, there), 0)
