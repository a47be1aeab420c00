"""Read places, closing, recipients and search: what is done with a thread besides writing in it."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec
import pytest

from messaging_service.application.collections import MESSAGES, READS, THREADS
from messaging_service.application.search import EVERYTHING, Search
from messaging_service.application.threads import CLOSED, OPEN
from messaging_service.domain.refusals import Forbidden, NotFound, ThreadClosed
from messaging_service.tenants import Receipts
from tests.parts.conversation import answered, lead, patient, withdrawn, wrote
from tests.parts.service import START, Service


async def test_unread_counts_replies_that_are_shown(service: Service) -> None:
    """Own messages and withdrawn replies do not count, another reader's place does not, and none goes backwards."""
    who, other = patient(service), patient(service, "5678")
    thread = await wrote(service)
    first, second = await answered(service, thread), await answered(service, thread)
    assert [(await service.reader.thread(who, thread)).unread, await _unread_in_list(service)] == [2, 2]
    assert await service.converse.read(who, thread, first.id) == 1
    await wrote(service, thread)
    assert await service.converse.read(who, thread, thread) == 1
    await withdrawn(service, second.id)
    assert await _unread_in_list(service) == 0
    third = await answered(service, thread)
    assert await _unread_in_list(service) == 1
    await service.converse.read(who, thread, third.id)
    assert await _unread_in_list(service) == 0
    with pytest.raises(NotFound):
        await service.converse.read(other, thread, thread)
    with pytest.raises(NotFound):
        await service.converse.read(who, thread, await wrote(service))


async def _unread_in_list(service: Service) -> int:
    (first, *_) = (await service.reader.search(patient(service), EVERYTHING, below=None, limit=1)).threads
    return first.unread


async def test_two_read_receipts_at_once_end_at_the_farther_place(service: Service) -> None:
    """Two devices say read, up to different messages, and meet at the first write and at a later one."""
    who, thread = patient(service), await wrote(service)
    replies = [await answered(service, thread) for _ in range(4)]
    for earlier, later in ((0, 1), (2, 3)):

        async def meanwhile(later: int = later) -> None:
            await service.another().converse.read(who, thread, replies[later].id)

        service.store.meanwhile("insert" if earlier == 0 else "replace", READS, meanwhile)
        assert await service.converse.read(who, thread, replies[earlier].id) == 3 - later
    messages = (thread, *(reply.id for reply in replies))
    await asyncio.gather(*(service.converse.read(who, thread, id) for id in messages))
    (one,) = await service.converse.receipts(lead(service), thread)
    assert (one.role, one.place) == ("patient", 5)


async def test_receipts_only_where_the_hospital_says(service: Service) -> None:
    """The patient sees what the team read, and the team what the patient did; neither where the hospital shows none."""
    who, thread = patient(service), await wrote(service)
    later = await wrote(service, thread)
    await service.converse.read_by_team(lead(service), thread, thread)
    shown = (await service.reader.thread(who, thread)).messages
    assert [view.read_by_team for view in shown] == [True, False]
    assert await service.converse.receipts(lead(service), thread) == []
    with pytest.raises(NotFound):
        await service.converse.read_by_team(lead(service), thread, service.message_id())
    own = service.tenants["spijkenisse"]
    service.tenants["spijkenisse"] = msgspec.structs.replace(own, receipts=Receipts())
    for refused in (
        service.converse.read_by_team(lead(service), thread, later),
        service.converse.receipts(lead(service), thread),
    ):
        with pytest.raises(Forbidden):
            await refused
    shown = (await service.reader.thread(patient(service), thread)).messages
    assert [view.read_by_team for view in shown] == [False, False]


async def test_close_and_reopen(service: Service) -> None:
    """The patient's side opens what it closed, and never what the care team closed; a repeat changes nothing."""
    who, thread, converse = patient(service), await wrote(service), service.converse
    closed = await converse.set_status(who, thread, CLOSED)
    assert (closed.state, closed.closed_by, closed.closed_at) == (CLOSED, "patient", START)
    service.clock.minutes(1)
    assert (await converse.set_status(who, thread, CLOSED)).closed_at == START
    again = await converse.set_status(who, thread, OPEN)
    assert (again.state, again.closed_by, again.closed_at) == (OPEN, "", 0)
    assert (await converse.set_status_by_team(lead(service), thread, CLOSED)).closed_by == "care_team"
    with pytest.raises(ThreadClosed):
        await converse.set_status(who, thread, OPEN)
    assert (await converse.set_status_by_team(lead(service), thread, OPEN)).state == OPEN
    for nobody in (
        converse.set_status(patient(service, "5678"), thread, CLOSED),
        converse.set_status_by_team(lead(service, "sein"), thread, CLOSED),
    ):
        with pytest.raises(NotFound):
            await nobody


async def test_what_was_accepted_before_a_thread_closed_is_kept(service: Service) -> None:
    """The patient closes while a message is on its way, and a reply comes after: both appear in it, closed."""
    who, thread = patient(service), await wrote(service)

    async def close() -> None:
        await service.another().converse.set_status(who, thread, CLOSED)

    service.store.meanwhile("insert", MESSAGES, close)
    on_its_way = await wrote(service, thread)
    reply = await answered(service, thread)
    shown = await service.reader.thread(who, thread)
    assert (shown.state, [view.id for view in shown.messages]) == (CLOSED, [thread, on_its_way, reply.id])


