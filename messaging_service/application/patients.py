"""Patients: a random id inside, identifiers by keyed digest, one data-encryption key each."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from messaging_service.application.codec import from_document, pack, to_document, unpack
from messaging_service.application.collections import IDENTIFIERS, PATIENTS
from messaging_service.application.ports import Document, DocumentStore
from messaging_service.crypto.keyring import Keyring, kek_version_of
from messaging_service.crypto.sealing import Place, seal, unseal
from messaging_service.domain.errors import Conflict, MessageFault
from messaging_service.domain.message import Identifier

_CACHED_KEYS = 10_000
_DEK_ID = "dek"
DESTROYING = "destroying"
"""Marks a record whose key is about to be destroyed: nothing more is stored under it."""


@dataclass(frozen=True, slots=True)
class _PatientDocument:
    id: str
    tenant: str
    wrapped_dek: bytes
    sealed: bytes
    kek: int
    version: int = 1
    merged_into: str = ""
    linked_at: int = 0
    named_at: int = 0


@dataclass(frozen=True, slots=True)
class _Sealed:
    identifiers: tuple[Identifier, ...]
    name: str


@dataclass(frozen=True, slots=True, repr=False)
class Patient:
    """A patient as the workers need one: the internal id and what opens and closes this patient's seals."""

    tenant: str
    id: str
    dek: bytes

    def seal(self, message: str, field: str, value: object) -> bytes:
        """`value` packed and sealed under this patient's key, bound to message and field."""
        return seal(self.dek, _DEK_ID, pack(value), Place(self.tenant, self.id, message, field))

    def unseal(self, message: str, field: str, sealed: bytes) -> bytes:
        """The packed value. Raises UnsealFailed."""
        return unseal(self.dek, sealed, Place(self.tenant, self.id, message, field))


