"""E-mail that says that there is a message: owed from the store, sent by the clock, at most one an hour to a reader."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from messaging_service.application.accounts import Accounts
from messaging_service.application.actors import step
from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import from_document, to_document, unpack
from messaging_service.application.collections import EMAIL_NOTICES
from messaging_service.application.email_notices import (
    CONFIRMED,
    REFUSED,
    SEALED_AS,
    UNCONFIRMED,
    Destination,
    EmailNotice,
    of_records,
)
from messaging_service.application.feed import Feed
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, Clock, DocumentStore, PatientMail
from messaging_service.application.reads import Reads
from messaging_service.application.threads import StoredThread, Threads
from messaging_service.application.visibility import sees
from messaging_service.domain.errors import AddressRefused, Conflict, MailDown, MailUnknown
from messaging_service.domain.message import Author
from messaging_service.tenants import Tenant

HOUR_MS = 3_600_000
_AGAIN_MS = 600_000
_OWED_FOR_MS = 24 * HOUR_MS
_AT_ONCE = 8
_MOST_THREADS = 50
"""Of more threads than these the newest are looked at: one unread message is enough for a letter."""
_TRIES = 16
_BY = step("send_email_notices", "asked for by the patient")


class OwedEmailNotices:
    """Owes and sends them; as many processes as like to may call it, and each letter is sent by one at a time."""

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        mail: Mapping[str, PatientMail],
        store: DocumentStore,
        accounts: Accounts,
        patients: Patients,
        threads: Threads,
        access_log: AccessLog,
        alerts: Alerts,
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._mail = mail
        self._store = store
        self._accounts = accounts
        self._patients = patients
        self._threads = threads
        self._feed = Feed(store)
        self._reads = Reads(store, threads)
        self._access_log = access_log
        self._alerts = alerts
        self._clock = clock

    async def owe(self, event: str, patient: str, thread: StoredThread) -> None:
        """Something new is in the thread of this record: whoever asked for it and may see it is owed a letter.

        Called before the `event` is in the feed; one that is there already was owed before.
        """
        if self._tenants[thread.tenant].email_notice is None:
            return
        records = await self._patients.members(patient)
        wishes = [
            one
            for one in await of_records(self._store, records)
            if one.state == CONFIRMED and sees(Author("", one.role, ""), records, thread)
        ]
        if wishes and not await self._feed.holds(patient, event):
            for one in {one.reader: one for one in wishes}.values():
                await self._owe(one.id, thread.id)

    async def __call__(self) -> int:
        """Send what is due, of all tenants at once; returns how many letters were taken."""
        return sum(await asyncio.gather(*(self._send_due(tenant) for tenant in self._mail)))

    async def _owe(self, id: str, thread: str) -> None:
        for _ in range(_TRIES):
            document = await self._store.get(EMAIL_NOTICES, id)
            one = from_document(document, EmailNotice) if document else None
            if one is None or one.state != CONFIRMED:
                return
            now = self._clock()
            threads = (*(each for each in one.threads if each != thread), thread)[-_MOST_THREADS:]
            due_at = one.due_at or max(now, one.sent_at + HOUR_MS)
            owed = replace(one, threads=threads, due_at=due_at, owed_since=one.owed_since or due_at)
            if await self._store.replace(EMAIL_NOTICES, to_document(owed)):
                return
        raise Conflict(f"e-mail notice of thread {thread}")

    async def _send_due(self, tenant: str) -> int:
        """Page by page; a mail server that answers for none of a page is left until the next round."""
        taken = 0
        while page := await self._store.find(
            EMAIL_NOTICES, "by_due", {"tenant": tenant}, above=0, below=self._clock() + 1, limit=_AT_ONCE
        ):
            outcomes = await asyncio.gather(*(self._send(from_document(each, EmailNotice)) for each in page))
            taken += sum(outcome is True for outcome in outcomes)
            if all(outcome is None for outcome in outcomes):
                break
        return taken

    async def _send(self, owed: EmailNotice) -> bool | None:
        """True: a letter was taken; False: none was to go; None: the mail server took none.

        Claimed for an hour: a process that died over it has sent it or not, and two letters in an hour are too many.
        """
        claimed = replace(owed, due_at=self._clock() + HOUR_MS)
        if not await self._store.replace(EMAIL_NOTICES, to_document(claimed)):
            return False
        claimed = replace(claimed, version=claimed.version + 1)
        if self._clock() >= owed.owed_since + _OWED_FOR_MS:
            await self._give_up(claimed)
            return False
        to = await self._destination(claimed)
        author = Author(to.subject, owed.role, "")
        is_let_in = await self._accounts.admits(self._tenants[owed.tenant], owed.patient, author)
        if not is_let_in or (owed.state == CONFIRMED and not await self._has_unread(claimed)):
            await self._settle(claimed)
            return False
        return await self._hand_in(claimed, to)

    async def _hand_in(self, claimed: EmailNotice, to: Destination) -> bool | None:
        mail, id = self._mail[claimed.tenant], f"{claimed.reader[:32]}.{claimed.owed_since}"
        try:
            if claimed.state == UNCONFIRMED:
                await mail.send_code(to.address, to.language, id, to.code)
            else:
                await mail.tell(to.address, to.language, id)
        except AddressRefused:
            await self._settle(claimed, state=REFUSED)
            return False
        except MailUnknown:
            return None
        except MailDown:
            again = replace(claimed, due_at=self._clock() + _AGAIN_MS)
            await self._store.replace(EMAIL_NOTICES, to_document(again))
            return None
        patient = claimed.patient
        await self._access_log.record(
            Access(claimed.tenant, patient, _BY, "read", "email_notice", patient, "e-mail notice")
        )
        await self._settle(claimed, sent_at=self._clock() if claimed.state == CONFIRMED else 0)
        text = f"the mail server takes letters to patients of {claimed.tenant} again"
        await self._alerts.over(f"email-notice-given-up {claimed.tenant}", text)
        return True

    async def _settle(self, done: EmailNotice, *, state: str = "", sent_at: int = 0) -> None:
        """Nothing is owed any more, but what came meanwhile; a wish that was changed meanwhile stays as changed."""
        for _ in range(_TRIES):
            document = await self._store.get(EMAIL_NOTICES, done.id)
            now = from_document(document, EmailNotice) if document else None
            if now is None or (now.sealed, now.state) != (done.sealed, done.state):
                return
            left = () if state else tuple(each for each in now.threads if each not in done.threads)
            due_at = self._clock() + HOUR_MS if left else 0
            after = replace(now, threads=left, due_at=due_at, owed_since=due_at, sent_at=sent_at or now.sent_at)
            if state:
                after = replace(after, state=state, at=self._clock())
            if await self._store.replace(EMAIL_NOTICES, to_document(after)):
                return
        raise Conflict("e-mail notice")

    async def _give_up(self, owed: EmailNotice) -> None:
        await self._settle(owed)
        text = f"the mail server took no letter to a patient of {owed.tenant} for a day; messaging-service doctor"
        await self._alerts.begin(f"email-notice-given-up {owed.tenant}", text)

    async def _has_unread(self, owed: EmailNotice) -> bool:
        """Whether there is still something that this reader may see and has not read."""
        records = await self._patients.members(await self._patients.survivor(owed.patient))
        threads = (await self._threads.threads(owed.threads)).values()
        seen = [thread.id for thread in threads if sees(Author("", owed.role, ""), records, thread)]
        return any((await self._reads.unread(seen, owed.reader, records)).values())

    async def _destination(self, owed: EmailNotice) -> Destination:
        patient = await self._patients.load(owed.patient)
        return unpack(patient.unseal("", SEALED_AS, owed.sealed), Destination)
