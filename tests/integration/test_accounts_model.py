"""Accounts and representatives against a simple model: any steps in any order, over the real store.

By default the same steps every time. MESSAGING_FUZZ_EXAMPLES=500 tries that many other runs.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from messaging_service.adapters.embedded_queue import EmbeddedBroker
from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.callers import Writer
from messaging_service.application.collections import ALL, CARE
from messaging_service.application.represent import NewRepresentative
from messaging_service.config import load_tenants
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.message import Author
from messaging_service.domain.refusals import Refusal
from messaging_service.domain.representative import Kind
from messaging_service.tenants import AccountRules, RepresentativeRules, TermsVersion
from tests.integration.conftest import ADDRESSES, SHIPPED
from tests.parts.faulty import FaultyBroker, FaultyStore
from tests.parts.service import STAFF, MovedClock, Service, numbers

ZONE = ZoneInfo("Europe/Amsterdam")
START = int(datetime(2026, 5, 30, 12, tzinfo=ZONE).timestamp() * 1000)
BORN = date(2014, 7, 1)
DAY = 86_400_000
TERMS = TermsVersion(version="1", since=date(2018, 5, 25), texts={"nl": "https://terms.example/1"})
SHIPPED_TENANT = load_tenants(SHIPPED, ADDRESSES)["spijkenisse"]
ASKED_FOR = os.environ.get("MESSAGING_FUZZ_EXAMPLES")
subjects = st.sampled_from(["a", "b", "c"])
people = st.sampled_from(["patient", "a", "b", "c"])


@dataclass
class Acting:
    """A representative in the model."""

    subject: str
    parent: bool
    ended: bool = False
    suspended: bool = False
    allowed: bool = False


@dataclass
class Model:
    """What an account should be, in the plainest words. At most two representatives, who sign and are first contact."""

    today: date
    closed: str = ""
    blocked: bool = False
    used: bool = False
    over: date | None = None
    told_over: date | None = None
    born_known: bool = False
    accepted: set[str] = field(default_factory=set)
    acting: list[Acting] = field(default_factory=list)

    @property
    def age(self) -> int:
        return self.today.year - BORN.year - ((self.today.month, self.today.day) < (BORN.month, BORN.day))

    def run_out(self, over: date | None) -> bool:
        return over is not None and self.today >= over + timedelta(days=28)

    def settle(self) -> None:
        if not self.closed and self.run_out(self.over):
            self.close("clock")

    def close(self, by: str) -> None:
        if not self.closed:
            self.closed, self.used, self.over = by, False, None
            self.accepted = set()
            for each in self.acting:
                each.ended = True

    def standing(self, each: Acting) -> str:
        if each.ended or (each.parent and self.age >= 16):
            return "ended"
        if each.suspended:
            return "suspended"
        return "awaiting_consent" if each.parent and self.age >= 12 and not each.allowed else "active"

    def last(self, subject: str) -> Acting | None:
        return next((each for each in reversed(self.acting) if each.subject == subject), None)

    def counted(self) -> list[Acting]:
        return [each for each in self.acting if self.standing(each) != "ended"]

    def refused(self, who: str, *, even_blocked: bool = False, terms: bool = True) -> str:
        """The name of the refusal, "" when let in."""
        if self.closed:
            return "AccountClosed"
        if self.blocked and not even_blocked:
            return "AccountBlocked"
        if who == "patient":
            if self.born_known and self.age < 12:
                return "TooYoung"
        else:
            own = self.last(who)
            if own is None or self.standing(own) != "active":
                return "NotRepresentative"
        return "TermsNotAccepted" if terms and who not in self.accepted else ""

    @property
    def state(self) -> str:
        if self.closed:
            return "closed"
        if self.blocked:
            return "blocked"
        if not self.used:
            return "invited"
        return "closing" if self.over else "open"


class Accounts(RuleBasedStateMachine):
    """The service and the model take the same steps; after each they must say the same of everybody."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        self.tenant = msgspec.structs.replace(
            SHIPPED_TENANT,
            accounts=AccountRules(opening="hospital"),
            representatives=RepresentativeRules(most=2, must_sign_care_plan=True),
            terms=(TERMS,),
        )
        self.store = FaultyStore(SqliteDocuments(folder / "documents.sqlite"))
        self.clock = MovedClock(START)
        tenants = {self.tenant.id: self.tenant}
        keyring = Keyring.create(folder / "keyring.json", list(tenants))
        broker = FaultyBroker(EmbeddedBroker(folder / "queue.sqlite"))
        self.service = Service(self.store, broker, tenants, keyring, self.clock)
        self.model = Model(date(2026, 5, 30))
        self.run(self.store.open(ALL))
        self.id = self.run(self.service.account())

    def run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    def outcome(self, work: Awaitable[Any]) -> str:
        try:
            self.run(work)
        except Refusal as refusal:
            return type(refusal).__name__
        return ""

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
        self.folder.cleanup()

    def who(self, who: str) -> Writer:
        author = Author("own", "patient", "A") if who == "patient" else Author(who, "representative", "")
        return Writer(self.tenant, numbers("1234"), author, "A", assured=True)

    def id_of(self, subject: str) -> str:
        """The id of the newest representative of a subject; one that is nobody's when there is none."""
        account = self.run(self.service.accounts.get(self.tenant, self.id))
        actor = self.service.accounts.actor(self.tenant.id, subject)
        return next((each.id for each in reversed(account.representatives) if each.actor == actor), "nobody")

    @rule(days=st.sampled_from([1, 10, 27, 28, 200, 900]))
    def time_passes(self, days: int) -> None:
        self.model.today += timedelta(days=days)
        at = datetime.combine(self.model.today, datetime.min.time().replace(hour=12), ZONE)
        self.clock.now = int(at.timestamp() * 1000)
        self.model.settle()

    @rule()
    def worker(self) -> None:
        self.run(self.service.close_accounts())

    @rule()
    def block(self) -> None:
        self.run(self.service.administer.block(self.tenant, self.id, STAFF))
        self.model.blocked = True

    @rule()
    def unblock(self) -> None:
        self.run(self.service.administer.unblock(self.tenant, self.id, STAFF))
        self.model.blocked = False

    @rule()
    def close(self) -> None:
        self.run(self.service.administer.close(self.tenant, self.id, STAFF))
        self.model.close("hospital")

    @rule(who=people)
    def close_own(self, who: str) -> None:
        expected = self.model.refused(who, even_blocked=True, terms=False)
        assert self.outcome(self.service.administer.close_own(self.who(who))) == expected
        own = self.model.last(who)
        if not expected and own is not None:
            own.ended = True
        elif not expected:
            self.model.close("request")

    @rule()
    def open(self) -> None:
        model = self.model
        expected = "AccountClosed" if model.closed and model.run_out(model.told_over) else ""
        opening = self.service.administer.open(self.tenant, numbers("1234"), "A", STAFF)
        assert self.outcome(opening) == expected
        if model.closed and not expected:
            model.closed, model.over = "", model.told_over

    @rule(days_ago=st.sampled_from([None, None, 0, 5, 27, 28, 40]))
    def epd_tells(self, days_ago: int | None) -> None:
        over = None if days_ago is None else self.model.today - timedelta(days=days_ago)
        at = 0 if over is None else int(datetime(over.year, over.month, over.day, 12, tzinfo=ZONE).timestamp() * 1000)
        self.run(self._told(at))
        model = self.model
        model.told_over = over
        if not model.closed:
            model.over = over
            model.settle()
        elif over is None and model.closed == "clock":
            model.closed = ""

    async def _told(self, at: int) -> None:
        care = {"id": self.id, "tenant": self.tenant.id, "deceased_at": 0, "care_ended_at": at, "next_appointment": 0}
        known = await self.store.get(CARE, self.id)
        if known is None:
            await self.store.insert(CARE, [care])
        else:
            await self.store.replace(CARE, {**care, "version": known["version"]})
        await self.service.close_accounts.care_changed(self.tenant, self.id)

    @rule(subject=subjects, parent=st.booleans())
    def register(self, subject: str, parent: bool) -> None:
        model, counted = self.model, self.model.counted()
        known = any(each.subject == subject for each in counted)
        expected = "AccountClosed" if model.closed else ""
        if not expected and not known:
            expected = "RepresentativesFull" if len(counted) >= 2 else ""
            expected = expected or ("RepresentativeUnfit" if parent and model.age >= 16 else "")
        kind = Kind.PARENT if parent else Kind.CURATOR
        new = NewRepresentative(subject, "W", kind, True, True, BORN if parent else None)
        assert self.outcome(self.service.represent.register(self.tenant, self.id, new, STAFF)) == expected
        if not expected:
            model.born_known |= parent
            if not known:
                model.acting.append(Acting(subject, parent))

    @rule(subject=subjects)
    def end(self, subject: str) -> None:
        own = self.model.last(subject)
        ending = self.service.represent.end(self.tenant, self.id, self.id_of(subject), STAFF)
        assert self.outcome(ending) == ("" if own else "NotFound")
        if own is not None:
            own.ended = True

    @rule(subject=subjects)
    def suspend(self, subject: str) -> None:
        own = self.model.last(subject)
        suspending = self.service.represent.suspend(self.tenant, self.id, self.id_of(subject), STAFF)
        assert self.outcome(suspending) == ("" if own else "NotFound")
        if own is not None:
            own.suspended = True

    @rule(subject=subjects, so=st.booleans())
    def confirm(self, subject: str, so: bool) -> None:
        own = self.model.last(subject)
        gone = own is not None and self.model.standing(own) == "ended"
        expected = "NotFound" if own is None else "RepresentativeUnfit" if gone else ""
        which = self.id_of(subject)
        saying = self.service.represent.confirm(
            self.tenant, self.id, which, signs_care_plan=True, first_contact=so, by=STAFF
        )
        assert self.outcome(saying) == expected
        if own is not None and not expected:
            own.suspended = not so

    @rule(subject=subjects, given=st.booleans())
    def consent(self, subject: str, given: bool) -> None:
        own, model = self.model.last(subject), self.model
        expected = model.refused("patient")
        if not expected:
            fit = own is not None and own.parent and 12 <= model.age < 16
            expected = "NotFound" if own is None else "" if fit else "RepresentativeUnfit"
        consenting = self.service.represent.consent(self.who("patient"), self.id_of(subject), given)
        assert self.outcome(consenting) == expected
        if own is not None and not expected:
            own.allowed = given

    @rule(who=people)
    def accept(self, who: str) -> None:
        expected = self.model.refused(who, even_blocked=True, terms=False)
        expected = expected or ("AccountBlocked" if self.model.blocked else "")
        assert self.outcome(self.service.accept_terms.accept(self.who(who), "1", "nl")) == expected
        if not expected:
            self.model.accepted.add(who)
            self.model.used = True

    @rule(who=people)
    def write(self, who: str) -> None:
        expected = self.model.refused(who)
        assert self.outcome(self.service.accounts.enter(self.who(who), writing=True)) == expected
        self.model.used |= not expected

    @invariant()
    def the_same_is_said_of_everybody(self) -> None:
        view = self.run(self.service.administer.show(self.tenant, self.id, STAFF))
        assert view.state == self.model.state
        assert [each.standing for each in view.representatives] == [
            self.model.standing(each) for each in self.model.counted()
        ]
        assert len(view.representatives) <= 2
        for who in ("patient", "a", "b", "c"):
            entering = self.service.accounts.enter(self.who(who), writing=False)
            assert self.outcome(entering) == self.model.refused(who), who


Accounts.TestCase.settings = settings(
    max_examples=int(ASKED_FOR or 25),
    derandomize=ASKED_FOR is None,
    stateful_step_count=30,
    deadline=None,
    phases=tuple(Phase) if ASKED_FOR else (Phase.generate,),  # the quick form says which steps, and shrinks nothing
)
TestAccounts = Accounts.TestCase
