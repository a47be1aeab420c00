"""The e-mail that says that there is a message, over a real mail server: to whom, when, and never what or whose."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import date
from email.message import EmailMessage

import msgspec
import pytest

from messaging_service.adapters import mail as mail_server
from messaging_service.adapters.notice_mail import NoticeMail
from messaging_service.application.actors import OPERATIONS
from messaging_service.application.callers import Writer
from messaging_service.application.codec import outgoing
from messaging_service.application.collections import EMAIL_NOTICES
from messaging_service.application.destroy import Decision
from messaging_service.application.email_notices import CODE_HOLDS_MS, EmailNotices
from messaging_service.application.feed import Feed
from messaging_service.application.notify import Notify
from messaging_service.application.represent import NewRepresentative
from messaging_service.application.send_email_notices import OwedEmailNotices
from messaging_service.application.topology import notify_queue
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.events import ReplyReceived
from messaging_service.domain.refusals import CodeWrong, Forbidden, NotFound
from messaging_service.domain.representative import Kind
from messaging_service.tenants import EmailNotice, Wording
from tests.integration.test_destroy import destroying, filed
from tests.integration.test_on_call import MailPeer, serve
from tests.parts.conversation import acting, answered, patient, withdrawn
from tests.parts.email import email_notices, offering, wishes
from tests.parts.service import STAFF, Service

TENANT, ADDRESS, PARENTS = "spijkenisse", "a.jansen@mail.example", "b.jansen@mail.example"


class Hospital:
    """A hospital that offers the e-mail, and its mail server."""

    def __init__(self, service: Service, peer: MailPeer) -> None:
        offering(service)
        self.service, self.peer = service, peer
        self.wishes: EmailNotices = wishes(service)
        self.owed: OwedEmailNotices = email_notices(service, peer.port)
        self.notify = Notify(
            webhooks={},
            threads=service.threads,
            patients=service.patients,
            feed=Feed(service.store),
            owed=None,  # type: ignore[arg-type]  # no portal here
            email_notices=email_notices(service),
            clock=service.clock,
        )

    @property
    def mailed(self) -> list[str]:
        """To whom letters went, in order; forgotten once asked for."""
        found = [receivers[0] for receivers, _ in self.peer.letters]
        self.last = self.peer.letters[-1][1] if self.peer.letters else EmailMessage()
        self.peer.letters.clear()
        return found

    async def wants(self, who: Writer, address: str = ADDRESS, language: str = "nl") -> None:
        """Asks for e-mail and proves the address."""
        await self.wishes.ask(who, address, language, nobody_counts)
        await self.owed()
        assert self.mailed == [address]
        assert (await self.wishes.confirm(who, code_in(self.last))).state == "confirmed"

    async def reply(self, thread: str) -> str:
        """A clinician's reply, told of by the notify step; its id."""
        reply = await answered(self.service, thread)
        await self.tell(reply.id, thread)
        return reply.id

    async def tell(self, reply: str, thread: str) -> None:
        """The notify step is told of it."""
        event = ReplyReceived(reply, TENANT, thread, self.service.clock())
        await self.notify(outgoing(notify_queue(TENANT), event).envelope)


async def nobody_counts() -> None:
    """No limit on letters with codes."""


def code_in(letter: EmailMessage) -> str:
    """The code that a letter holds."""
    return re.findall(r"\b\d{8}\b", letter.get_content())[0]


@pytest.fixture
async def hospital(service: Service) -> AsyncIterator[Hospital]:
    async with serve(MailPeer()) as peer:
        yield Hospital(service, peer)


async def parent(service: Service) -> Writer:
    """A curator of the patient's, registered."""
    new = NewRepresentative("parent", "B. Jansen", Kind.CURATOR, True, True, date(1980, 1, 1))
    await service.represent.register(service.tenants[TENANT], await service.account(), new, STAFF)
    return acting(service)


async def test_an_address_is_proved(hospital: Hospital) -> None:
    """Nothing goes there before the code came back; a wrong code, an old one and a sixth try do not do."""
    service, who = hospital.service, patient(hospital.service)
    thread = (await service.persisted()).thread
    assert (await hospital.wishes.show(who)).state == "off"
    with pytest.raises(NotFound):
        await hospital.wishes.confirm(who, "00000000")
    assert (await hospital.wishes.ask(who, ADDRESS, "nl", nobody_counts)).state == "unconfirmed"
    await hospital.reply(thread)
    assert (await hospital.owed(), hospital.mailed) == (1, [ADDRESS])
    first = code_in(hospital.last)
    assert hospital.last["Subject"] == "Uw code voor e-mail van Spijkenisse Medisch Centrum"
    wrong = "11111111" if first != "11111111" else "22222222"
    for _ in range(5):
        with pytest.raises(CodeWrong):
            await hospital.wishes.confirm(who, wrong)
    with pytest.raises(CodeWrong):
        await hospital.wishes.confirm(who, first)
    await hospital.wishes.ask(who, ADDRESS, "nl", nobody_counts)
    await hospital.owed()
    assert hospital.mailed == [ADDRESS]
    service.clock.now += CODE_HOLDS_MS
    with pytest.raises(CodeWrong):
        await hospital.wishes.confirm(who, code_in(hospital.last))
    await hospital.wants(who)
    assert (await hospital.wishes.ask(who, ADDRESS, "en", nobody_counts)).state == "confirmed"
    assert await hospital.owed() == 0
    assert (await hospital.wishes.show(who)).language == "en"


