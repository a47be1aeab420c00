"""Accounts, representatives and terms over the store: who gets in, at once, and what races end in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from messaging_service.application.accounts import Accounts
from messaging_service.application.callers import Writer
from messaging_service.application.codec import to_document
from messaging_service.application.collections import ACCEPTANCES, ACCESS_LOG, ACCOUNTS, CARE, PATIENTS, RELATIONS
from messaging_service.application.merge import Merges
from messaging_service.application.submit import AfterReading
from messaging_service.domain.account import AccountState
from messaging_service.domain.errors import MessageFault
from messaging_service.domain.message import Lane
from messaging_service.domain.refusals import (
    AccountBlocked,
    AccountClosed,
    AccountNotOpened,
    Forbidden,
    NotFound,
    NoTreatmentRelation,
    NotRepresentative,
    RepresentativesFull,
    RepresentativeUnfit,
    TermsNotAccepted,
    TermsUnknown,
    TooYoung,
)
from messaging_service.domain.representative import Kind, Standing
from messaging_service.tenants import AccountRules, RepresentativeRules, TermsVersion
from tests.parts.portal import URGENT, Portal
from tests.parts.service import STAFF, Service, enveloped, numbers

ZONE = ZoneInfo("Europe/Amsterdam")
V1 = TermsVersion(version="1", since=date(2018, 5, 25), texts={"nl": "https://terms.example/1"})
V2 = TermsVersion(version="2", since=date(2026, 6, 1), texts={"nl": "https://terms.example/2"})


def ms(text: str) -> int:
    """A moment in the hospital's zone."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


@pytest.fixture
def portal(service: Service) -> Portal:
    service.clock.now = ms("2026-05-30T12:00")
    return Portal(service)


def set_up(portal: Portal, **changes: object) -> None:
    """Change the tenant's settings."""
    portal.service.tenants[portal.id] = msgspec.structs.replace(portal.tenant, **changes)


async def refused(attempt: Awaitable[object], why: type[Exception]) -> None:
    """A post is refused for this reason, after its text was read."""
    with pytest.raises(AfterReading) as found:
        await attempt
    assert type(found.value.cause) is why


async def test_a_known_patient_costs_two_looks_at_once(portal: Portal) -> None:
    """From the second message on: the identifier and the account, side by side, and nothing else is asked."""
    await portal.post(portal.patient())
    portal.service.store.calls.clear()
    await portal.post(portal.patient())
    assert sorted(portal.service.store.calls) == [("get", "accounts"), ("get", "identifiers")]


async def test_where_the_hospital_opens_accounts_nobody_else_gets_in(portal: Portal) -> None:
    """Before it is opened nothing is read, written or made; after that the first writing opens it."""
    set_up(portal, accounts=AccountRules(opening="hospital"))
    await refused(portal.post(portal.patient()), AccountNotOpened)
    with pytest.raises(AccountNotOpened):
        await portal.reader.threads(portal.patient(), below=None, limit=10)
    assert await portal.service.patients.find(portal.id, portal.patient().identifiers) is None
    invited = await portal.service.administer.open(portal.tenant, portal.patient().identifiers, "A. Jansen", STAFF)
    assert invited.state is AccountState.INVITED
    await portal.post(portal.patient())
    assert (await portal.service.administer.show(portal.tenant, invited.id, STAFF)).state is AccountState.OPEN


async def test_blocked_at_once_on_every_gateway(portal: Portal) -> None:
    """Both gateways have the patient warm; one request after the block neither lets anything through."""
    other = portal.another()
    for each in (portal, other):
        await each.post(each.patient())
    id = await portal.account()
    await portal.service.administer.block(portal.tenant, id, STAFF)
    for each in (portal, other):
        await refused(each.post(each.patient()), AccountBlocked)
        with pytest.raises(AccountBlocked):
            await each.reader.threads(each.patient(), below=None, limit=10)
    await portal.service.administer.unblock(portal.tenant, id, STAFF)
    await other.post(other.patient())


async def test_misuse_stops_access_and_is_told(portal: Portal) -> None:
    """Reported by the patient, twice: blocked at once, one alert, which ends when the hospital unblocks."""
    await portal.post(portal.patient())
    for _ in range(2):
        await portal.service.administer.report_misuse(portal.patient())
    await refused(portal.post(portal.patient()), AccountBlocked)
    assert [key.partition(".")[0] for key in portal.service.operations.keys] == ["misuse"]
    await portal.service.administer.unblock(portal.tenant, await portal.account(), STAFF)
    await portal.post(portal.patient())
    assert len(portal.service.operations.keys) == 2


