"""Reading: a patient's own messages, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from messaging_service.application.callers import Writer
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.park import Park
from messaging_service.application.read import Reader, is_urgent
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Author, Lane, State
from messaging_service.domain.refusals import AccountBlocked, NotFound
from tests.parts.service import SECRET_TEXT, STAFF, Service, enveloped, numbers

Who = Callable[..., Writer]


@pytest.fixture
def reader(service: Service) -> Reader:
    return service.reader


@pytest.fixture
def who(service: Service) -> Who:
    def writer(patient: str = "1234", tenant: str = "spijkenisse") -> Writer:
        author = Author(f"sub-{patient}", "patient", "A. Jansen")
        return Writer(service.tenants[tenant], numbers(patient), author, "A. Jansen", assured=True)

    return writer


async def test_right_after_its_acceptance_it_is_there(service: Service, reader: Reader, who: Who) -> None:
    """Before any worker saw it: accepted, as a message and as a thread; the id alone proves whose it is."""
    id = service.message_id()
    view = await reader.message(who(), id)
    assert (view.id, view.thread, view.state, view.submission) == (id, id, State.ACCEPTED, None)
    thread = await reader.thread(who(), id)
    assert [(m.id, m.state) for m in thread.messages] == [(id, State.ACCEPTED)]


async def test_parked_or_closed_before_it_was_stored(service: Service, reader: Reader, who: Who) -> None:
    """The persist step gave it up: its writer sees that, and that a person closed it, as message and as thread."""
    event = service.accepted()
    park = Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)
    mend = service.mend()
    await park(replace(enveloped(event), headers={"queue": "persist.normal", "reason": "transit_seal"}))
    assert (await reader.message(who(), event.message)).state is State.PARKED
    assert (await reader.thread(who(), event.message)).messages[0].state is State.PARKED
    await mend.close(f"{event.message}.persist", "phoned")
    assert (await reader.message(who(), event.message)).state is State.CLOSED


@pytest.mark.parametrize(
    ("filed", "shown"),
    [
        (FilingState.WAITING, State.PERSISTED),
        (FilingState.SENDING, State.PERSISTED),
        (FilingState.UNKNOWN, State.PERSISTED),
        (FilingState.DELIVERED, State.DELIVERED),
        (FilingState.PARKED, State.PARKED),
        (FilingState.CLOSED, State.CLOSED),
    ],
)
async def test_how_far_it_is(service: Service, reader: Reader, who: Who, filed: FilingState, shown: State) -> None:
    """The filing's state in the writer's words; the text as it was typed."""
    stored = await service.persisted()
    filing = await service.threads.filing(stored.id)
    assert filing is not None
    await service.threads.change(replace(filing, state=filed))
    view = await reader.message(who(), stored.id)
    assert (view.state, view.filed_at) == (shown, 0)
    assert view.submission is not None
    assert view.submission.content.typed == SECRET_TEXT


async def test_filed_says_when(service: Service, reader: Reader, who: Who) -> None:
    """The time is that of the acknowledgement."""
    stored = await service.persisted(lane=Lane.URGENT)
    filing = await service.threads.filing(stored.id)
    assert filing is not None
    sent = filing.sending(service.clock())
    answer = replace(sent.attempts[-1], code="AA", acknowledged_at=service.clock() + 5)
    await service.threads.change(sent.answered(answer, FilingState.FILED))
    view = await reader.message(who(), stored.id)
    assert (view.state, view.filed_at) == (State.FILED, service.clock() + 5)
    assert is_urgent(view)


async def test_somebody_elses_does_not_exist(service: Service, reader: Reader, who: Who) -> None:
    """Another patient's, the same number at another tenant, an id never issued: not found, stored or not."""
    stored, queued = await service.persisted(), service.message_id()
    for stranger in (who("9999"), who(tenant="sein")):
        for id in (stored.id, queued, "made-up", ""):
            for read in (reader.message, reader.thread):
                with pytest.raises(NotFound):
                    await read(stranger, id)
        assert await reader.threads(stranger, below=None, limit=10) == []


