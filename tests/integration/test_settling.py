"""What becomes of one delivery, on the real embedded queue."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from messaging_service.application.codec import Outgoing
from messaging_service.application.ports import Envelope
from messaging_service.application.topology import PARK
from messaging_service.domain.errors import (
    Conflict,
    Deferred,
    EpdDown,
    MessageFault,
    PublishUnknown,
    QueueMissing,
    StoreDown,
)
from tests.parts.service import DEFERRAL_MS, LADDER_MS, PATIENCE, SECRET_TEXT, Service
from workers.settling import Handler, Settling

QUEUE = "persist.normal"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENVELOPE = Envelope("m1", "MessageAccepted", b"{}", {"queue": QUEUE, "traceparent": TRACE})


def does(outcome: list[Outgoing] | BaseException) -> Handler:
    """A step with this outcome."""

    async def handle(envelope: Envelope) -> list[Outgoing]:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return handle


async def settle(service: Service, handler: Handler, envelope: Envelope = ENVELOPE, queue: str = QUEUE) -> str:
    """Publish, take and settle one message."""
    await service.broker.inner.publish(queue, envelope)
    return await settle_next(service, handler, queue)


async def settle_next(service: Service, handler: Handler, queue: str = QUEUE) -> str:
    """Take the next message of a queue and settle it."""
    async with service.broker.consume(queue, 1) as deliveries:
        delivery = await asyncio.wait_for(anext(deliveries), PATIENCE)
        return await Settling(queue, service.broker, LADDER_MS).settle(delivery, handler)


async def test_what_follows_is_published_before_the_acknowledgement(service: Service) -> None:
    """At the moment of the acknowledgement both follow-ups are in their queues, with the trace carried on."""
    follows = [Outgoing(queue, Envelope("m1", "B", b"b")) for queue in ("file.sein.normal", "notify.sein")]
    seen: list[int] = []

    async def look() -> None:
        depths = await service.broker.depths(["file.sein.normal", "notify.sein"])
        seen.extend(depth.ready for depth in depths.values())

    service.broker.before_ack = look
    assert await settle(service, does(follows)) == "done"
    assert seen == [1, 1]
    assert await service.queued(QUEUE) == []
    (published,) = await service.queued("notify.sein")
    assert published == Envelope("m1", "B", b"b", {"traceparent": TRACE})


async def test_a_follow_up_that_is_not_confirmed_leaves_the_message(service: Service) -> None:
    """The confirm is missing: nothing is acknowledged, the message comes again as it was."""
    service.broker.unknown.add("notify.sein")
    with pytest.raises(PublishUnknown):
        await settle(service, does([Outgoing("notify.sein", Envelope("m1", "B", b"b"))]))
    assert await service.queued(QUEUE) == [ENVELOPE]


async def test_a_follow_up_without_a_queue_leaves_the_message(service: Service) -> None:
    """A queue nobody declared is the broker's fault, never the message's: it waits, uncounted."""
    with pytest.raises(QueueMissing):
        await settle(service, does([Outgoing("file.elsewhere.normal", Envelope("m1", "B", b"b"))]))
    assert await service.queued(QUEUE) == [ENVELOPE]


@pytest.mark.parametrize("fault", [StoreDown("x"), EpdDown("x")])
async def test_a_servers_fault_is_not_counted(service: Service, fault: Exception) -> None:
    """The message waits as it was, its headers untouched, and the broker does not count its deliveries either."""
    with pytest.raises(type(fault)):
        await settle(service, does(fault))
    await service.arrives(QUEUE)
    async with service.broker.inner.consume(QUEUE, 1) as deliveries:
        again = await anext(deliveries)
    assert again.envelope == ENVELOPE
    assert again.delivery_count == 0
    assert service.broker.published[-1] == (QUEUE, "m1", DEFERRAL_MS)


async def test_store_and_broker_down_at_once(service: Service) -> None:
    """The store fails and the broker with it: the message is given back and comes again."""

    async def both(envelope: Envelope) -> list[Outgoing]:
        service.broker.down = True
        raise StoreDown("x")

    with pytest.raises(StoreDown):
        await settle(service, both)
    service.broker.down = False
    assert await service.queued(QUEUE) == [ENVELOPE]


async def test_a_fault_of_its_own_climbs_the_ladder_and_is_parked(service: Service) -> None:
    """Each rung once, counted in the headers; then the park queue, with the reason and where it came from."""
    handler = does(MessageFault("epd_refused"))
    assert await settle(service, handler) == "retried"
    for _ in LADDER_MS[1:]:
        await service.holds(QUEUE, 1)
        assert await settle_next(service, handler) == "retried"
    await service.holds(QUEUE, 1)
    assert await settle_next(service, handler) == "parked"
    assert [delay for queue, _, delay in service.broker.published] == [*LADDER_MS, 0]
    (parked,) = await service.queued(PARK)
    said: dict[str, str | int] = {"queue": QUEUE, "reason": "epd_refused", "attempt": 4, "traceparent": TRACE}
    assert parked == replace(ENVELOPE, headers=said)
    assert await service.queued(QUEUE) == []


async def test_a_final_fault_is_parked_at_once(service: Service) -> None:
    """No retry where none can help."""
    assert await settle(service, does(MessageFault("unreadable_event", final=True))) == "parked"
    (parked,) = await service.queued(PARK)
    assert (parked.headers["reason"], parked.headers["queue"]) == ("unreadable_event", QUEUE)


async def test_parking_waits_for_the_confirm(service: Service) -> None:
    """The park queue does not confirm: the message is still there, and parked at the next try."""
    service.broker.unknown.add(PARK)
    with pytest.raises(PublishUnknown):
        await settle(service, does(MessageFault("x", final=True)))
    assert await service.queued(QUEUE) == [ENVELOPE]


async def test_the_park_step_never_gives_up(service: Service) -> None:
    """However often it fails there, even finally, it stays; and it keeps whose it was and why."""
    said: dict[str, str | int] = {"queue": "file.sein.normal", "reason": "AE-204", "attempt": 4}
    handler = does(MessageFault("conflict", final=True))
    assert await settle(service, handler, replace(ENVELOPE, headers=said), PARK) == "retried"
    (again,) = await service.holds(PARK, 1)
    assert again.headers == {**said, "attempt": 5}
    assert service.broker.published[-1] == (PARK, "m1", LADDER_MS[-1])


@pytest.mark.parametrize("problem", [ValueError(SECRET_TEXT), Conflict("thread t"), KeyError(SECRET_TEXT)])
async def test_what_nobody_foresaw_is_internal(service: Service, problem: Exception) -> None:
    """It climbs the ladder as `internal`; the log says which message and where, and quotes nothing."""
    with capture_logs() as logged:
        assert await settle(service, does(problem)) == "retried"
    (again,) = await service.holds(QUEUE, 1)
    assert (again.headers["reason"], again.headers["attempt"]) == ("internal", 1)
    failed, attempt = logged
    assert (failed["event"], failed["message"], failed["queue"]) == ("step_failed", "m1", QUEUE)
    assert (attempt["event"], attempt["reason"]) == ("attempt_failed", "internal")
    assert SECRET_TEXT not in repr(logged)


async def test_deferred_waits_uncounted_and_ever_less_often(service: Service) -> None:
    """Waiting for a predecessor costs no attempt; after ten times the queue is bothered less."""
    handler = does(Deferred())
    counted = replace(ENVELOPE, headers={**ENVELOPE.headers, "attempt": 2, "deferred": 9})
    assert await settle(service, handler, counted) == "deferred"
    await service.holds(QUEUE, 1)
    assert await settle_next(service, handler) == "deferred"
    assert [delay for _, _, delay in service.broker.published] == [DEFERRAL_MS, LADDER_MS[0]]
    (waiting,) = await service.holds(QUEUE, 1)
    assert (waiting.headers["attempt"], waiting.headers["deferred"]) == (2, 11)


@pytest.mark.parametrize("header", ["attempt", "deferred"])
async def test_a_count_that_is_none_of_ours(service: Service, header: str) -> None:
    """A header that is no number counts as none: it must not end the worker."""
    strange = replace(ENVELOPE, headers={header: "many"})
    outcome: dict[str, tuple[Exception, str]] = {
        "attempt": (MessageFault("x"), "retried"),
        "deferred": (Deferred(), "deferred"),
    }
    problem, said = outcome[header]
    assert await settle(service, does(problem), strange) == said
    (again,) = await service.holds(QUEUE, 1)
    assert again.headers[header] == 1


async def test_a_crash_before_the_acknowledgement_repeats(service: Service) -> None:
    """The worker dies between publish and acknowledgement: the message comes again, and the follow-up twice."""
    handler = does([Outgoing("notify.sein", Envelope("m1", "B", b"b"))])

    async def die() -> None:
        raise asyncio.CancelledError

    service.broker.before_ack = die
    with pytest.raises(asyncio.CancelledError):
        await settle(service, handler)
    service.broker.before_ack = None
    assert await settle_next(service, handler) == "done"
    assert len(await service.queued("notify.sein")) == 2
    assert await service.queued(QUEUE) == []