async def test_misuse_of_a_representatives_login_stops_that_one(portal: Portal) -> None:
    """The patient goes on; the representative waits for the coordinator."""
    await portal.register()
    await portal.service.administer.report_misuse(portal.acting())
    await refused(portal.post(portal.acting()), NotRepresentative)
    await portal.post(portal.patient())


async def test_closed_on_request(portal: Portal) -> None:
    """The patient asks: closed for patient and representative. A representative asks: only their own access ends."""
    view = await portal.register(subject="sub-other", relation=Kind.AUTHORISED)
    await portal.register()
    await portal.service.administer.close_own(portal.acting())
    await refused(portal.post(portal.acting()), NotRepresentative)
    with pytest.raises(Forbidden):
        await portal.service.represent.end_by(portal.acting(subject="sub-other"), "another's")
    await portal.post(portal.acting(subject="sub-other"))
    waiting = await portal.post(portal.patient())
    await portal.service.administer.close_own(portal.patient())
    for who in (portal.patient(), portal.acting(subject="sub-other")):
        await refused(portal.post(who), AccountClosed)
        with pytest.raises(AccountClosed):
            await portal.reader.message(who, waiting.message)
    assert (await portal.service.administer.show(portal.tenant, view.id, STAFF)).representatives == ()


async def test_what_was_accepted_before_the_close_is_stored(portal: Portal) -> None:
    """Accepted, then closed: the message goes its way all the same."""
    accepted = await portal.post(portal.patient())
    await portal.service.administer.close_own(portal.patient())
    (envelope,) = await portal.service.queued("persist.normal")
    await portal.service.persist(envelope)
    assert await portal.service.threads.message(accepted.message) is not None


async def test_the_hospital_opens_a_closed_account_anew(portal: Portal) -> None:
    """Its representatives and acceptances are gone, its messages are there."""
    await portal.register()
    stored = await portal.stored(portal.patient())
    await portal.service.administer.close_own(portal.patient())
    await portal.account()
    await refused(portal.post(portal.acting()), NotRepresentative)
    assert (await portal.reader.message(portal.patient(), stored.message)).id == stored.message


async def end_care(portal: Portal, at: int, number: str = "1234") -> None:
    """The EPD tells that care ended at `at`, 0: that it goes on."""
    patient = await portal.service.patients.find(portal.id, portal.patient(number).identifiers)
    known = await portal.service.store.get(CARE, patient or "")
    care = {"id": patient, "tenant": portal.id, "deceased_at": 0, "care_ended_at": at}
    if known is None:
        await portal.service.store.insert(CARE, [care])
    else:
        await portal.service.store.replace(CARE, {**care, "version": known["version"]})
    await portal.service.close_accounts.care_changed(portal.tenant, patient or "")


async def test_the_closing_clock(portal: Portal) -> None:
    """Visible from the end of care, closed at midnight of its day by the look alone, then by the worker; logged."""
    clock, administer = portal.service.clock, portal.service.administer
    await portal.post(portal.patient())
    id = await portal.account()
    await end_care(portal, ms("2026-05-30T10:00"))
    running = await administer.show(portal.tenant, id, STAFF)
    assert (running.state, running.closing_on) == (AccountState.CLOSING, date(2026, 6, 27))
    clock.now = ms("2026-06-27T00:00") - 1
    assert await portal.service.close_accounts() == 0
    await portal.post(portal.patient())
    clock.now += 1
    await refused(portal.post(portal.patient()), AccountClosed)
    assert await portal.service.close_accounts() == 1
    assert await portal.service.close_accounts() == 0
    closed = await administer.show(portal.tenant, id, STAFF)
    assert (closed.state, closed.closed_because) == (AccountState.CLOSED, "end_of_care")
    entries = await portal.service.all(ACCESS_LOG, "of_patient", patient=id)
    assert [entry["actor"] for entry in entries if entry["basis"] == "end of care"] == ["close_accounts"]


async def test_care_that_goes_on_stops_the_clock(portal: Portal) -> None:
    """Before the day: as if nothing had been. After it: invited, and the patient is let in by writing again."""
    await portal.post(portal.patient())
    await end_care(portal, ms("2026-05-30T10:00"))
    await end_care(portal, 0)
    portal.service.clock.now = ms("2026-07-15T12:00")
    await portal.post(portal.patient())
    await end_care(portal, ms("2026-05-30T10:00"))
    await refused(portal.post(portal.patient()), AccountClosed)
    with pytest.raises(AccountClosed):
        await portal.service.administer.open(portal.tenant, portal.patient().identifiers, "A. Jansen", STAFF)
    await end_care(portal, 0)
    await portal.post(portal.patient())


