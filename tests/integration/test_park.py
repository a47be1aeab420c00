"""The park step and the mending of what is parked: nothing leaves the list unseen."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from messaging_service.application.changes import Changes
from messaging_service.application.collections import FILINGS, PARKED
from messaging_service.application.journey import Journeys
from messaging_service.application.mend import Mend, ParkedNotFound
from messaging_service.application.park import Park, ParkedMessage
from messaging_service.application.ports import Envelope
from messaging_service.application.threads import StoredMessage
from messaging_service.domain.errors import BrokerDown, Conflict, QueueMissing, StoreDown
from messaging_service.domain.events import MessageParked
from messaging_service.domain.filing import FilingState
from tests.parts.service import Service, enveloped, event_in, persisted_event

FILE_QUEUE = "file.spijkenisse.normal"


@pytest.fixture
def park(service: Service) -> Park:
    return Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)


@pytest.fixture
def mend(service: Service) -> Mend:
    return service.mend()


def given_up(message: StoredMessage, queue: str = FILE_QUEUE, reason: str = "AE-204") -> Envelope:
    """What the file step could not file."""
    return replace(enveloped(persisted_event(message)), headers={"queue": queue, "reason": reason, "attempt": 4})


async def state(service: Service, message: StoredMessage) -> FilingState:
    filing = await service.threads.filing(message.id)
    assert filing is not None
    return filing.state


async def test_parked_with_reason_owner_and_body(service: Service, park: Park, mend: Mend) -> None:
    """All that is needed to mend it is kept; the filing says so, and the portal is told."""
    message = await service.persisted()
    (told,) = await park(given_up(message))
    assert told.queue == "notify.spijkenisse"
    assert event_in(told.envelope, MessageParked) == MessageParked(
        message.id, "spijkenisse", message.thread, service.clock()
    )
    (parked,) = await mend.listed()
    assert (parked.id, parked.step, parked.reason, parked.owner) == (
        f"{message.id}.file",
        "file",
        "AE-204",
        "epd-integrator",
    )
    assert (parked.tenant, parked.thread, parked.queue) == ("spijkenisse", message.thread, FILE_QUEUE)
    assert parked.body == given_up(message).body
    assert await state(service, message) is FilingState.PARKED


async def test_a_repeat_is_parked_once(service: Service, park: Park, mend: Mend) -> None:
    """The park step's own redelivery changes nothing but says it again."""
    message = await service.persisted()
    first = await park(given_up(message))
    assert await park(given_up(message)) == first
    assert len(await mend.listed()) == 1


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(("operation", "collection"), [("insert", PARKED), ("replace", FILINGS)])
async def test_a_store_that_fails_in_between(
    service: Service, park: Park, mend: Mend, operation: str, collection: object, done: bool
) -> None:
    """At either write: the repeat ends with one parked message, its filing parked, its portal told."""
    message = await service.persisted()
    service.store.fail(operation, collection, done=done)  # type: ignore[arg-type]
    with pytest.raises(StoreDown):
        await park(given_up(message))
    assert len(await park(given_up(message))) == 1
    assert len(await mend.listed()) == 1
    assert await state(service, message) is FilingState.PARKED


async def test_what_was_filed_meanwhile_is_not_told_as_parked(service: Service, park: Park, mend: Mend) -> None:
    """A second copy was filed: the patient is not told to call, the filing stays filed."""
    message = await service.persisted()
    filing = await service.threads.filing(message.id)
    assert filing is not None
    await service.threads.change(replace(filing, state=FilingState.FILED))
    assert await park(given_up(message)) == []
    assert await state(service, message) is FilingState.FILED
    assert len(await mend.listed()) == 1


async def test_what_was_never_stored_is_told(service: Service, park: Park, mend: Mend) -> None:
    """Given up by the persist step there is no filing: listed with its sealed body, and the portal is told."""
    event = service.accepted()
    (told,) = await park(replace(enveloped(event), headers={"queue": "persist.normal", "reason": "transit_seal"}))
    assert event_in(told.envelope, MessageParked).message == event.message
    (parked,) = await mend.listed()
    assert (parked.step, parked.owner, parked.reason) == ("persist", "operations", "transit_seal")
    assert "sealed" not in repr(parked)


@pytest.mark.parametrize(("queue", "owner"), [("notify.sein", "portal-builder"), ("escalate.sein", "operations")])
async def test_an_event_that_could_not_be_told(
    service: Service, park: Park, mend: Mend, queue: str, owner: str
) -> None:
    """A portal or on-call that could not be reached stops no message: its filing goes on."""
    message = await service.persisted(tenant="sein")
    assert await park(given_up(message, queue)) == []
    assert (await mend.listed())[0].owner == owner
    assert await state(service, message) is FilingState.WAITING


@pytest.mark.parametrize("headers", [{}, {"queue": "step-of-another-version.sein"}])
@pytest.mark.parametrize("body", [b"", b"\xff", b'{"tenant": "\xff"}', b'{"tenant": 7}', b'{"x":' + b"[" * 9_999])
async def test_what_nobody_explained_is_parked_all_the_same(
    service: Service, park: Park, mend: Mend, headers: dict[str, str | int], body: bytes
) -> None:
    """A dead letter without a reason, an unknown queue, an unreadable body: it is listed under its id."""
    assert await park(Envelope("m1", "", body, headers)) == []
    (parked,) = await mend.listed()
    assert (parked.message, parked.step, parked.reason) == ("m1", "park", "delivery_limit")