async def test_one_letter_an_hour_and_nothing_in_it(hospital: Hospital) -> None:
    """One for three replies, the next after an hour; what was read or withdrawn meanwhile, or told twice, is no letter.

    The letter says nothing of content, subject, patient, message or thread.
    """
    service, who = hospital.service, patient(hospital.service)
    thread = (await service.persisted()).thread
    await hospital.wants(who)
    replies = [await hospital.reply(thread) for _ in range(3)]
    assert (await hospital.owed(), hospital.mailed) == (1, [ADDRESS])
    said = hospital.last.as_string() + hospital.last.get_content()
    for secret in ("1234", "Jansen,", "A. Jansen", "Antwoord", "Vraag", thread, *replies, "Cardiologie", "http"):
        assert secret not in said.replace("Spijkenisse", ""), secret
    assert hospital.last["Subject"] == "Er is een bericht voor u van Spijkenisse Medisch Centrum"
    await hospital.tell(replies[0], thread)
    assert await hospital.owed() == 0
    await hospital.reply(thread)
    service.clock.minutes(59)
    assert await hospital.owed() == 0
    service.clock.minutes(1)
    assert (await hospital.owed(), hospital.mailed) == (1, [ADDRESS])
    service.clock.minutes(61)
    assert await hospital.owed() == 0
    read = await hospital.reply(thread)
    await service.converse.read(who, thread, read)
    assert (await hospital.owed(), hospital.mailed) == (0, [])
    gone = await hospital.reply(thread)
    await withdrawn(service, gone)
    assert (await hospital.owed(), hospital.mailed) == (0, [])


async def test_who_may_not_see_it_is_not_told(hospital: Hospital) -> None:
    """A thread private to the patient, also where it became so after the reply, is no letter to who acts for them."""
    service = hospital.service
    child, curator = patient(service), await parent(service)
    await hospital.wants(child)
    await hospital.wants(curator, PARENTS, "en")
    thread = (await service.persisted()).thread
    private = (await service.persisted(private=True)).thread
    await hospital.reply(private)
    await hospital.owed()
    assert hospital.mailed == [ADDRESS]
    service.clock.minutes(61)
    await hospital.reply(thread)
    await service.threads.set_private(thread, True)
    await hospital.owed()
    assert hospital.mailed == [ADDRESS]
    service.clock.minutes(61)
    await service.threads.set_private(thread, False)
    await hospital.reply(thread)
    await hospital.owed()
    assert sorted(hospital.mailed) == [ADDRESS, PARENTS]


async def test_whose_access_ended_is_not_told_and_forgotten(hospital: Hospital) -> None:
    """A representative that ended, then everybody when the account closes; a block only holds letters back."""
    service = hospital.service
    child, curator = patient(service), await parent(service)
    account, tenant = await service.account(), service.tenants[TENANT]
    await hospital.wants(child)
    await hospital.wants(curator, PARENTS)
    thread = (await service.persisted()).thread
    await service.administer.block(tenant, account, STAFF)
    await hospital.reply(thread)
    assert (await hospital.owed(), hospital.mailed) == (0, [])
    await service.administer.unblock(tenant, account, STAFF)
    (one,) = (await service.administer.show(tenant, account, STAFF)).representatives
    await service.represent.end(tenant, account, one.id, STAFF)
    kept = await service.all(EMAIL_NOTICES, "of_patient", patient=account)
    assert [each["role"] for each in kept] == ["patient"]
    await service.administer.close_own(child)
    assert not await service.all(EMAIL_NOTICES, "of_patient", patient=account)