async def test_many_due_accounts_are_closed_page_by_page(portal: Portal) -> None:
    """More than a page, all of the same moment: each is closed once."""
    documents = [
        {**document, "id": f"{number:032x}", "care_over_at": ms("2026-04-01T00:00")}
        for number in range(250)
        for document in [{"tenant": portal.id, "opened_at": 1}]
    ]
    await portal.service.store.insert(ACCOUNTS, documents)
    assert await portal.service.close_accounts() == 250
    assert await portal.service.close_accounts() == 0


async def test_who_never_wrote_before_finds_the_clock_run_out(portal: Portal) -> None:
    """Care ended a year ago: the first login opens nothing."""
    await portal.service.patients.ensure(portal.id, portal.patient().identifiers, "A. Jansen")
    await end_care(portal, ms("2025-05-30T10:00"))
    with pytest.raises(AccountClosed):
        await portal.reader.threads(portal.patient(), below=None, limit=10)
    await refused(portal.post(portal.patient()), AccountClosed)


async def test_a_representative_acts_as_registered(portal: Portal) -> None:
    """Only under the registered subject; who wrote is kept with the name and relation of the register."""
    await refused(portal.post(portal.acting()), NotRepresentative)
    await portal.register()
    await refused(portal.post(portal.acting(subject="sub-somebody")), NotRepresentative)
    stored = await portal.stored(portal.acting())
    view = await portal.reader.message(portal.patient(), stored.message)
    assert view.submission is not None
    author = view.submission.author
    assert (author.role, author.name, author.relation) == ("representative", "M. de Wit", "mentor")


