"""The anchors of a tenant's access log: one more chain, of the heads of all runs, that no one can forge from the store.

An anchor says how far a run was durable. So an end that was cut off a run, and a run that is gone, are found. Each is
proved with a key of the keyring, which is not in the store. Whoever keeps an anchor elsewhere (`audit anchor`) finds an
end cut off the anchors too. Writers meet here about once a minute, and never while somebody waits.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from messaging_service.application.access_chain import Head
from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import ACCESS_ANCHORS
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import Conflict

_TRIES = 64
_PAGE = 1_000
_PROOF = "access log anchor"
_UNCHAINED = ("digest", "proof", "version")


class Says(StrEnum):
    """What an anchor says of a run: durable up to here; or let go up to here, since its term is over."""

    HEAD = "head"
    START = "start"


@dataclass(frozen=True, slots=True)
class Anchor:
    """One anchor. `number` counts a tenant's anchors from 1; `previous` is the digest of the one before.

    `run_number` and `run_digest` are those of the run's entry it is about; `at` in milliseconds.
    """

    id: str
    tenant: str
    number: int
    at: int
    says: Says
    run: str
    run_number: int
    run_digest: str
    previous: str
    digest: str = ""
    proof: str = ""
    version: int = 1

    @property
    def head(self) -> Head:
        """The entry that it is about."""
        return Head(self.run, self.run_number, self.run_digest)


class Anchors:
    """A tenant's anchors, made and read in their order."""

    def __init__(self, store: DocumentStore, keyring: Keyring, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock

    async def add(self, tenant: str, says: Says, head: Head) -> Anchor:
        """Durable when it returns. Of two at the same moment the second takes the next number.

        Raises:
            Conflict: too many others anchored.
            StoreDown: the store does not answer; whether it was written nobody knows, and it may be said again.
        """
        for _ in range(_TRIES):
            last = await self.last(tenant)
            number, previous = (last.number + 1, last.digest) if last else (1, "")
            anchor = Anchor(
                id=f"{tenant}.{number}",
                tenant=tenant,
                number=number,
                at=self._clock(),
                says=says,
                run=head.run,
                run_number=head.number,
                run_digest=head.digest,
                previous=previous,
            )
            document = to_document(anchor)
            document["digest"] = anchor_digest(anchor)
            document["proof"] = self._proof(tenant, document["digest"])
            if (await self._store.insert(ACCESS_ANCHORS, [document]))[0]:
                return from_document(document, Anchor)
        raise Conflict(f"anchors of {tenant}")

    async def last(self, tenant: str) -> Anchor | None:
        """The newest one."""
        found = await self._store.find(ACCESS_ANCHORS, "in_order", {"tenant": tenant}, descending=True, limit=1)
        return from_document(found[0], Anchor) if found else None

    async def all(self, tenant: str) -> AsyncIterator[Anchor]:
        """Every one in its order, page by page."""
        above: int | None = None
        while page := await self._store.find(ACCESS_ANCHORS, "in_order", {"tenant": tenant}, above=above, limit=_PAGE):
            for document in page:
                yield from_document(document, Anchor)
            above = page[-1]["number"]

    def is_proved(self, anchor: Anchor) -> bool:
        """Whether it was made with this keyring."""
        return hmac.compare_digest(anchor.proof, self._proof(anchor.tenant, anchor.digest))

    def _proof(self, tenant: str, digest: str) -> str:
        return self._keyring.digest(tenant, _PROOF, digest)


def anchor_digest(anchor: Anchor) -> str:
    """SHA-256 over its fields except digest, proof and the store's version, in hex."""
    chained = {name: value for name, value in to_document(anchor).items() if name not in _UNCHAINED}
    return hashlib.sha256(msgspec.json.encode(chained, order="sorted")).hexdigest()
