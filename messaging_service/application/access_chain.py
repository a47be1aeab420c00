"""One chain of the access log: a tenant's entries of one process run, each holding the digest of the one before."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from messaging_service.application.access_entry import StoredEntry, entry_digest, event_of, order_of, sensitivity_of
from messaging_service.application.codec import to_document
from messaging_service.application.ports import Access, Document


@dataclass(frozen=True, slots=True)
class Head:
    """How far a run is durable: the number and digest of its last entry that is."""

    run: str
    number: int = 0
    digest: str = ""


@dataclass(slots=True)
class Chain:
    """What a process holds of the chain that it writes."""

    tenant: str
    confirmed: Head = field(default_factory=lambda: Head(secrets.token_hex(8)))
    last: Head = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is linked yet."""
        self.last = self.confirmed

    def link(self, access: Access, name: bytes, at: int, source: str) -> Document:
        """The entry that comes next."""
        run, number, by = self.last.run, self.last.number + 1, access.by
        entry = StoredEntry(
            id=f"{run}.{number}",
            tenant=self.tenant,
            run=run,
            number=number,
            confirmed=self.confirmed.number,
            order=order_of(at, run, number),
            at=at,
            event=event_of(access),
            action=access.action,
            outcome=access.outcome,
            actor=by.pseudonym,
            name=name,
            role=by.role,
            point=by.point,
            purpose=access.purpose,
            basis=by.basis,
            authorisation=by.authorisation,
            patient=access.patient,
            object_kind=access.object_kind,
            object=access.object,
            sensitivity=sensitivity_of(access),
            source=source,
            previous=self.last.digest,
        )
        document = to_document(entry)
        document["digest"] = entry_digest(document)
        self.last = replace(self.last, number=number, digest=document["digest"])
        return document

    def confirm(self) -> Head:
        """All that was linked is durable."""
        self.confirmed = self.last
        return self.confirmed