async def test_one_person_one_representative_under_a_race(portal: Portal) -> None:
    """Eight registrations at once where one is allowed: one is registered, seven are told that it is full."""
    set_up(portal, representatives=RepresentativeRules(most=1, must_sign_care_plan=True))
    await portal.account()
    tries = [portal.register(subject=f"sub-{number}") for number in range(8)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["AccountView"] + ["RepresentativesFull"] * 7
    view = await portal.service.administer.show(portal.tenant, await portal.account(), STAFF)
    assert len(view.representatives) == 1


async def test_block_close_and_two_posts_at_the_same_moment(portal: Portal) -> None:
    """Each post is accepted or refused as a whole, whatever it meets; in the end the account is closed."""
    id = (await portal.register()).id
    administer = portal.service.administer
    ends = await asyncio.gather(
        portal.post(portal.patient()),
        administer.block(portal.tenant, id, STAFF),
        portal.post(portal.acting()),
        administer.close(portal.tenant, id, STAFF),
        portal.service.represent.end(portal.tenant, id, "none", STAFF),
        return_exceptions=True,
    )
    assert isinstance(ends[4], NotFound)
    for post in (ends[0], ends[2]):
        assert not isinstance(post, Exception) or isinstance(post, AfterReading)
    assert (await administer.show(portal.tenant, id, STAFF)).state is AccountState.CLOSED


async def test_a_representative_removed_while_writing(portal: Portal) -> None:
    """The removal comes between the look and the queue: what was accepted counts, the next one is refused."""
    view = await portal.register()
    (representative,) = view.representatives
    ended: list[object] = []

    async def remove() -> None:
        ended.append(await portal.service.represent.end(portal.tenant, view.id, representative.id, STAFF))

    portal.service.broker.before_publish = remove
    accepted = await portal.post(portal.acting())
    assert ended
    await refused(portal.post(portal.acting()), NotRepresentative)
    (envelope,) = await portal.service.queued("persist.normal")
    await portal.service.persist(envelope)
    assert (await portal.reader.message(portal.patient(), accepted.message)).submission is not None


async def test_signer_and_first_contact_stay_so(portal: Portal) -> None:
    """Not both at registration: refused. Not both any more: suspended, until the coordinator says so."""
    set_up(portal, representatives=RepresentativeRules(most=1, must_sign_care_plan=True))
    with pytest.raises(RepresentativeUnfit):
        await portal.register(first_contact=False)
    view = await portal.register()
    which, represent = view.representatives[0].id, portal.service.represent
    await represent.confirm(portal.tenant, view.id, which, signs_care_plan=False, first_contact=True, by=STAFF)
    await refused(portal.post(portal.acting()), NotRepresentative)
    await represent.confirm(portal.tenant, view.id, which, signs_care_plan=True, first_contact=True, by=STAFF)
    await portal.post(portal.acting())


async def test_a_reported_change_suspends(portal: Portal) -> None:
    """The mentor reports a change: no access until confirmed, and a change is not the patient's to report."""
    view = await portal.register()
    with pytest.raises(Forbidden):
        await portal.service.represent.report_change(portal.patient())
    changed = await portal.service.represent.report_change(portal.acting())
    assert changed.representatives[0].standing is Standing.SUSPENDED
    await refused(portal.post(portal.acting()), NotRepresentative)
    await portal.service.represent.confirm(
        portal.tenant, view.id, view.representatives[0].id, signs_care_plan=True, first_contact=True, by=STAFF
    )
    await portal.post(portal.acting())


async def test_a_parent_at_twelve_and_sixteen(portal: Portal) -> None:
    """A minute before twelve the parent writes, at twelve the child; the parent with its consent, until sixteen."""
    clock = portal.service.clock
    view = await portal.register(relation=Kind.PARENT, born=date(2014, 6, 1))
    which = view.representatives[0].id
    clock.now = ms("2026-05-31T23:59")
    await portal.post(portal.acting())
    await refused(portal.post(portal.patient()), TooYoung)
    clock.minutes(1)
    await refused(portal.post(portal.acting()), NotRepresentative)
    await portal.post(portal.patient())
    with pytest.raises(NotRepresentative):
        await portal.service.represent.consent(portal.acting(), which, True)
    await portal.service.represent.consent(portal.patient(), which, True)
    await portal.post(portal.acting())
    await portal.service.represent.consent(portal.patient(), which, False)
    await refused(portal.post(portal.acting()), NotRepresentative)
    await portal.service.represent.consent(portal.patient(), which, True)
    clock.now = ms("2030-05-31T23:59")
    await portal.post(portal.acting())
    clock.minutes(1)
    await refused(portal.post(portal.acting()), NotRepresentative)


async def test_written_a_minute_before_the_birthday_is_the_parents(portal: Portal) -> None:
    """Accepted unchecked while the store was down, stored after the birthday: it counts as of its acceptance."""
    await portal.register(relation=Kind.PARENT, born=date(2014, 6, 1))
    portal.service.clock.now = ms("2026-05-31T23:59")
    author = portal.acting().author
    before = portal.service.accepted(lane=Lane.URGENT, checked=False, author=author)
    portal.service.clock.minutes(1)
    after = portal.service.accepted(lane=Lane.URGENT, checked=False, author=author)
    portal.service.clock.minutes(60)
    await portal.service.persist(enveloped(before))
    view = await portal.reader.message(portal.patient(), before.message)
    assert view.submission is not None
    assert view.submission.author.relation == "parent"
    with pytest.raises(MessageFault, match="not_representative"):
        await portal.service.persist(enveloped(after))


async def test_a_private_thread_is_not_there_for_a_representative(portal: Portal) -> None:
    """By its id, by its message, in the list and to write in: it does not exist; the page is filled with others."""
    await portal.register()
    shared = [await portal.stored(portal.patient()) for _ in range(2)]
    private = [await portal.stored(portal.patient(), private=True) for _ in range(3)]
    for who, expected in ((portal.patient(), 5), (portal.acting(), 2)):
        assert len(await portal.reader.threads(who, below=None, limit=5)) == expected
    page = await portal.reader.threads(portal.acting(), below=None, limit=2)
    assert {thread.id for thread in page} == {each.thread for each in shared}
    for attempt in (portal.reader.thread, portal.reader.message):
        with pytest.raises(NotFound):
            await attempt(portal.acting(), private[0].message)
    await refused(portal.post(portal.acting(), thread=private[0].thread), NotFound)
    await portal.stored(portal.patient(), thread=private[0].thread)


async def test_privacy_is_the_patients_to_say(portal: Portal) -> None:
    """Hidden and shown again by the patient alone; a representative opens no private thread."""
    await portal.register()
    stored = await portal.stored(portal.acting())
    await refused(portal.post(portal.acting(), private=True), Forbidden)
    with pytest.raises(Forbidden):
        await portal.reader.set_private(portal.acting(), stored.thread, True)
    await portal.reader.set_private(portal.patient(), stored.thread, True)
    with pytest.raises(NotFound):
        await portal.reader.thread(portal.acting(), stored.thread)
    await portal.reader.set_private(portal.patient(), stored.thread, False)
    await portal.reader.thread(portal.acting(), stored.thread)


async def test_an_urgent_answer_that_overtakes_the_private_opener(portal: Portal) -> None:
    """Stored before the message that opens its thread: hidden until that says what the thread is."""
    await portal.register()
    opener = await portal.post(portal.patient(), private=True)
    shared = await portal.post(portal.patient())
    (first, second) = await portal.service.queued("persist.normal")
    for thread in (opener.thread, shared.thread):
        await portal.stored(portal.patient(), URGENT, thread=thread)
        with pytest.raises(NotFound):
            await portal.reader.thread(portal.acting(), thread)
    for envelope in (first, second):
        await portal.service.persist(envelope)
    with pytest.raises(NotFound):
        await portal.reader.thread(portal.acting(), opener.thread)
    await portal.reader.thread(portal.acting(), shared.thread)
    await portal.reader.set_private(portal.patient(), shared.thread, True)
    await portal.service.persist(second)
    with pytest.raises(NotFound):
        await portal.reader.thread(portal.acting(), shared.thread)


async def test_a_retry_with_another_privacy_is_another_message(portal: Portal) -> None:
    """Under one key: what was not private does not pass for the private one, nor the other way round."""
    ids = [(await portal.post(portal.patient(), idempotency_key="k", private=each)).message for each in (False, True)]
    assert len(set(ids)) == 2


async def test_terms_before_the_first_message_and_again_when_they_change(portal: Portal) -> None:
    """Nothing before acceptance; a new version from its day on asks again, while what is there can be read."""
    set_up(portal, terms=(V1, V2))
    accept = portal.service.accept_terms
    await refused(portal.post(portal.patient()), TermsNotAccepted)
    with pytest.raises(TermsNotAccepted):
        await portal.reader.threads(portal.patient(), below=None, limit=10)
    assert (await accept.show(portal.patient())).to_accept
    for version, language in (("2", "nl"), ("0", "nl"), ("1", "fr")):
        with pytest.raises(TermsUnknown):
            await accept.accept(portal.patient(), version, language)
    await accept.accept(portal.patient(), "1", "nl")
    await portal.post(portal.patient())
    portal.service.clock.now = ms("2026-06-01T00:00")
    await refused(portal.post(portal.patient()), TermsNotAccepted)
    await portal.reader.threads(portal.patient(), below=None, limit=10)
    await accept.accept(portal.patient(), "2", "nl")
    await portal.post(portal.patient())


async def test_acceptances_are_evidence(portal: Portal) -> None:
    """Who, when, which version in which language: one a person and version, the first one kept, each person's own."""
    set_up(portal, terms=(V1,))
    await portal.service.accept_terms.accept(portal.patient(), "1", "nl")
    first_at = portal.service.clock.now
    portal.service.clock.minutes(5)
    await portal.service.accept_terms.accept(portal.patient(), "1", "nl")
    await portal.register()
    await refused(portal.post(portal.acting()), TermsNotAccepted)
    await portal.service.accept_terms.accept(portal.acting(), "1", "nl")
    await portal.post(portal.acting())
    kept = await portal.service.all(ACCEPTANCES, "of_patient", patient=await portal.account())
    assert [(each["accepted"], each["language"], each["role"], each["at"]) for each in kept] == [
        ("1", "nl", "patient", first_at),
        ("1", "nl", "representative", portal.service.clock.now),
    ]
    assert "sub-" not in repr(kept)


Prepare = Callable[[Portal], Awaitable[Writer]]


async def test_who_was_never_treated_is_refused_a_first_contact(portal: Portal) -> None:
    """A relation opens the way, one that ended as well, and one under a number that was merged; so does a thread."""
    writer = await _never_treated(portal)
    await refused(portal.post(writer), NoTreatmentRelation)
    assert await portal.alarms() == 0
    set_up(portal, routing=msgspec.structs.replace(portal.tenant.routing, first_contact=True))
    begun = await portal.stored(portal.patient())
    writer = await _never_treated(portal)
    await portal.post(writer, thread=begun.thread)
    service = portal.service
    await service.relations.begin(portal.tenant, numbers("5678"), "A. Jansen", "cardiology", 0)
    old, own = [await service.patients.find(portal.id, numbers(each)) for each in ("5678", "1234")]
    assert old
    assert own
    (relation,) = await service.relations.of(old)
    await service.store.replace(RELATIONS, to_document(replace(relation, ended_at=1)))
    await portal.post(portal.patient("5678"))
    await refused(portal.post(writer), NoTreatmentRelation)
    await Merges(service.store, service.patients).join(old, own, 1)
    await portal.post(writer)


async def _blocked(portal: Portal) -> Writer:
    await portal.service.administer.block(portal.tenant, await portal.account(), STAFF)
    return portal.patient()


async def _closed(portal: Portal) -> Writer:
    await portal.service.administer.close(portal.tenant, await portal.account(), STAFF)
    return portal.patient()


async def _not_opened(portal: Portal) -> Writer:
    set_up(portal, accounts=AccountRules(opening="hospital"))
    return portal.patient()


async def _stranger(portal: Portal) -> Writer:
    await portal.account()
    return portal.acting()


async def _suspended(portal: Portal) -> Writer:
    await portal.register()
    await portal.service.represent.report_change(portal.acting())
    return portal.acting()


async def _awaiting_consent(portal: Portal) -> Writer:
    await portal.register(relation=Kind.PARENT, born=date(2013, 1, 1))
    return portal.acting()


async def _too_young(portal: Portal) -> Writer:
    await portal.register(relation=Kind.PARENT, born=date(2020, 1, 1))
    return portal.patient()


async def _never_treated(portal: Portal) -> Writer:
    set_up(portal, routing=msgspec.structs.replace(portal.tenant.routing, first_contact=False))
    return portal.patient()


async def _terms(portal: Portal) -> Writer:
    set_up(portal, terms=(V1,))
    return portal.patient()


@pytest.mark.parametrize(("prepare", "why"), [
    (_blocked, AccountBlocked),
    (_closed, AccountClosed),
    (_not_opened, AccountNotOpened),
    (_stranger, NotRepresentative),
    (_suspended, NotRepresentative),
    (_awaiting_consent, NotRepresentative),
    (_too_young, TooYoung),
    (_terms, TermsNotAccepted),
    (_never_treated, NoTreatmentRelation),
])  # fmt: skip
async def test_whatever_refuses_it_an_urgent_message_raises_the_alarm(
    portal: Portal, prepare: Prepare, why: type[Exception]
) -> None:
    """Refused all the same, and its answer carries the notice that fits; an ordinary one raises none."""
    who = await prepare(portal)
    await refused(portal.post(who), why)
    assert await portal.alarms() == 0
    with pytest.raises(AfterReading) as found:
        await portal.post(who, URGENT)
    assert type(found.value.cause) is why
    assert found.value.triage.urgent
    assert await portal.alarms() == 1


async def test_private_for_a_representative_raises_the_alarm_too(portal: Portal) -> None:
    """What only the patient may do, asked by a representative in an emergency."""
    await portal.register()
    await refused(portal.post(portal.acting(), URGENT, private=True), Forbidden)
    assert await portal.alarms() == 1


async def test_nothing_readable_is_kept(portal: Portal) -> None:
    """Name, subject and date of birth lie sealed: not in the account, and not in the access log."""
    await portal.register(relation=Kind.PARENT, born=date(2020, 2, 3))
    account = await portal.account()
    kept = repr(await portal.service.store.get(ACCOUNTS, account))
    kept += repr(await portal.service.all(ACCESS_LOG, "of_patient", patient=account))
    kept += repr(await portal.service.store.get(PATIENTS, account))
    for readable in ("de Wit", "sub-mentor", "2020-02-03", "Jansen"):
        assert readable not in kept


async def test_another_tenants_account_is_not_there(portal: Portal) -> None:
    """Its id, held to the other hospital, is nothing."""
    id = await portal.account()
    sein, administer = portal.service.tenants["sein"], portal.service.administer
    for attempt in (administer.show, administer.block, administer.unblock, administer.close):
        with pytest.raises(NotFound):
            await attempt(sein, id, STAFF)
    assert (await administer.show(portal.tenant, id, STAFF)).state is AccountState.INVITED


async def test_too_many_changes_at_once_end(portal: Portal) -> None:
    """Thirty at the same moment: every one is made, none is lost."""
    set_up(portal, representatives=RepresentativeRules(most=20))
    await portal.account()
    ends = await asyncio.gather(
        *(portal.register(subject=f"sub-{number}") for number in range(30)), return_exceptions=True
    )
    assert sum(isinstance(end, RepresentativesFull) for end in ends) == 10
    assert isinstance(portal.service.accounts, Accounts)
