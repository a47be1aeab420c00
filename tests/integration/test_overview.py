"""What operations see first: true, of their own hospital alone, and the same few reads whatever is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from messaging_service.application.changes import Changes
from messaging_service.application.journey import JourneyNotFound, Journeys
from messaging_service.application.mend import Mend, Operator, ParkedNotFound
from messaging_service.application.overview import Overview, View
from messaging_service.application.park import Park
from messaging_service.application.ports import AccessPoint, Actor, Document
from messaging_service.application.processes import Condition, Presence
from messaging_service.application.samples import Samples
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Lane
from tests.integration.test_park import given_up
from tests.parts.service import Service, enveloped

SOMEBODY = Actor("somebody", "ops", "role", "", AccessPoint.STAFF, "operations:mend")
OPS, ELSEWHERE = Operator(SOMEBODY, "spijkenisse"), Operator(SOMEBODY, "sein")


def mend(service: Service) -> Mend:
    return service.mend()


async def overview(service: Service, tenant: str = "spijkenisse") -> View:
    """As a tenant sees it now."""
    made = Overview(
        store=service.store,
        broker=service.broker,
        mend=mend(service),
        samples=Samples(service.store, service.clock),
        clock=service.clock,
    )
    return await made(tenant)


async def test_parked_by_kind_and_tenant(service: Service) -> None:
    """Counted by step and reason with the oldest; another hospital's operations neither see nor touch them."""
    park = Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)
    began = service.clock()
    for number, reason in enumerate(("AE-204", "AE-207", "AE-204")):
        await park(given_up(await service.persisted(patient=str(number)), reason=reason))
        service.clock.minutes(1)
    found = [(kind.step, kind.reason, kind.count, kind.oldest_at) for kind in (await overview(service)).parked]
    assert found == [("file", "AE-204", 2, began), ("file", "AE-207", 1, began + 60_000)]
    assert (await overview(service, "sein")).parked == ()
    (one, _) = await mend(service).page("spijkenisse", "file", "AE-204", "", 10)
    for use in (
        mend(service).replay(one.id, ELSEWHERE),
        mend(service).close(one.id, "x", ELSEWHERE),
        mend(service).give(one.id, "x", ELSEWHERE),
    ):
        with pytest.raises(ParkedNotFound):
            await use
    assert await mend(service).replay_like("file", "AE-204", ELSEWHERE, 10) == 0
    assert await mend(service).replay_like("file", "AE-204", OPS, 10) == 2
    assert [kind.reason for kind in (await overview(service)).parked] == ["AE-207"]


async def test_a_process_that_is_silent_is_not_shown(service: Service) -> None:
    """What it told of itself last is shown while it is alive, and not once it left or fell silent."""
    condition = Condition(("file.spijkenisse.normal",), {"spijkenisse": (2, 5)})
    presence = Presence(service.store, "file", service.clock, lambda: condition)
    await presence()
    await presence()
    (seen,) = (await overview(service)).processes
    assert (seen.name, seen.circuits, dict(seen.connections)) == ("file", condition.circuits, {"spijkenisse": (2, 5)})
    service.clock.minutes(1)
    assert (await overview(service)).processes == ()
    await presence()
    await presence.leave()
    assert (await overview(service)).processes == ()


async def test_servers_that_are_down(service: Service) -> None:
    """One's own EPD's alert shows, a neighbour's does not; a broker that is down is said."""
    await service.alerts.begin("epd-down spijkenisse", "down")
    assert (await overview(service)).down == ("epd",)
    assert (await overview(service, "sein")).down == ()
    service.broker.down = True
    view = await overview(service)
    assert view.down == ("broker", "epd")
    assert {queue.depth for queue in view.queues} == {None}


def journeys(service: Service) -> Journeys:
    return Journeys(
        store=service.store,
        threads=service.threads,
        changes=Changes(service.store),
        access_log=service.access_log,
    )


async def test_what_was_sent_again_is_in_the_journey(service: Service) -> None:
    """An EPD that was silent twice and then answered: first and last sending, how often, and the answer."""
    message = await service.persisted()
    filing = await service.threads.filing(message.id)
    assert filing
    for at in (10, 20, 30):
        filing = await service.threads.change(filing.sending(message.accepted_at + at))
    answered = filing.attempts[-1].answered("AA", "", filing.last_control_id, message.accepted_at + 40, "")
    await service.threads.change(filing.answered(answered, FilingState.FILED))
    moments = [one for one in (await journeys(service)(message.id)).moments if one.what in ("sent", "acknowledged")]
    assert [one.at - message.accepted_at for one in moments] == [10, 30, 40]
    assert [one.facts.get("sendings") for one in moments] == [None, 3, None]


async def test_the_journey_of_what_was_never_stored(service: Service) -> None:
    """A message that persist gave up on has a journey all the same; another hospital's is not there."""
    event = service.accepted()
    park = Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)
    await park(given_up_before_stored(event))
    journey = await journeys(service)(event.message, OPS)
    assert (journey.state, [moment.what for moment in journey.moments]) == ("parked", ["parked"])
    for stranger, message in ((ELSEWHERE, event.message), (OPS, "C" * 26)):
        with pytest.raises(JourneyNotFound):
            await journeys(service)(message, stranger)


def given_up_before_stored(event: Any) -> Any:
    """What the persist step could not store."""
    return replace(enveloped(event), headers={"queue": "persist.normal", "reason": "transit_seal"})


async def test_the_same_reads_whatever_is_stored(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view reads as many documents with 300 messages stored and waiting as with ten, and few."""
    read = 0
    store = service.store.inner

    def counting(name: str) -> None:
        inner = getattr(store, name)

        async def counted(*args: Any, **kw: Any) -> Any:
            nonlocal read
            found: Sequence[Document] | Mapping[str, Document] | Document | None = await inner(*args, **kw)
            read += 1 if name == "get" else len(found or ())
            return found

        monkeypatch.setattr(store, name, counted)

    async def reads() -> int:
        nonlocal read
        read = 0
        await overview(service)
        await Samples(service.store, service.clock).day("spijkenisse")
        return read

    for number in range(10):
        await service.persisted(patient=str(number))
    for name in ("get", "get_many", "find"):
        counting(name)
    few = await reads()
    for number in range(300):
        await service.persisted(patient=str(number % 20), lane=Lane.NORMAL)
    assert await reads() == few
    assert few < 120
