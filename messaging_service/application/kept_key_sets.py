"""Issuers' key sets in the store, so that a gateway that starts while an issuer is down knows whom to trust."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import KEY_SETS
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.crypto.keyring import Keyring

KEPT_FOR_MS = 7 * 24 * 3_600_000
"""After so long without a word from the issuer nobody is trusted on its behalf."""
_AGAIN_AFTER_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class _KeptKeySet:
    """A key set as the issuer published it `at`; `proof` is ours over all of it."""

    id: str
    tenant: str
    issuer: str
    at: int
    raw: bytes = field(repr=False)
    proof: str = field(repr=False)
    version: int = 1


class KeptKeySets:
    """Key sets at rest.

    Whoever can write to the store could otherwise put a key of their own there and be any patient: what does not bear
    our keyring's proof, over tenant, issuer, time and bytes, is not there. An older set of the issuer's own can be put
    back; it is trusted no longer than any, and only while the issuer does not answer.
    """

    def __init__(self, store: DocumentStore, keyring: Keyring, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock

    async def keep(self, tenant: str, issuer: str, raw: bytes) -> None:
        """The issuer has just published this. Raises StoreDown."""
        id, now = self._keyring.digest(tenant, "key set", issuer), self._clock()
        document = await self._store.get(KEY_SETS, id)
        known = from_document(document, _KeptKeySet) if document else None
        if known is not None and known.raw == raw and now - known.at < _AGAIN_AFTER_MS and self._is_ours(known):
            return
        kept = _KeptKeySet(id, tenant, issuer, now, raw, self._proof(tenant, issuer, now, raw))
        if known is None:
            await self._store.insert(KEY_SETS, [to_document(kept)])
        else:  # another gateway that was quicker wrote the same
            await self._store.replace(KEY_SETS, {**to_document(kept), "version": known.version})

    async def find(self, tenant: str, issuer: str) -> bytes | None:
        """What the issuer published last, if that is not too long ago. Raises StoreDown."""
        document = await self._store.get(KEY_SETS, self._keyring.digest(tenant, "key set", issuer))
        if document is None:
            return None
        known = from_document(document, _KeptKeySet)
        if (known.tenant, known.issuer) != (tenant, issuer) or not self._is_ours(known):
            return None
        return known.raw if 0 <= self._clock() - known.at < KEPT_FOR_MS else None

    def _is_ours(self, known: _KeptKeySet) -> bool:
        return hmac.compare_digest(known.proof, self._proof(known.tenant, known.issuer, known.at, known.raw))

    def _proof(self, tenant: str, issuer: str, at: int, raw: bytes) -> str:
        return self._keyring.digest(tenant, "key set proof", issuer, str(at), raw.hex())