class Patients:
    """Looks patients up by identifier and makes those that are new."""

    def __init__(self, store: DocumentStore, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring
        self._known: OrderedDict[str, Patient] = OrderedDict()
        self._digest = lru_cache(_CACHED_KEYS)(self._reckon_digest)  # a patient who writes is looked up again and again

    def key(self, tenant: str, identifiers: Sequence[Identifier]) -> str:
        """The look-up key of a patient: a digest of the first identifier, the same on every gateway."""
        return self._digest(tenant, identifiers[0])

    async def find(self, tenant: str, identifiers: Sequence[Identifier]) -> str | None:
        """The internal id of the patient with the first of these identifiers."""
        document = await self._store.get(IDENTIFIERS, self._digest(tenant, identifiers[0]))
        return document["patient"] if document else None

    async def known(self, tenant: str, identifiers: Sequence[Identifier]) -> frozenset[str]:
        """The internal ids of those with any of these identifiers: more than one when they are of two records."""
        digests = [self._digest(tenant, identifier) for identifier in identifiers]
        found = await self._store.get_many(IDENTIFIERS, digests)
        return frozenset(document["patient"] for document in found.values())

    async def own(self, tenant: str, identifiers: Sequence[Identifier]) -> str:
        """The internal id of the record that these identifiers were given to, made when new, merged or not.

        Raises:
            Conflict: as `ensure`.
        """
        await self.ensure(tenant, identifiers, "")
        document = await self._store.get(IDENTIFIERS, self._digest(tenant, identifiers[0]))
        if document is None:
            raise Conflict("patient")
        return str(document["own"])

    async def members(self, id: str) -> tuple[str, ...]:
        """This record and all that were merged into it, directly or not: the records of one person; of none, none."""
        found = [id] if id else []
        for each in found:
            merged = await self._store.find(PATIENTS, "of_survivor", {"merged_into": each})
            found += [document["id"] for document in merged if document["id"] not in found]
        return tuple(found)

    async def survivor(self, id: str) -> str:
        """The record that this one was merged into, in however many steps; itself when in none."""
        seen = {id}
        while (document := await self._store.get(PATIENTS, id)) and document["merged_into"]:
            id = document["merged_into"]
            if id in seen:
                break
            seen.add(id)
        return id

    async def load(self, id: str) -> Patient:
        """The patient with that internal id.

        Raises:
            MessageFault: final; there is none, as after a restore or a destruction.
        """
        if known := self._known.get(id):
            self._known.move_to_end(id)
            return known
        document = await self._store.get(PATIENTS, id)
        if document is None:
            raise MessageFault("patient_unknown", final=True)
        stored = from_document(document, _PatientDocument)
        dek = self._keyring.unwrap_dek(stored.tenant, id, stored.wrapped_dek)
        return self._remember(Patient(stored.tenant, id, dek))

    async def is_kept(self, id: str) -> bool:
        """Whether what was just stored under this record can be opened later on; asked after it was stored."""
        document = await self._store.get(PATIENTS, id)
        return document is not None and not document.get(DESTROYING, False)

    async def ensure(self, tenant: str, identifiers: Sequence[Identifier], name: str) -> Patient:
        """The patient with these identifiers, made when new. The identifier's document is the arbiter of races.

        Raises:
            Conflict: two makers met and neither is visible yet; try again.
        """
        digests = [self._digest(tenant, identifier) for identifier in identifiers]
        known = await self._store.get_many(IDENTIFIERS, digests)
        if digests[0] in known:
            patient, own = await self.load(known[digests[0]]["patient"]), known[digests[0]]["own"]
        else:
            patient = await self._make(tenant, identifiers, name)
            own = patient.id
        await self._store_identifiers(patient, own, [digest for digest in digests[1:] if digest not in known])
        return patient

    async def _make(self, tenant: str, identifiers: Sequence[Identifier], name: str) -> Patient:
        id = secrets.token_hex(16)
        dek, wrapped = self._keyring.new_dek(tenant, id)
        patient = Patient(tenant, id, dek)
        sealed = patient.seal("", "patient", _Sealed(tuple(identifiers), name))
        await self._store.insert(
            PATIENTS, [to_document(_PatientDocument(id, tenant, wrapped, sealed, kek_version_of(wrapped)))]
        )
        if (await self._store_identifiers(patient, id, [self._digest(tenant, identifiers[0])]))[0]:
            return self._remember(patient)
        await self._store.delete(PATIENTS, id)
        if winner := await self.find(tenant, identifiers):
            return await self.load(winner)
        raise Conflict("patient")

    async def _store_identifiers(self, patient: Patient, own: str, digests: Sequence[str]) -> list[bool]:
        documents: list[Document] = [
            {"id": digest, "tenant": patient.tenant, "patient": patient.id, "own": own} for digest in digests
        ]
        return await self._store.insert(IDENTIFIERS, documents) if documents else []

    async def identity(self, id: str) -> tuple[tuple[Identifier, ...], str]:
        """Identifiers and name, opened. Raises MessageFault when the patient is unknown."""
        patient = await self.load(id)
        document = await self._store.get(PATIENTS, id)
        if document is None:
            raise MessageFault("patient_unknown", final=True)
        opened = unpack(patient.unseal("", "patient", document["sealed"]), _Sealed)
        return opened.identifiers, opened.name

    async def rename(self, id: str, name: str, at: int) -> None:
        """The name that the hospital knows since `at` (milliseconds); an older one changes nothing.

        Raises:
            Conflict: somebody else changed the record at the same moment.
        """
        patient, document = await self.load(id), await self._store.get(PATIENTS, id)
        if document is None:
            raise MessageFault("patient_unknown", final=True)
        known = unpack(patient.unseal("", "patient", document["sealed"]), _Sealed)
        if (at, name) <= (document["named_at"], known.name) or not name:
            return
        sealed = patient.seal("", "patient", _Sealed(known.identifiers, name))
        if not await self._store.replace(PATIENTS, {**document, "sealed": sealed, "named_at": at}):
            raise Conflict("patient")

    async def correct_name(self, id: str, name: str, at: int) -> None:
        """The name as the hospital's desk says at `at` (milliseconds), "" for none; the EPD may tell a newer one.

        Raises:
            Conflict: somebody else changed the record at the same moment.
        """
        patient, document = await self.load(id), await self._store.get(PATIENTS, id)
        if document is None:
            raise MessageFault("patient_unknown", final=True)
        known = unpack(patient.unseal("", "patient", document["sealed"]), _Sealed)
        sealed = patient.seal("", "patient", _Sealed(known.identifiers, name))
        corrected = {**document, "sealed": sealed, "named_at": max(at, document["named_at"])}
        if not await self._store.replace(PATIENTS, corrected):
            raise Conflict("patient")

    def _reckon_digest(self, tenant: str, identifier: Identifier) -> str:
        return self._keyring.digest(tenant, "identifier", identifier.system, identifier.value)

    def _remember(self, patient: Patient) -> Patient:
        self._known[patient.id] = patient
        while len(self._known) > _CACHED_KEYS:
            self._known.popitem(last=False)
        return patient
