"""Threads, unread counts, read places, closing, privacy and cursors against a simple model: any steps in any order,
on SQLite and on a MongoDB server.

By default the same steps every time. MESSAGING_FUZZ_EXAMPLES=500 tries that many other runs.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.mongodb import MongoDocuments
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.callers import Writer
from messaging_service.application.collections import ALL
from messaging_service.application.ports import DocumentStore
from messaging_service.application.represent import NewRepresentative
from messaging_service.application.search import EVERYTHING, Search
from messaging_service.application.topology import topology
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import Deferred
from messaging_service.domain.events import MessageAccepted
from messaging_service.domain.message import Author, BodyFormat, Content, Lane
from messaging_service.domain.refusals import Malformed, Refusal
from messaging_service.domain.representative import Kind
from messaging_service.gateway.cursors import Cursors
from messaging_service.tenants import Tenant
from tests.integration.conversation_model import MOST_UNREAD, PARENT, PATIENT, TEAM, Message, Model, Thread, Walk
from tests.parts.conversation import answered, began, lead, withdrawn
from tests.parts.faulty import FaultyBroker, FaultyStore
from tests.parts.mongo import mongo_uri
from tests.parts.service import LADDER_MS, STAFF, START, MovedClock, Service, enveloped, numbers

ASKED_FOR = os.environ.get("MESSAGING_FUZZ_EXAMPLES")
MINUTE = 60_000
SUBJECTS = ("Hartfilmpje", "Recept")
whos = st.sampled_from([PATIENT, PARENT])
by_whom = st.sampled_from([PATIENT, PARENT, TEAM])
picks = st.integers(0, 1_000)
searches = st.sampled_from([EVERYTHING, EVERYTHING, Search(status="open"), Search(status="closed"), Search("recept")])


class Conversation(RuleBasedStateMachine):
    """The service and the model take the same steps, and must say the same to the patient and to who acts for them."""

    def __init__(self, run: Callable[[Awaitable[Any]], Any], service: Service, number: str) -> None:
        super().__init__()
        self.run, self.service, self.number = run, service, number
        self.cursors = Cursors(service.keyring)
        self.model, self.waiting, self.walks = Model(), list[tuple[MessageAccepted, str, bool]](), list[Walk]()
        self.began_at = service.clock()
        self.run(self._registered())

    async def _registered(self) -> None:
        account = await self.service.account(self.number)
        parent = NewRepresentative(f"parent-{self.number}", "B. Jansen", Kind.CURATOR, True, True, date(1980, 1, 1))
        await self.service.represent.register(self.tenant, account, parent, STAFF)

    @property
    def tenant(self) -> Tenant:
        return self.service.tenants["spijkenisse"]

    def who(self, who: str) -> Writer:
        own = Author(f"sub-{self.number}", PATIENT, "A. Jansen")
        author = own if who == PATIENT else Author(f"parent-{self.number}", PARENT, "B. Jansen")
        return Writer(self.tenant, numbers(self.number), author, "A. Jansen", assured=True)

    def outcome(self, work: Awaitable[Any]) -> Any:
        try:
            return self.run(work)
        except Refusal as refusal:
            return type(refusal).__name__

    def pick(self, at: int) -> Thread:
        return list(self.model.values())[at % len(self.model)]

    def message(self, at: int) -> tuple[Thread, Message]:
        every = list(self.model.everyone())
        return every[at % len(every)]

    # what comes in

    @initialize()
    def something_there(self) -> None:
        """An answered thread, a private one, and one whose opener is overtaken by an urgent message in it."""
        for private in (False, True, True):
            self.accept_first(0, SUBJECTS[private], private)
        self.accept_next(2, True)
        for waiting in (0, 0, 1):
            self.persist(waiting, False)
        for _ in range(3):
            self.reply(0)

    @rule(minutes=st.integers(0, 1), subject=st.sampled_from(SUBJECTS), private=st.booleans())
    def accept_first(self, minutes: int, subject: str, private: bool) -> None:
        """Accepted, and not stored yet; several in one millisecond."""
        self.service.clock.now += minutes * MINUTE
        content = Content(subject, "Tekst", "Tekst", BodyFormat.TEXT, BodyFormat.TEXT, "nl")
        self.waiting.append((self.service.accepted(self.number, content=content, private=private), subject, private))

    @rule(at=picks, urgent=st.booleans())
    @precondition(lambda self: self.model or self.waiting)
    def accept_next(self, at: int, urgent: bool) -> None:
        """In a thread that is stored, or still to be."""
        threads = list(dict.fromkeys([*self.model, *(event.thread for event, _, _ in self.waiting)]))
        lane = Lane.URGENT if urgent else Lane.NORMAL
        event = self.service.accepted(self.number, thread=threads[at % len(threads)], lane=lane)
        self.waiting.append((event, "", False))

    @rule(at=picks, again=st.booleans())
    @precondition(lambda self: self.waiting)
    def persist(self, at: int, again: bool) -> None:
        """In whatever order; perhaps twice. What opens a thread may come after an urgent one in it."""
        event, subject, private = self.waiting.pop(at % len(self.waiting))
        thread, opens = self.model.get(event.thread), event.thread == event.message
        if thread is None and not opens and event.lane is Lane.NORMAL:
            with pytest.raises(Deferred):
                self.run(self.service.persist(enveloped(event)))
            self.waiting.append((event, subject, private))
            return
        for _ in range(1 + again):
            self.run(self.service.persist(enveloped(event)))
        if thread is None:
            thread = self.model[event.thread] = Thread(event.thread, event.accepted_at, None)
        if opens:
            thread.subject, thread.private = subject, private if thread.private is None else thread.private
        thread.messages.append(Message(event.message, reply=False))

    @rule()
    @precondition(lambda self: len(self.model) < 6)
    def clinician_begins(self) -> None:
        reply = self.run(began(self.service, self.number))
        self.model[reply.thread] = Thread(reply.thread, self.service.clock(), False)
        self.model[reply.thread].messages.append(Message(reply.id, reply=True))

    @rule(at=picks)
    @precondition(lambda self: self.model)
    def reply(self, at: int) -> None:
        thread = self.pick(at)
        thread.messages.append(Message(self.run(answered(self.service, thread.id)).id, reply=True))

    @rule(at=picks)
    @precondition(lambda self: any(message.reply and message.shown for _, message in self.model.everyone()))
    def withdraw(self, at: int) -> None:
        shown = [message for _, message in self.model.everyone() if message.reply and message.shown]
        message = shown[at % len(shown)]
        self.run(withdrawn(self.service, message.id))
        message.shown = False

    # what people do

    @rule(who=whos, at=st.lists(picks, min_size=2, max_size=3), other=st.booleans())
    @precondition(lambda self: self.model)
    def read(self, who: str, at: list[int], other: bool) -> None:
        """Up to some messages, also backwards; one of another thread is none of this one."""
        for place in at:
            thread, message = self.message(place)
            asked = self.pick(place + 1) if other else thread
            expected: Any = "NotFound"
            if asked is thread and thread.visible(who):
                thread.read_to(who, message.id)
                expected = thread.unread(who)
            assert self.outcome(self.service.converse.read(self.who(who), asked.id, message.id)) == expected

    @rule(at=picks)
    @precondition(lambda self: self.model)
    def team_reads(self, at: int) -> None:
        thread, message = self.message(at)
        self.run(self.service.converse.read_by_team(lead(self.service), thread.id, message.id))
        thread.read_to(TEAM, message.id)

    @rule(at=picks, said=st.lists(st.tuples(by_whom, st.sampled_from(["open", "closed"])), min_size=2, max_size=3))
    @precondition(lambda self: self.model)
    def set_status(self, at: int, said: list[tuple[str, str]]) -> None:
        """Close and open, by whom it may be."""
        for by, state in said:
            self.set_status_by(by, self.pick(at), state)

    def set_status_by(self, by: str, thread: Thread, state: str) -> None:
        converse = self.service.converse
        expected = ""
        if by != TEAM and not thread.visible(by):
            expected = "NotFound"
        elif state == "open" and thread.closed_by == TEAM != by:
            expected = "ThreadClosed"
        elif state == "open" or not thread.closed_by:
            thread.closed_by = by if state == "closed" else ""
        if by == TEAM:
            found = self.outcome(converse.set_status_by_team(lead(self.service), thread.id, state))
        else:
            found = self.outcome(converse.set_status(self.who(by), thread.id, state))
        assert (found if expected else found.closed_by) == (expected or thread.closed_by)

    @rule(who=whos, at=picks, private=st.booleans())
    @precondition(lambda self: self.model)
    def hide(self, who: str, at: int, private: bool) -> None:
        thread = self.pick(at)
        found = self.outcome(self.service.reader.set_private(self.who(who), thread.id, private))
        assert found == ("Forbidden" if who == PARENT else None)
        if who == PATIENT:
            thread.private = private

    @rule(at=picks, one=picks, two=picks)
    @precondition(lambda self: self.model)
    def at_once(self, at: int, one: int, two: int) -> None:
        """Two devices read up to two messages while three replies arrive and patient and team close."""
        thread, work = self.pick(at), []
        known = [each.id for each in thread.messages]
        for place in (one, two):
            other = self.service.another().converse
            work.append(other.read(self.who(PATIENT), thread.id, known[place % len(known)]))
            thread.read_to(PATIENT, known[place % len(known)])
        arriving = [answered(self.service.another(), thread.id) for _ in range(3)]
        closing = (
            self.service.converse.set_status(self.who(PATIENT), thread.id, "closed"),
            self.service.another().converse.set_status_by_team(lead(self.service), thread.id, "closed"),
        )

        async def all_of_it() -> list[Any]:
            return await asyncio.gather(*work, *arriving, *closing)

        done = self.run(all_of_it())
        replies = sorted(done[2:5], key=lambda reply: reply.place)
        assert [reply.place for reply in replies] == [len(known) + 1, len(known) + 2, len(known) + 3]
        thread.messages += [Message(reply.id, reply=True) for reply in replies]
        assert done[5].closed_by == done[6].closed_by  # one was first, and the other changed nothing
        thread.closed_by = thread.closed_by or done[5].closed_by
        assert done[5].closed_by == thread.closed_by

    # what people see

    @rule(who=whos, search=searches, minutes=st.none() | st.tuples(st.integers(0, 4), st.integers(1, 4)))
    def look(self, who: str, search: Search, minutes: tuple[int, int] | None) -> None:
        """The list, all at once."""
        if minutes is not None:
            since = self.began_at + minutes[0] * MINUTE
            search = replace(search, since=since, until=since + minutes[1] * MINUTE)
        page = self.run(self.service.reader.search(self.who(who), search, below=None, limit=100))
        listed = self.model.listed(who, search)
        if not page.next:
            assert len(page.threads) == len(listed)
        for view, thread in zip(page.threads, listed, strict=False):
            assert (view.id, view.private) == (thread.id, thread.private is not False)
            assert (view.closed_by, view.unread) == (thread.closed_by, thread.unread(who))
            assert [message.id for message in view.messages] == thread.shown()[-1:]

    @rule(who=whos, at=picks)
    @precondition(lambda self: self.model)
    def look_in(self, who: str, at: int) -> None:
        thread = self.pick(at)
        found = self.outcome(self.service.reader.thread(self.who(who), thread.id))
        if not thread.visible(who) or not thread.shown():
            assert found == "NotFound"
            return
        assert [message.id for message in found.messages] == thread.shown()
        assert [message.read_by_team for message in found.messages] == thread.read_by_team()
        assert (found.unread, found.next, found.closed_by) == (thread.unread(who), 0, thread.closed_by)

    @rule(who=whos, limit=st.integers(1, 3), search=searches)
    def begin_list(self, who: str, limit: int, search: Search) -> None:
        """Somebody begins to page through the list; other steps come in between."""
        self.walks.append(Walk(who, limit, search))

    @rule(who=whos, limit=st.integers(1, 3), at=picks)
    @precondition(lambda self: self.model)
    def begin_thread(self, who: str, limit: int, at: int) -> None:
        if self.pick(at).visible(who) and self.pick(at).shown():
            self.walks.append(Walk(who, limit, EVERYTHING, self.pick(at)))

    @rule(at=picks)
    @precondition(lambda self: self.walks)
    def turn_the_page(self, at: int) -> None:
        walk = self.walks.pop(at % len(self.walks))
        about = ("thread", walk.thread.id) if walk.thread else ("threads", str(walk.search))
        place = self.cursors.read(self.who(walk.who), walk.cursor, *about) if walk.cursor else None
        if walk.thread:
            asked = self.service.reader.thread(
                self.who(walk.who), walk.thread.id, above=int(place or 0), limit=walk.limit
            )
        else:
            asked = self.service.reader.search(self.who(walk.who), walk.search, below=place, limit=walk.limit)
        found = self.outcome(asked)
        if found == "NotFound":  # hidden meanwhile, or all was withdrawn
            assert not walk.listed(self.model)
            return
        page = [each.id for each in (found.messages if walk.thread else found.threads)]
        assert len(page) <= walk.limit
        walk.turned(page, self.model)
        if not found.next:
            walk.ended()
            return
        walk.cursor = self.cursors.make(self.who(walk.who), str(found.next), *about)
        self.made_up(walk, *about)
        self.walks.append(walk)

    def made_up(self, walk: Walk, *about: str) -> None:
        """The cursor with one sign changed, of another person, and for another list: none is one."""
        own, other, cursor = self.who(walk.who), self.who(PARENT if walk.who == PATIENT else PATIENT), str(walk.cursor)
        changed = ("1" if cursor[0] != "1" else "2") + cursor[1:]
        for who, given, asked in ((own, changed, about), (other, cursor, about), (own, cursor, (*about, "more"))):
            with pytest.raises(Malformed):
                self.cursors.read(who, given, *asked)

    @invariant()
    def what_left_a_list_is_not_owed(self) -> None:
        for walk in self.walks:
            walk.still(walk.listed(self.model))

    def teardown(self) -> None:
        """Everybody pages to the end, and all is looked at once more."""
        while self.walks:
            self.turn_the_page(0)
        for who in (PATIENT, PARENT):
            self.look(who, EVERYTHING, None)
        for at in range(len(self.model)):
            self.look_in(PATIENT, at)


@pytest.fixture(params=["sqlite", "mongodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DocumentStore]:
    """A store, not open."""
    if request.param == "sqlite":
        yield SqliteDocuments(tmp_path / "documents.sqlite")
        return
    with mongo_uri(tmp_path) as uri:
        yield MongoDocuments(uri, f"model_{tmp_path.name}"[:60])


def test_conversations(
    store: DocumentStore, tenants: dict[str, Tenant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After any steps everybody sees what the model says, counts and pages included; what was made up is refused."""
    monkeypatch.setattr("messaging_service.adapters.mongodb._ANSWER_MS", 60_000)  # a busy machine is no fault here
    monkeypatch.setattr("messaging_service.application.search.MOST_LOOKED_AT", 3)
    monkeypatch.setattr("messaging_service.application.reads.MOST_UNREAD", MOST_UNREAD)
    broker = FaultyBroker(EmbeddedBroker(tmp_path / "queue.sqlite"))
    keyring = Keyring.create(tmp_path / "keyring.json", list(tenants))
    service = Service(FaultyStore(store), broker, tenants, keyring, MovedClock(START))
    numbers = count(1_000)
    with asyncio.Runner() as loop:
        loop.run(store.open(ALL))
        loop.run(broker.open())
        loop.run(broker.declare(topology(tenants, LADDER_MS)))
        try:
            run_state_machine_as_test(  # type: ignore[no-untyped-call]
                lambda: Conversation(loop.run, service, str(next(numbers))),
                settings=settings(
                    max_examples=int(ASKED_FOR or 5),
                    derandomize=ASKED_FOR is None,
                    stateful_step_count=50 if ASKED_FOR else 30,
                    deadline=None,
                    database=None,
                    phases=tuple(Phase) if ASKED_FOR else (Phase.generate,),
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            loop.run(broker.close())
            loop.run(store.close())
