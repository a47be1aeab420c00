"""A thread as tests make one: messages of a patient, replies of clinicians, and who reads them."""

from __future__ import annotations

from dataclasses import replace

from messaging_service.application.callers import PATIENT, REPRESENTATIVE, Staff, Writer
from messaging_service.application.threads import REPLY, StoredMessage, StoredThread
from messaging_service.domain.clinician import Reply
from messaging_service.domain.message import Author, BodyFormat, Content
from messaging_service.domain.roles import Role, Scope
from tests.parts.service import Service, enveloped, numbers


def patient(service: Service, number: str = "1234", tenant: str = "spijkenisse") -> Writer:
    """The patient with that number, logged in."""
    author = Author(f"sub-{number}", PATIENT, "A. Jansen")
    return Writer(service.tenants[tenant], numbers(number), author, "A. Jansen", assured=True)


def acting(service: Service, number: str = "1234") -> Writer:
    """Somebody who acts for that patient; registered or not."""
    return replace(patient(service, number), author=Author("parent", REPRESENTATIVE, "B. Jansen"))


def lead(service: Service, tenant: str = "spijkenisse") -> Staff:
    """The lead of a care team."""
    scopes = frozenset((Scope.HANDLE_MESSAGES, Scope.CLOSE_THREADS))
    return Staff(service.tenants[tenant], "lead", "C. de Wit", Role.CARE_TEAM_LEAD, scopes, assured=True)


async def wrote(service: Service, thread: str | None = None, subject: str = "Vraag", number: str = "1234") -> str:
    """The id of a message of the patient's in the store."""
    content = Content(subject, "Tekst", "Tekst", BodyFormat.TEXT, BodyFormat.TEXT, "nl")
    event = service.accepted(number, thread=thread, content=content)
    await service.persist(enveloped(event))
    return event.message


async def answered(service: Service, thread: str, id: str = "") -> StoredMessage:
    """A clinician's reply in the thread."""
    stored = await service.threads.thread(thread)
    assert stored is not None
    return await _replied(service, stored, id or service.message_id())


async def began(service: Service, number: str = "1234") -> StoredMessage:
    """A thread that a clinician began: the id of its reply is the thread's."""
    tenant = service.tenants["spijkenisse"]
    own = await service.patients.ensure(tenant.id, numbers(number), "A. Jansen")
    id = service.message_id(number)
    return await _replied(service, StoredThread.opened(id, tenant.id, own.id, service.clock()), id)


async def _replied(service: Service, thread: StoredThread, id: str) -> StoredMessage:
    own = await service.patients.load(thread.patient)
    content = Content("Antwoord", "Ja", "Ja", BodyFormat.TEXT, BodyFormat.TEXT, "nl")
    now = service.clock()
    reply = StoredMessage(
        id=id,
        tenant=thread.tenant,
        patient=thread.patient,
        thread=thread.id,
        place=0,
        lane="normal",
        care_team="cardiology",
        department="cardiology",
        routed_by="document",
        reply_by="",
        accepted_at=now,
        persisted_at=now,
        run="",
        number=0,
        sealed=own.seal(id, REPLY, Reply(content, "D. Bos", "arts", f"DOC{id}", now)),
        kind=REPLY,
    )
    return await service.threads.add_reply(thread, reply)


async def withdrawn(service: Service, id: str) -> None:
    """Take a reply away."""
    message = await service.threads.message(id)
    assert message is not None
    assert await service.threads.change_message(replace(message, withdrawn_at=service.clock()))