async def test_a_strangers_reading_leaves_no_trace_of_a_patient(service: Service, reader: Reader, who: Who) -> None:
    """Nothing was read, so nothing is logged as read; and no patient is made."""
    stored = await service.persisted()
    before = len(await service.all(ACCESS_LOG, "of_patient", patient=stored.patient))
    with pytest.raises(NotFound):
        await reader.message(who("9999"), stored.id)
    assert len(await service.all(ACCESS_LOG, "of_patient", patient=stored.patient)) == before
    assert await service.patients.find("spijkenisse", numbers("9999")) is None


async def test_a_thread_in_order(service: Service, reader: Reader, who: Who) -> None:
    """All messages of a thread by place, each with its own state."""
    first = await service.persisted()
    rest = [await service.persisted(thread=first.thread) for _ in range(3)]
    view = await reader.thread(who(), first.thread)
    assert [message.id for message in view.messages] == [first.id, *(each.id for each in rest)]
    assert view.opened_at == first.accepted_at


async def test_an_answer_is_no_thread(service: Service, reader: Reader, who: Who) -> None:
    """The id of a later message names no conversation of its own."""
    first = await service.persisted()
    second = await service.persisted(thread=first.thread)
    with pytest.raises(NotFound):
        await reader.thread(who(), second.id)


async def test_threads_newest_first_each_with_its_last(service: Service, reader: Reader, who: Who) -> None:
    """Paged by order, with the last message of each."""
    threads = []
    for _ in range(3):
        threads.append(await service.persisted())
        service.clock.minutes(1)
    answer = await service.persisted(thread=threads[0].thread)
    page = await reader.threads(who(), below=None, limit=2)
    rest = await reader.threads(who(), below=page[-1].order, limit=2)
    assert [view.id for view in (*page, *rest)] == [message.id for message in reversed(threads)]
    assert rest[-1].messages[0].id == answer.id


async def test_a_blocked_account_reads_nothing(service: Service, reader: Reader, who: Who) -> None:
    """Blocked by staff: neither messages nor threads, and no reason; opened again, all is there."""
    stored = await service.persisted()
    tenant, account = service.tenants["spijkenisse"], await service.account()
    await service.administer.block(tenant, account, STAFF)
    for attempt in (
        reader.message(who(), stored.id),
        reader.thread(who(), stored.thread),
        reader.threads(who(), below=None, limit=10),
    ):
        with pytest.raises(AccountBlocked):
            await attempt
    await service.administer.unblock(tenant, account, STAFF)
    assert (await reader.message(who(), stored.id)).id == stored.id


async def test_every_reading_is_logged_under_a_pseudonym(service: Service, reader: Reader, who: Who) -> None:
    """Message, thread and list: one entry each, with a keyed digest of the reader's account and no text."""
    stored = await service.persisted()
    await reader.message(who(), stored.id)
    await reader.thread(who(), stored.thread)
    await reader.threads(who(), below=None, limit=10)
    entries = [
        entry
        for entry in await service.all(ACCESS_LOG, "of_patient", patient=stored.patient)
        if entry["action"] == "read"
    ]
    assert [(entry["object_kind"], entry["object"]) for entry in sorted(entries, key=lambda e: e["number"])] == [
        ("message", stored.id),
        ("thread", stored.thread),
        ("threads", ""),
    ]
    assert all(len(entry["actor"]) == 64 for entry in entries)
    assert "sub-1234" not in repr(entries)
    assert SECRET_TEXT not in repr(entries)


async def test_what_cannot_be_logged_is_not_shown(service: Service, reader: Reader, who: Who) -> None:
    """The access log cannot be written: the text does not go out."""
    stored = await service.persisted()
    service.store.fail("insert", ACCESS_LOG)
    with pytest.raises(StoreDown):
        await reader.message(who(), stored.id)
