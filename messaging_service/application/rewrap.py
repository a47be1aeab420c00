"""Patients' keys move to the newest KEK while the service runs; the text itself is not touched.

The version that wraps a patient's DEK stands beside it, indexed: what is left to do is a count, a run that was killed
goes on where it stopped, and a version can be given up once nobody stands under it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from messaging_service.application.collections import PATIENTS
from messaging_service.application.ports import Document, DocumentStore
from messaging_service.crypto.keyring import Keyring, kek_version_of
from messaging_service.domain.errors import Conflict, UnsealFailed

_AT_ONCE = 100


class Rewrap:
    """The use cases behind `messaging-service keys`."""

    def __init__(self, store: DocumentStore, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def used(self, tenant: str) -> dict[int, int]:
        """How many patients' keys each KEK version of the tenant wraps, the oldest version first."""
        counts: dict[int, int] = {}
        above: int | None = None
        while found := await self._next(tenant, above):
            above = int(found["kek"])
            counts[above] = await self._store.count(PATIENTS, "by_kek", {"tenant": tenant, "kek": above})
        return counts

    async def waiting(self, tenant: str) -> int:
        """How many patients' keys are not under the newest KEK."""
        newest = self._keyring.kek_versions(tenant)[-1]
        return sum(count for version, count in (await self.used(tenant)).items() if version < newest)

    async def run(self, tenant: str) -> AsyncIterator[int]:
        """Rewrap all that is not under the newest KEK; yields how many of each batch were done.

        Raises:
            UnsealFailed: a patient's key does not open; names the internal id. What was done before stays done.
        """
        newest = self._keyring.kek_versions(tenant)[-1]
        while batch := await self._store.find(PATIENTS, "by_kek", {"tenant": tenant}, below=newest, limit=_AT_ONCE):
            yield sum(await asyncio.gather(*(self._move(document) for document in batch)))

    async def _move(self, document: Document) -> bool:
        """False when somebody else changed the record meanwhile: it comes again."""
        tenant, id = document["tenant"], document["id"]
        try:
            wrapped = self._keyring.rewrap_dek(tenant, id, document["wrapped_dek"])
        except UnsealFailed as problem:
            raise UnsealFailed(f"patient {id}: {problem.detail}") from problem
        changed = {**document, "wrapped_dek": wrapped, "kek": kek_version_of(wrapped)}
        return await self._store.replace(PATIENTS, changed)

    async def require_unused(self, tenant: str, version: int) -> None:
        """Return when nobody stands under that KEK version.

        Raises:
            Conflict: somebody does.
        """
        left = await self._store.count(PATIENTS, "by_kek", {"tenant": tenant, "kek": version})
        if left:
            raise Conflict(f"{left} patients' keys are wrapped under KEK {version}; run `keys rewrap {tenant}` first")

    async def missing(self, tenant: str) -> list[str]:
        """What is wrong with the tenant's KEKs, a sentence each: found here before a patient finds it."""
        faults = []
        for version, patients in (await self.used(tenant)).items():
            document = await self._next(tenant, version - 1)
            if document is None:
                continue
            try:
                self._keyring.unwrap_dek(tenant, document["id"], document["wrapped_dek"])
            except UnsealFailed as problem:
                faults.append(
                    f"{tenant}: KEK {version} of {patients} patients does not open ({problem.detail}); "
                    "restore the keyring that was used then: `messaging-service keys restore`"
                )
        return faults

    async def _next(self, tenant: str, above: int | None) -> Document | None:
        found = await self._store.find(PATIENTS, "by_kek", {"tenant": tenant}, above=above, limit=1)
        return found[0] if found else None
