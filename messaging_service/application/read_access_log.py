"""Who looked: a patient, or whoever acts for one, asks about the own record, an auditor about a patient's.

That they looked is written down as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from messaging_service.application.access_entry import THE_LOG, StoredEntry
from messaging_service.application.access_log import SEALED_AS
from messaging_service.application.accounts import Accounts
from messaging_service.application.actors import OPERATIONS
from messaging_service.application.callers import PATIENT, REPRESENTATIVE, Staff, Writer
from messaging_service.application.codec import from_document, unpack
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, Actor, DocumentStore
from messaging_service.application.threads import Threads
from messaging_service.application.visibility import sees
from messaging_service.domain.errors import MessageFault
from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import NotFound
from messaging_service.tenants import Tenant

_OF_NO_THREAD = ("account", "representative", "care", "threads", THE_LOG)
_ShownTo = Callable[[StoredEntry], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class AccessView:
    """An entry as it is shown. `name` is "" where it is not shown, or was destroyed with the patient's key."""

    entry: StoredEntry
    name: str = field(repr=False)


class ReadAccessLog:
    """The use cases behind GET /v1/access-log, POST /v1/access-log-searches and `audit of-patient`."""

    def __init__(
        self, *, store: DocumentStore, patients: Patients, accounts: Accounts, threads: Threads, access_log: AccessLog
    ) -> None:
        self._store = store
        self._patients = patients
        self._accounts = accounts
        self._threads = threads
        self._access_log = access_log

    async def own(self, reader: Writer, *, below: str | None, limit: int) -> list[AccessView]:
        """Newest first; staff by name where the tenant says so, and nothing of private threads for a representative.

        Raises:
            Those of `Accounts.enter`.
        """
        entry = await self._accounts.enter(reader, writing=False)
        records = await self._patients.members(entry.patient)

        async def shown(found: StoredEntry) -> bool:
            return await self._sees(entry.author, records, found)

        page = await self._page(reader.tenant, records, shown, below, limit)
        await self._log(reader.tenant, records, self._accounts.by(reader), "own data")
        return [await self._view(found, self._is_named(reader.tenant, found)) for found in page]

    async def search(
        self, staff: Staff, identifiers: Sequence[Identifier], *, below: str | None, limit: int
    ) -> list[AccessView]:
        """All of the patient with these identifiers, newest first. Raises NotFound."""
        patient = await self._patients.find(staff.tenant.id, identifiers)
        if patient is None:
            raise NotFound
        return await self._audited(staff.tenant, patient, self._accounts.by(staff), below, limit)

    async def of_patient(self, tenant: Tenant, patient: str, limit: int) -> list[AccessView]:
        """The same by the account's id, for whoever runs commands on the host."""
        return await self._audited(tenant, patient, OPERATIONS, None, limit)

    async def _audited(
        self, tenant: Tenant, patient: str, by: Actor, below: str | None, limit: int
    ) -> list[AccessView]:
        async def shown(_: StoredEntry) -> bool:
            return True

        records = await self._patients.members(patient)
        page = await self._page(tenant, records, shown, below, limit)
        await self._log(tenant, records, by, "audit")
        return [await self._view(found, named=True) for found in page]

    async def _page(
        self, tenant: Tenant, records: Sequence[str], shown: _ShownTo, below: str | None, limit: int
    ) -> list[StoredEntry]:
        """Newest first, as many as are asked for, with those left out that are not shown."""
        found: list[StoredEntry] = []
        while len(found) < limit:
            every = [await self._of_record(id, below, limit) for id in records]
            page = sorted(chain.from_iterable(every), key=lambda entry: entry.order, reverse=True)[:limit]
            wanted = await asyncio.gather(*map(shown, page))
            found += [entry for entry, is_shown in zip(page, wanted, strict=True) if is_shown]
            if len(page) < limit:
                break
            below = page[-1].order
        return [entry for entry in found[:limit] if entry.tenant == tenant.id]

    async def _of_record(self, id: str, below: str | None, limit: int) -> list[StoredEntry]:
        found = await self._store.find(
            ACCESS_LOG, "of_patient", {"patient": id}, below=below, descending=True, limit=limit
        )
        return [from_document(document, StoredEntry) for document in found]

    async def _sees(self, author: Author, records: Sequence[str], entry: StoredEntry) -> bool:
        """What is about a thread that the author does not see, or about nothing known here, is not shown either."""
        if author.role == PATIENT or entry.object_kind in _OF_NO_THREAD:
            return True
        message = await self._threads.message(entry.object)
        thread = await self._threads.thread(message.thread if message else entry.object)
        return thread is not None and sees(author, records, thread)

    def _is_named(self, tenant: Tenant, entry: StoredEntry) -> bool:
        return entry.role in (PATIENT, REPRESENTATIVE) or tenant.access_log.staff_shown_by == "name"

    async def _view(self, entry: StoredEntry, named: bool) -> AccessView:
        if not named or not entry.name:
            return AccessView(entry, "")
        try:
            patient = await self._patients.load(entry.patient)
        except MessageFault:
            return AccessView(entry, "")  # destroyed with the patient's key
        return AccessView(entry, unpack(patient.unseal(entry.object, SEALED_AS, entry.name), str))

    async def _log(self, tenant: Tenant, records: Sequence[str], by: Actor, purpose: str) -> None:
        for id in records:
            await self._access_log.record(Access(tenant.id, id, by, "read", THE_LOG, id, purpose))
