"""Where a patient, or who acts for one, wants to be told by e-mail that there is a message. See decision 028."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from messaging_service.application.accounts import Accounts, Entry
from messaging_service.application.callers import PATIENT, Writer
from messaging_service.application.codec import from_document, to_document, unpack
from messaging_service.application.collections import EMAIL_NOTICES
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, Clock, DocumentStore
from messaging_service.domain.errors import Conflict
from messaging_service.domain.refusals import CodeWrong, Forbidden, NotFound

UNCONFIRMED, CONFIRMED, REFUSED = "unconfirmed", "confirmed", "refused"
SEALED_AS = "email_notice"
CODE_HOLDS_MS = 86_400_000
_CODE_DIGITS = 8
_MOST_WRONG = 5
"""Codes tried on one letter: one in twenty million is the chance to guess it."""
_TRIES = 16


@dataclass(frozen=True, slots=True)
class EmailNotice:
    """One reader's wish to be told of one patient's messages; `reader` is a pseudonym. Times in milliseconds.

    `state` holds since `at`: UNCONFIRMED until the code came back, REFUSED once the mail server refused the address
    for good. A letter is owed since `owed_since`, the next try is at `due_at` (0: none is owed); while UNCONFIRMED it
    is the one with the code. `threads` have something new; `sent_at` is when the last letter told of such.
    """

    id: str
    tenant: str
    patient: str
    reader: str
    role: str
    state: str
    at: int
    sealed: bytes
    due_at: int = 0
    owed_since: int = 0
    sent_at: int = 0
    threads: tuple[str, ...] = ()
    wrong: int = 0
    version: int = 1


@dataclass(frozen=True, slots=True, repr=False)
class Destination:
    """What is sealed: where to, in which language, to which subject of a token, and the code that proves it."""

    address: str
    language: str
    subject: str
    code: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class EmailNoticeView:
    """What one's own wish is; `state` off where there is none. `offered`: whether the hospital sends such e-mail."""

    offered: bool
    state: str = "off"
    at: int = 0
    address: str = ""
    language: str = ""