async def test_replay_sends_it_through_its_step_again(service: Service, park: Park, mend: Mend) -> None:
    """Back in its own queue with its own body, uncounted; its filing waits again; off the list."""
    message = await service.persisted()
    await park(given_up(message))
    await mend.replay(f"{message.id}.file")
    (again,) = await service.queued(FILE_QUEUE)
    assert (again.body, again.message_id, again.kind) == (given_up(message).body, message.id, "MessagePersisted")
    assert again.headers == {"queue": FILE_QUEUE}
    assert await state(service, message) is FilingState.WAITING
    assert await mend.listed() == []
    with pytest.raises(ParkedNotFound, match="was replayed"):
        await mend.replay(f"{message.id}.file")


@pytest.mark.parametrize("fault", ["down", "unknown", "missing"])
async def test_a_replay_that_is_not_confirmed_stays_listed(
    service: Service, park: Park, mend: Mend, fault: str
) -> None:
    """The broker fails before or after it took it: the message is still on the list."""
    message = await service.persisted()
    await park(given_up(message, "file.gone.normal" if fault == "missing" else FILE_QUEUE))
    service.broker.down = fault == "down"
    service.broker.unknown |= {FILE_QUEUE} if fault == "unknown" else set()
    with pytest.raises(QueueMissing if fault == "missing" else BrokerDown):
        await mend.replay(f"{message.id}.file")
    service.broker.down = False
    assert len(await mend.listed()) == 1


async def test_parked_again_while_its_replay_is_marked(service: Service, park: Park, mend: Mend) -> None:
    """The step gives up on the replayed message at once: whichever write comes last, it is on the list."""
    message = await service.persisted()
    await park(given_up(message))

    async def parks_again() -> None:
        await park(given_up(message, reason="AE-205"))

    service.store.meanwhile("replace", PARKED, parks_again)
    with pytest.raises(Conflict):
        await mend.replay(f"{message.id}.file")
    (listed,) = await mend.listed()
    assert listed.reason == "AE-205"


async def test_replayed_while_it_is_parked_again(service: Service, park: Park, mend: Mend) -> None:
    """A person replays just as the park step writes it down anew: it is not lost from the list."""
    message = await service.persisted()
    await park(given_up(message))

    async def replayed() -> None:
        found = await service.store.inner.get(PARKED, f"{message.id}.file")
        assert found is not None
        await service.store.inner.replace(PARKED, {**found, "state": "replayed"})

    service.store.meanwhile("replace", PARKED, replayed)
    await park(given_up(message, reason="AE-205"))
    (listed,) = await mend.listed()
    assert (listed.reason, listed.state) == ("AE-205", "parked")


async def test_close_takes_it_off_with_a_remark(service: Service, park: Park, mend: Mend) -> None:
    """Dealt with otherwise: the filing is closed, the remark is kept, and a late copy does not file it."""
    message = await service.persisted()
    await park(given_up(message))
    await mend.close(f"{message.id}.file", "phoned")
    assert await mend.listed() == []
    assert (await mend.show(f"{message.id}.file")).remark == "phoned"
    assert await state(service, message) is FilingState.CLOSED
    with pytest.raises(ParkedNotFound, match="was closed"):
        await mend.close(f"{message.id}.file", "again")


async def test_an_unknown_id(mend: Mend) -> None:
    """Showing, replaying or closing what is not there says so."""
    for use in (mend.show("x"), mend.replay("x"), mend.close("x", "remark")):
        with pytest.raises(ParkedNotFound, match="No such parked message"):
            await use


async def test_the_list_is_oldest_first(service: Service, park: Park, mend: Mend) -> None:
    """A person sees what waits longest at the top."""
    messages = [await service.persisted(patient=str(n)) for n in range(3)]
    for message in reversed(messages):
        await park(given_up(message))
        service.clock.minutes(1)
    listed: list[ParkedMessage] = await mend.listed()
    assert [parked.message for parked in listed] == [message.id for message in reversed(messages)]


async def test_more_than_a_page_are_listed(service: Service) -> None:
    """All that are parked are listed, each once, also when hundreds came within one millisecond."""
    park = Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)
    names = [f"{n:026}" for n in range(503)]
    envelopes = [Envelope(name, "MessageFiled", b"{}", {"queue": "notify.spijkenisse"}) for name in names]
    await asyncio.gather(*(park(envelope) for envelope in envelopes))
    mend = service.mend()
    assert [parked.message for parked in await mend.listed()] == names


async def test_what_was_done_is_in_the_journey(service: Service, park: Park, mend: Mend) -> None:
    """Parked, given, replayed, parked again (told once more, as a broker may), closed: each with its time, in order."""
    message = await service.persisted()
    id = f"{message.id}.file"
    await park(given_up(message))
    for work in (mend.give(id, "epd-night-shift"), mend.replay(id)):
        service.clock.minutes(1)
        await work
    service.clock.minutes(1)
    for _ in range(2):
        await park(given_up(message, reason="AE-207"))
    service.clock.minutes(1)
    await mend.close(id, "ward telephoned")
    journeys = Journeys(
        store=service.store, threads=service.threads, changes=Changes(service.store), access_log=service.access_log
    )
    begun, facts = message.persisted_at, ("reason", "owner", "remark")
    said = [
        (
            (moment.at - begun) // 60_000,
            moment.what,
            *(moment.facts.get(fact) for fact in facts),
        )
        for moment in (await journeys(message.id)).moments
        if moment.what not in ("accepted", "persisted", "sent", "acknowledged")
    ]
    assert said == [
        (0, "parked", "AE-204", None, None),
        (1, "given", None, "epd-night-shift", None),
        (2, "replayed", None, None, None),
        (3, "parked", "AE-207", "epd-integrator", None),
        (4, "closed", None, None, "ward telephoned"),
    ]
