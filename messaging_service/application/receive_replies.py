"""A clinician's document into its thread: matched, sanitised, sealed, shown; changed and withdrawn likewise."""

from __future__ import annotations

import asyncio

from messaging_service.application.actors import clinician
from messaging_service.application.awaited import Awaited
from messaging_service.application.codec import outgoing
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, Broker, Clock, DocumentStore
from messaging_service.application.receive_documents import Documents
from messaging_service.application.receive_match import Match, Matching, Unmatchable
from messaging_service.application.receive_versions import StoredVersion, Versions
from messaging_service.application.threads import REPLY, StoredMessage, StoredThread, Threads
from messaging_service.application.topology import notify_queue
from messaging_service.application.unmatched import BOUND, CLOSED, Unmatched, UnmatchedDocuments
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.clinician import Reply
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.filing import changed_message
from messaging_service.domain.message import BodyFormat, Content, Lane
from messaging_service.epd.inbound_events import ClinicianWrote, Told
from messaging_service.screening.sanitise import sanitise
from messaging_service.tenants import Tenant

_ACTIONS = {Told.WRITTEN: "create", Told.CHANGED: "update", Told.WITHDRAWN: "delete"}


class Replies:
    """What becomes of a ClinicianWrote. A repeat, also after a crash half-way, changes nothing.

    The portal is told before anything is off the list of unmatched documents or acknowledged to the EPD.
    """

    def __init__(
        self,
        *,
        store: DocumentStore,
        broker: Broker,
        keyring: Keyring,
        patients: Patients,
        threads: Threads,
        awaited: Awaited,
        unmatched: UnmatchedDocuments,
        access_log: AccessLog,
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._keyring = keyring
        self._patients = patients
        self._threads = threads
        self._awaited = awaited
        self._unmatched = unmatched
        self._access_log = access_log
        self._clock = clock
        self._documents = Documents(store, keyring)
        self._versions = Versions(store=store, threads=threads, patients=patients)
        self._match = Matching(threads=threads, patients=patients)

    async def take(self, tenant: Tenant, sender: str, version: str, wrote: ClinicianWrote) -> None:
        """Put a document where it belongs, or on the list of those that belong nowhere for certain.

        `sender` is MSH-3, `version` the same for every repeat of this very message.
        """
        message = await self._message_id(tenant, sender, wrote)
        if wrote.told is Told.WITHDRAWN:
            return await self._withdraw(tenant, sender, message, version, wrote)
        try:
            match = await self._place(tenant, sender, message, wrote)
        except Unmatchable as problem:
            return await self._unmatched.keep(version, tenant.id, message, sender, wrote, problem.reason, self._clock())
        await self._show(tenant, match, message, version, wrote)
        return await self._take_again(tenant, message)

    async def bind(self, tenant: Tenant, unmatched: Unmatched, thread: str, by: str) -> None:
        """Put what is unmatched into the thread that a person names, other versions of the same reply with it.

        Raises:
            SettingInvalid: there is no such thread.
            Conflict: somebody else settled it at the same moment.
        """
        found = await self._threads.thread(thread)
        if found is None or found.tenant != tenant.id:
            raise SettingInvalid(f"there is no thread {thread!r} at {tenant.id}")
        last = await self._threads.last_messages([thread])
        team, department = (last[0].care_team, last[0].department) if last else (tenant.routing.triage_desk, "")
        for each in await self._unmatched.of(unmatched.message):
            wrote, match = self._unmatched.opened(each), Match(found, team, department, f"operations {by}")
            if wrote.told is not Told.WITHDRAWN:
                message = await self._message_id(tenant, each.sender, wrote)
                await self._show(tenant, match, message, each.id, wrote)
            await self._unmatched.settle(each, BOUND, f"thread {thread}")

    async def _message_id(self, tenant: Tenant, sender: str, wrote: ClinicianWrote) -> str:
        """What replaces a document is a version of it, and so is all that came of the replacement before."""
        if not wrote.replaces or await self._threads.message(_number(wrote.replaces)):
            return await self._documents.message_id(tenant, sender, wrote.document)
        message = await self._documents.replace(tenant, sender, wrote)
        own = self._documents.first_id(tenant, sender, wrote.document)
        await self._versions.move(tenant.id, own, message)
        await self._take_again(tenant, own)
        return message

    async def _place(self, tenant: Tenant, sender: str, message: str, wrote: ClinicianWrote) -> Match:
        parents = [message] if await self._threads.message(message) else []
        if wrote.parent:
            parents += [_number(wrote.parent), await self._documents.message_id(tenant, sender, wrote.parent)]
        parents += [changed_message(wrote.placer)] if wrote.placer else []
        begun = StoredThread.opened(message, tenant.id, "", self._clock())
        return await self._match(tenant, wrote, parents, begun)

    async def _show(self, tenant: Tenant, match: Match, message: str, version: str, wrote: ClinicianWrote) -> None:
        now, patient = self._clock(), await self._patients.load(match.thread.patient)
        sealed = patient.seal(message, REPLY, await _reply(tenant, wrote))
        stored = StoredVersion.of(version, tenant.id, message, patient.id, wrote.told, wrote.at, now, sealed)
        await self._versions.add(stored)
        shown = await self._versions.show(match.thread, _message(stored, match, now))
        await self._tell(tenant, stored, shown, wrote, match.by)

    async def _take_again(self, tenant: Tenant, message: str) -> None:
        """What came too early and was listed may belong somewhere now; a withdrawal has done its work."""
        for each in await self._unmatched.of(message):
            if each.told == Told.WITHDRAWN:
                await self._unmatched.settle(each, CLOSED, "the document came")
                continue
            wrote = self._unmatched.opened(each)
            now = await self._documents.message_id(tenant, each.sender, wrote.document)
            try:
                match = await self._place(tenant, each.sender, now, wrote)
            except Unmatchable:
                continue
            await self._show(tenant, match, now, each.id, wrote)
            await self._unmatched.settle(each, BOUND, "its thread came")

    async def _withdraw(self, tenant: Tenant, sender: str, message: str, version: str, wrote: ClinicianWrote) -> None:
        """Whoever it was for: the number decides, and it is taken away at once.

        One that takes nothing away goes on the list as well: its number may be wrong, and the reply still shown.
        """
        now = self._clock()
        stored = StoredVersion.of(version, tenant.id, message, "", wrote.told, wrote.at, now, b"")
        await self._versions.add(stored)
        known = await self._threads.message(message)
        if known is None:
            return await self._unmatched.keep(version, tenant.id, message, sender, wrote, "nothing_to_withdraw", now)
        thread = StoredThread.opened(known.thread, tenant.id, known.patient, now)
        shown = await self._versions.show(thread, known)
        return await self._tell(tenant, stored, shown, wrote, "sender")

    async def _tell(
        self, tenant: Tenant, version: StoredVersion, shown: StoredMessage | None, wrote: ClinicianWrote, by: str
    ) -> None:
        """The clocks that it stops, the access log, then the portal."""
        if shown is None:
            return
        await self._awaited.follow(shown)
        who = clinician(self._keyring, tenant.id, wrote.clinician, wrote.name, wrote.role, by)
        access = Access(tenant.id, shown.patient, who, _ACTIONS[wrote.told], REPLY, shown.id, "treatment")
        await self._access_log.record(access)
        event = await self._versions.event(version, shown)
        if event is not None:
            told = outgoing(notify_queue(tenant.id), event)
            await self._broker.publish(told.queue, told.envelope)


def _number(document: str) -> str:
    """EI-1 as a message id: the EPD may add an authority of its own, and name a corrected message by its change."""
    return changed_message(document.partition("^")[0])


def _message(version: StoredVersion, match: Match, now: int) -> StoredMessage:
    return StoredMessage(
        id=version.message,
        tenant=version.tenant,
        patient=match.thread.patient,
        thread=match.thread.id,
        place=0,
        lane=Lane.NORMAL,
        care_team=match.care_team,
        department=match.department,
        routed_by=match.by,
        reply_by="",
        accepted_at=now,
        persisted_at=now,
        run="",
        number=0,
        sealed=version.sealed,
        kind=REPLY,
    )


async def _reply(tenant: Tenant, wrote: ClinicianWrote) -> Reply:
    format = BodyFormat.HTML if wrote.is_html else BodyFormat.TEXT
    clean, clean_format = wrote.text, BodyFormat.TEXT
    if wrote.is_html:
        body = await asyncio.to_thread(sanitise, wrote.text, html=True)
        clean, clean_format = body.text, BodyFormat(body.format)
    content = Content(wrote.subject, wrote.text, clean, format, clean_format, tenant.languages[0])
    return Reply(content, wrote.name, wrote.role, wrote.document, wrote.written_at)
