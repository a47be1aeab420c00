"""Who opened which urgent message, when and why: for whoever answers for it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from messaging_service.application.actors import OPERATIONS
from messaging_service.application.codec import from_document, to_document, unpack
from messaging_service.application.collections import OPENINGS
from messaging_service.application.patients import Patient, Patients
from messaging_service.application.ports import Access, AccessLog, DocumentStore
from messaging_service.domain.errors import MessageFault


class Account(msgspec.Struct, frozen=True):
    """Why it was opened, and by whom."""

    reason: str
    subject: str
    name: str

    def __repr__(self) -> str:
        """Never the words: a reason may name the patient."""
        return "Account(…)"


@dataclass(frozen=True, slots=True)
class StoredOpening:
    """One opening. `actor` is who, as in the access log; `sealed` is an Account under the patient's key."""

    id: str
    tenant: str
    patient: str
    message: str
    actor: str
    at: int
    sealed: bytes = field(repr=False)
    version: int = 1


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening as it is shown; without an account where the patient's key was destroyed."""

    id: str
    tenant: str
    message: str
    at: int
    account: Account | None


class Openings:
    """The openings on record."""

    def __init__(self, *, store: DocumentStore, patients: Patients, access_log: AccessLog) -> None:
        self._store = store
        self._patients = patients
        self._access_log = access_log

    async def add(self, id: str, patient: Patient, message: str, actor: str, at: int, account: Account) -> None:
        """Durable when it returns. Raises StoreDown."""
        sealed = patient.seal(message, _field(id), account)
        opening = StoredOpening(id, patient.tenant, patient.id, message, actor, at, sealed)
        await self._store.insert(OPENINGS, [to_document(opening)])

    async def last(self, tenant: str, limit: int) -> list[Opening]:
        """The last ones at a tenant, the newest first; that they were looked at is written down."""
        found = await self._store.find(OPENINGS, "by_time", {"tenant": tenant}, descending=True, limit=limit)
        return [await self._shown(from_document(document, StoredOpening)) for document in found]

    async def _shown(self, stored: StoredOpening) -> Opening:
        access = Access(stored.tenant, stored.patient, OPERATIONS, "read", "opening", stored.id, "audit")
        await self._access_log.record(access)
        return Opening(stored.id, stored.tenant, stored.message, stored.at, await self._account(stored))

    async def _account(self, stored: StoredOpening) -> Account | None:
        try:
            patient = await self._patients.load(stored.patient)
        except MessageFault:
            return None  # destroyed with the patient's key
        return unpack(patient.unseal(stored.message, _field(stored.id), stored.sealed), Account)


def _field(id: str) -> str:
    return f"opening {id}"