async def test_an_address_that_is_refused_for_good(hospital: Hospital) -> None:
    """After a 550 nothing more is tried and the account says so; a 4xx, and a 5.7.x of policy, are tried again."""
    service, who = hospital.service, patient(hospital.service)
    thread = (await service.persisted()).thread
    await hospital.wants(who)
    for passing in ("451 greylisted", "554 5.7.1 relay denied"):
        hospital.peer.answer = passing
        await hospital.reply(thread)
        assert await hospital.owed() == 0
        assert (await hospital.wishes.show(who)).state == "confirmed"
        hospital.peer.answer = "250 OK"
        service.clock.minutes(10)
        assert (await hospital.owed(), hospital.mailed) == (1, [ADDRESS])
        service.clock.minutes(61)
    hospital.peer.refused.add(ADDRESS)
    await hospital.reply(thread)
    assert await hospital.owed() == 0
    assert (await hospital.wishes.show(who)).state == "refused"
    hospital.peer.refused.clear()
    await hospital.reply(thread)
    service.clock.minutes(120)
    assert (await hospital.owed(), hospital.mailed) == (0, [])
    await hospital.wants(who)


async def test_a_mail_server_that_is_down_or_hangs(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost for a day; one that may have taken the letter is not asked again within the hour.

    The notify step needs no mail server; two workers at once send one letter; after a day operations are told.
    """
    service, who = hospital.service, patient(hospital.service)
    thread = (await service.persisted()).thread
    await hospital.wants(who)
    down = email_notices(service, 9)
    await hospital.reply(thread)
    assert await down() == 0
    service.clock.minutes(10)
    monkeypatch.setattr(mail_server, "SMTP_SECONDS", 0.2)
    hospital.peer.may_answer.clear()
    assert await hospital.owed() == 0
    hospital.peer.may_answer.set()
    monkeypatch.undo()
    hospital.mailed.clear()
    service.clock.minutes(59)
    assert await hospital.owed() == 0
    service.clock.minutes(1)
    other = email_notices(service.another(), hospital.peer.port)
    assert sum(await asyncio.gather(hospital.owed(), other())) == 1
    assert ADDRESS in hospital.mailed
    service.clock.minutes(61)
    await hospital.reply(thread)
    for _ in range(24 * 6 + 1):
        await down()
        service.clock.minutes(10)
    assert [key for key in service.operations.keys if key.startswith("email-notice")] == [
        f"email-notice-given-up {TENANT}"
    ]
    assert (await hospital.owed(), hospital.mailed) == (0, [])
    await hospital.reply(thread)
    service.clock.minutes(61)
    assert await hospital.owed() == 1
    assert service.operations.told[-1] == (
        f"email-notice-given-up {TENANT}",
        f"the mail server takes letters to patients of {TENANT} again",
    )


async def test_the_hospitals_own_words_and_settings(hospital: Hospital) -> None:
    """Its wording goes before ours, by language; without a mail server it does not start; not offered is refused."""
    service = hospital.service
    own = Wording(subject="Bericht van {name}", text="Lees het in het portaal. Bel {telephone} bij vragen.")
    offering(service, TENANT, EmailNotice(wording={"nl": own}))
    hospital.owed = email_notices(service, hospital.peer.port)
    thread = (await service.persisted()).thread
    await hospital.wants(patient(service))
    await hospital.reply(thread)
    await hospital.owed()
    assert hospital.mailed == [ADDRESS]
    assert hospital.last["Subject"] == "Bericht van Spijkenisse Medisch Centrum"
    assert hospital.last.get_content().startswith("Lees het in het portaal. Bel 0181")
    with pytest.raises(SettingInvalid, match=r"spijkenisse: \[email_notice\] needs MESSAGING_SMTP"):
        NoticeMail(service.tenants[TENANT], None, "a@b.example", service.clock, count=service.meter.channel)
    assert not (await hospital.wishes.show(patient(service, tenant="sein"))).offered
    with pytest.raises(Forbidden):
        await hospital.wishes.ask(patient(service, tenant="sein"), ADDRESS, "nl", nobody_counts)


async def test_the_address_goes_with_what_it_is_of(hospital: Hospital) -> None:
    """Sealed in the store, shown to its owner alone; gone when it is stopped, and when the record is destroyed."""
    service, who = hospital.service, patient(hospital.service)
    message = await filed(service)
    await hospital.wants(who)
    (kept,) = await service.all(EMAIL_NOTICES, "of_patient", patient=message.patient)
    assert ADDRESS.encode() not in msgspec.msgpack.encode(kept)
    assert (await hospital.wishes.show(await parent(service))).state == "off"
    await hospital.wishes.stop(who)
    assert not await service.all(EMAIL_NOTICES, "of_patient", patient=message.patient)
    assert (await hospital.wishes.show(who)).state == "off"
    await hospital.wants(who)
    decision = Decision(TENANT, "MD-1", "A. de Vries", "2026-11-20")
    receipt = await destroying(service).record(decision, message.patient, OPERATIONS, lambda _: None)
    assert [each.destroyed for each in receipt.places if each.place == "store: email_notices"] == [1]
    assert not await service.all(EMAIL_NOTICES, "of_patient", patient=message.patient)