async def test_close_and_reopen_at_once(service: Service) -> None:
    """Staff close between the patient's look and write: the patient's change is made anew over what is there then."""
    thread = await wrote(service)

    async def close() -> None:
        await service.another().converse.set_status_by_team(lead(service), thread, CLOSED)

    service.store.meanwhile("replace", THREADS, close)
    kept = await service.converse.set_status(patient(service), thread, CLOSED)
    assert kept.closed_by == "care_team"


async def test_a_reopening_never_undoes_what_the_team_closed_meanwhile(service: Service) -> None:
    """The patient opens their own closed thread while the team opens and closes it: it stays the team's."""
    who, thread = patient(service), await wrote(service)
    await service.converse.set_status(who, thread, CLOSED)

    async def close() -> None:
        other = service.another().converse
        await other.set_status_by_team(lead(service), thread, OPEN)
        await other.set_status_by_team(lead(service), thread, CLOSED)

    service.store.meanwhile("replace", THREADS, close)
    with pytest.raises(ThreadClosed):
        await service.converse.set_status(who, thread, OPEN)
    stored = await service.threads.thread(thread)
    assert stored is not None
    assert (stored.state, stored.closed_by) == (CLOSED, "care_team")


async def test_search_by_subject_day_and_status(service: Service) -> None:
    """Words in any order, whatever case and accents; days in the hospital's zone; open or closed; all three."""
    who, threads = patient(service), {}
    for name, subject, at in (
        ("a", "Vraag over café en hartfilmpje", "2026-05-30T23:59"),
        ("b", "Hartfilmpje van maandag", "2026-05-31T00:00"),
        ("c", "Recept", "2026-06-01T12:00"),
    ):
        zone = who.tenant.zone
        service.clock.now = int(datetime.fromisoformat(at).replace(tzinfo=zone).timestamp() * 1000)
        threads[name] = await wrote(service, subject=subject)
    await service.converse.set_status(who, threads["b"], CLOSED)
    midnight = int(datetime(2026, 5, 31, tzinfo=who.tenant.zone).timestamp() * 1000)
    for search, expected in (
        (Search(subject="HARTFILMPJE"), "ba"),
        (Search(subject="hart cafe"), "a"),
        (Search(subject="nergens"), ""),
        (Search(status=CLOSED), "b"),
        (Search(status=OPEN), "ca"),
        (Search(since=midnight), "cb"),
        (Search(until=midnight), "a"),
        (Search(since=midnight, until=midnight + 86_400_000), "b"),
        (Search("hartfilmpje", OPEN, 0, midnight), "a"),
    ):
        page = await service.reader.search(who, search, below=None, limit=10)
        assert [view.id for view in page.threads] == [threads[name] for name in expected], search
        assert page.next == ""


async def test_a_search_is_bounded_and_goes_on(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """One needle under more threads than a request looks at: pages without it, then it, and nothing twice."""
    monkeypatch.setattr("messaging_service.application.search.MOST_LOOKED_AT", 3)
    needles = [await wrote(service, subject="Naald") for _ in range(2)]
    for _ in range(7):
        service.clock.minutes(1)
        await wrote(service)
    seen, below, pages = [], None, 0
    while below is None or below:
        page = await service.reader.search(patient(service), Search("naald"), below=below, limit=1)
        seen += [view.id for view in page.threads]
        below, pages = page.next, pages + 1
    assert sorted(seen) == sorted(needles)
    assert pages <= 5


async def test_a_long_thread_pages_while_messages_arrive(service: Service) -> None:
    """Three at a time through seven messages, two more arriving on the way: each once, in order."""
    who, thread = patient(service), await wrote(service)
    ids = [thread, *[await wrote(service, thread) for _ in range(6)]]
    seen, above = [], 0
    while True:
        page = await service.reader.thread(who, thread, above=above, limit=3)
        seen += [view.id for view in page.messages]
        if len(ids) < 9:
            ids.append(await wrote(service, thread))
        if not page.next:
            break
        above = page.next
    assert seen == ids


async def test_recipients_are_what_routing_does(service: Service) -> None:
    """Departments with the team that would read it now; a patient whom nobody treats has none without first contact."""
    who, tenant = patient(service), service.tenants["spijkenisse"]
    found = await service.recipients(who)
    assert [one.department for one in found] == ["", *(each.code for each in tenant.routing.departments)]
    assert not any(one.treats for one in found)
    strict = msgspec.structs.replace(tenant.routing, first_contact=False)
    service.tenants["spijkenisse"] = msgspec.structs.replace(tenant, routing=strict)
    assert await service.recipients(patient(service)) == []
    await service.relations.begin(tenant, who.identifiers, "A. Jansen", "cardiology", START - 1)
    found = await service.recipients(patient(service))
    team = tenant.routing.team("cardiology")
    assert team is not None
    assert (found[0].care_team, found[0].treats) == (team.name, True)
