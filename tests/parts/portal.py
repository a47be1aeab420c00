"""What a portal does, in process: people log in, accept the terms, write and read, over a test's Service."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

from messaging_service.adapters.working_days import TenantWorkingDays
from messaging_service.application.account_view import AccountView
from messaging_service.application.allowances import Allowances
from messaging_service.application.callers import Writer
from messaging_service.application.codec import read_event
from messaging_service.application.journal import Journal
from messaging_service.application.limit_messages import LimitMessages
from messaging_service.application.represent import NewRepresentative
from messaging_service.application.submit import Accepted, Submit, SubmitMessage
from messaging_service.application.topology import escalate_queue, persist_queue
from messaging_service.domain.events import MessageAccepted
from messaging_service.domain.message import Author, BodyFormat, Lane
from messaging_service.domain.representative import Kind
from messaging_service.screening.screener import Screener
from messaging_service.tenants import Tenant
from tests.parts.patient import URGENT
from tests.parts.service import STAFF, Service, enveloped, numbers

screener = cache(Screener.load)


class Portal:
    """One gateway's use cases. `another` is that of a second gateway."""

    def __init__(self, service: Service, tenant: str = "spijkenisse") -> None:
        self.service = service
        self.id = tenant
        calendars = {each.id: TenantWorkingDays(each.reply) for each in service.tenants.values()}
        self.submit = Submit(
            broker=service.broker,
            patients=service.patients,
            accounts=service.accounts,
            relations=service.relations,
            threads=service.threads,
            screener=screener(),
            keyring=service.keyring,
            journal=Journal(service.store, service.clock),
            calendars=calendars,
            limit=LimitMessages(Allowances(service.store, service.keyring, service.clock), service.threads),
            clock=service.clock,
        )
        self.reader = service.reader

    def another(self) -> Portal:
        """A second gateway over the same store and queues."""
        return Portal(self.service.another(), self.id)

    @property
    def tenant(self) -> Tenant:
        """The hospital, as it is set now."""
        return self.service.tenants[self.id]

    def patient(self, number: str = "1234", name: str = "A. Jansen") -> Writer:
        """The patient, logged in."""
        return Writer(self.tenant, numbers(number), Author(f"sub-{number}", "patient", name), name, assured=True)

    def acting(self, number: str = "1234", subject: str = "sub-mentor", name: str = "") -> Writer:
        """Somebody who acts for the patient, logged in."""
        author = Author(subject, "representative", name)
        return Writer(self.tenant, numbers(number), author, "A. Jansen", assured=True)

    async def post(self, who: Writer, body: str = "Mag ik sporten?", **members: Any) -> Accepted:
        """Post a message."""
        given = {"subject": "Vraag", "format": BodyFormat.TEXT, "language": "nl", **members}
        return await self.submit(SubmitMessage(writer=who, body=body, **given))

    async def stored(self, who: Writer, body: str = "Mag ik sporten?", **members: Any) -> Accepted:
        """Post a message, and let the persist step have it."""
        accepted = await self.post(who, body, **members)
        queue = persist_queue(Lane.URGENT if accepted.triage.urgent else Lane.NORMAL)
        for envelope in await self.service.queued(queue):
            if envelope.message_id == accepted.message:
                await self.service.persist(enveloped(read_event(envelope, MessageAccepted)))
        return accepted

    async def alarms(self) -> int:
        """How many alarms wait for on-call."""
        return (await self.service.broker.depths([escalate_queue(self.id)]))[escalate_queue(self.id)].ready

    async def account(self, number: str = "1234") -> str:
        """The id of the patient's account, made when there is none."""
        return await self.service.account(number, self.id)

    async def register(
        self,
        number: str = "1234",
        subject: str = "sub-mentor",
        relation: Kind = Kind.MENTOR,
        born: date | None = None,
        **changes: Any,
    ) -> AccountView:
        """The coordinator registers a representative."""
        new = NewRepresentative(subject, "M. de Wit", relation, signs_care_plan=True, first_contact=True, birth=born)
        id = await self.account(number)
        return await self.service.represent.register(self.tenant, id, replace(new, **changes), STAFF)


__all__ = ["URGENT", "Portal"]