class EmailNotices:
    """Behind /v1/account/notifications. Everybody sees and changes their own alone."""

    def __init__(
        self, *, store: DocumentStore, accounts: Accounts, patients: Patients, access_log: AccessLog, clock: Clock
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._patients = patients
        self._access_log = access_log
        self._clock = clock

    async def show(self, who: Writer) -> EmailNoticeView:
        """One's own wish, also while the account is blocked. Raises as `Accounts.known`."""
        account, _ = await self._accounts.known(who, make=False)
        found = await self._own(who, account.id)
        if found:
            await self._log(who, account.id, "read")
        return await self._view(who, found[0] if found else None)

    async def ask(
        self, who: Writer, address: str, language: str, take: Callable[[], Awaitable[None]]
    ) -> EmailNoticeView:
        """Ask for e-mail at this address: a letter with a code is owed. The same address again changes the language.

        `take` is called for each such letter, which may go to a stranger.

        Raises:
            What `take` raises.
            Forbidden: the hospital sends no such e-mail.
            Conflict: somebody else changed it at the same moment.
            As `Accounts.enter`.
        """
        entry = await self._accounts.enter(who, writing=True)
        if who.tenant.email_notice is None:
            raise Forbidden("this hospital sends no e-mail about messages")
        found = await self._own(who, entry.patient)
        known = next((one for one in found if one.patient == entry.patient), None)
        to = Destination(address, language, who.author.subject)
        wanted = await self._wanted(who, entry, known, to, take)
        await self._log(who, entry.patient, "update")
        if known is None:
            written = (await self._store.insert(EMAIL_NOTICES, [to_document(wanted)]))[0]
        else:
            written = await self._store.replace(EMAIL_NOTICES, to_document(wanted))
        if not written:
            raise Conflict("notifications")
        for other in found:
            if other.patient != entry.patient:  # of a record that was merged into this one
                await self._store.delete(EMAIL_NOTICES, other.id)
        return await self._view(who, wanted)

    async def confirm(self, who: Writer, code: str) -> EmailNoticeView:
        """The code that the letter held. A repeat changes nothing.

        Raises:
            AccountBlocked: as it says.
            NotFound: nothing was asked for.
            CodeWrong: it is another code, too old, or was tried too often; ask anew.
            Conflict: others changed it again and again.
        """
        account, _ = await self._accounts.known(who, make=False)
        account.require_usable(who.tenant.account_rules, self._clock())
        for _ in range(_TRIES):
            found = await self._own(who, account.id)
            if not found:
                raise NotFound
            if found[0].state == CONFIRMED:
                return await self._view(who, found[0])
            await self._log(who, account.id, "update")
            after = await self._with_code(found[0], code)
            if await self._store.replace(EMAIL_NOTICES, to_document(after)):
                if after.state != CONFIRMED:
                    raise CodeWrong
                return await self._view(who, after)
        raise Conflict("notifications")

    async def stop(self, who: Writer) -> EmailNoticeView:
        """No more e-mail, and the address is forgotten; also while the account is blocked."""
        account, _ = await self._accounts.known(who, make=False)
        for one in await self._own(who, account.id):
            await self._log(who, one.patient, "delete")
            await self._store.delete(EMAIL_NOTICES, one.id)
        return await self._view(who, None)

    async def address_of_patient(self, patient: str) -> str:
        """Where the patient asked for e-mail, for the desk that corrects personal data; "" for nowhere."""
        for one in await of_records(self._store, [patient]):
            if one.role == PATIENT:
                return (await self.opened(one)).address
        return ""

    async def forget_patient(self, patient: str) -> None:
        """No more e-mail to the patient; who acts for the patient stops it themselves."""
        for one in await of_records(self._store, [patient]):
            if one.role == PATIENT:
                await self._store.delete(EMAIL_NOTICES, one.id)

    async def opened(self, one: EmailNotice) -> Destination:
        """What it holds sealed."""
        patient = await self._patients.load(one.patient)
        return unpack(patient.unseal("", SEALED_AS, one.sealed), Destination)

    async def _wanted(
        self, who: Writer, entry: Entry, known: EmailNotice | None, to: Destination, take: Callable[[], Awaitable[None]]
    ) -> EmailNotice:
        """A wish with a new code, whose letter is owed at once; or the one that was confirmed, in another language."""
        patient = await self._patients.load(entry.patient)
        if known and known.state == CONFIRMED and (await self.opened(known)).address == to.address:
            return replace(known, sealed=patient.seal("", SEALED_AS, to))
        await take()
        code = f"{secrets.randbelow(10**_CODE_DIGITS):0{_CODE_DIGITS}}"
        sealed = patient.seal("", SEALED_AS, replace(to, code=code))
        reader, now = self._reader(who), self._clock()
        return EmailNotice(
            id=f"{entry.patient}.{reader}",
            tenant=who.tenant.id,
            patient=entry.patient,
            reader=reader,
            role=entry.author.role,
            state=UNCONFIRMED,
            at=now,
            sealed=sealed,
            due_at=now,
            owed_since=now,
            sent_at=known.sent_at if known else 0,
            version=known.version if known else 1,
        )

    async def _with_code(self, one: EmailNotice, code: str) -> EmailNotice:
        destination = await self.opened(one)
        good = one.state == UNCONFIRMED and one.wrong < _MOST_WRONG and self._clock() < one.at + CODE_HOLDS_MS
        if not good:
            raise CodeWrong
        if not hmac.compare_digest(destination.code.encode(), code.encode()):
            return replace(one, wrong=one.wrong + 1)
        sealed = (await self._patients.load(one.patient)).seal("", SEALED_AS, replace(destination, code=""))
        return replace(one, state=CONFIRMED, at=self._clock(), sealed=sealed, due_at=0, owed_since=0)

    async def _own(self, who: Writer, patient: str) -> list[EmailNotice]:
        """One's own, of this record first and then of those that were merged into it."""
        reader, records = self._reader(who), await self._patients.members(patient)
        found = await self._store.get_many(EMAIL_NOTICES, [f"{record}.{reader}" for record in records])
        return [
            from_document(found[id], EmailNotice) for id in (f"{record}.{reader}" for record in records) if id in found
        ]

    def _reader(self, who: Writer) -> str:
        return self._accounts.actor(who.tenant.id, who.author.subject)

    async def _view(self, who: Writer, one: EmailNotice | None) -> EmailNoticeView:
        offered = who.tenant.email_notice is not None
        if one is None:
            return EmailNoticeView(offered)
        opened = await self.opened(one)
        return EmailNoticeView(offered, one.state, one.at, opened.address, opened.language)

    async def _log(self, who: Writer, patient: str, action: str) -> None:
        by = self._accounts.by(who)
        await self._access_log.record(Access(who.tenant.id, patient, by, action, "email_notice", patient, "own data"))


async def of_records(store: DocumentStore, records: Sequence[str]) -> list[EmailNotice]:
    """Everybody's wishes to be told of these records' messages."""
    found = [await store.find(EMAIL_NOTICES, "of_patient", {"patient": record}) for record in records]
    return [from_document(document, EmailNotice) for page in found for document in page]
