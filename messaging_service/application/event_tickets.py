"""Tickets that open one event stream each: a browser's EventSource cannot send an Authorization header."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from messaging_service.application.callers import Writer
from messaging_service.application.codec import from_document, pack, to_document, unpack
from messaging_service.application.collections import TICKETS
from messaging_service.application.due_pages import remove_due
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.crypto.keyring import Keyring
from messaging_service.crypto.sealing import Place
from messaging_service.domain.message import Author, Identifier
from messaging_service.domain.refusals import Unauthenticated
from messaging_service.tenants import Tenant

VALID_MS = 60_000
_SHAPE = 43
"""Characters of 32 bytes in base64url."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    """A ticket at rest: its id is a digest, so that nobody who reads the store can use one. `used` once, for ever."""

    id: str
    tenant: str
    at: int
    sealed: bytes = field(repr=False)
    used: bool = False
    version: int = 1


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whose ticket it is, as the token that asked for it said."""

    identifiers: tuple[Identifier, ...]
    author: Author
    patient_name: str


class EventTickets:
    """Issues tickets and takes them back, once each, at whichever gateway."""

    def __init__(self, store: DocumentStore, keyring: Keyring, tenants: Mapping[str, Tenant], clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._tenants = tenants
        self._clock = clock

    async def issue(self, writer: Writer) -> tuple[str, int]:
        """A ticket, and until when it is good (milliseconds)."""
        ticket, now = secrets.token_urlsafe(32), self._clock()
        id = _digest(ticket)
        holder = _Holder(writer.identifiers, writer.author, writer.patient_name)
        sealed = self._keyring.seal_transit(pack(holder), Place(writer.tenant.id, "", id, "ticket"))
        await self._store.insert(TICKETS, [to_document(_Ticket(id, writer.tenant.id, now, sealed))])
        return ticket, now + VALID_MS

    async def redeem(self, ticket: str) -> Writer:
        """Whoever asked for this ticket.

        Raises:
            Unauthenticated: there is no such ticket, it is older than a minute, or it was used before.
        """
        document = await self._store.get(TICKETS, _digest(ticket)) if len(ticket) == _SHAPE else None
        if document is None:
            raise Unauthenticated("no such ticket")
        found = from_document(document, _Ticket)
        tenant = self._tenants.get(found.tenant)
        if tenant is None or found.used or not 0 <= self._clock() - found.at < VALID_MS:
            raise Unauthenticated("the ticket was used, or is older than a minute")
        if not await self._store.replace(TICKETS, {**document, "used": True}):
            raise Unauthenticated("the ticket was used")
        packed = self._keyring.open_transit(found.sealed, Place(found.tenant, "", found.id, "ticket"))
        holder = unpack(packed, _Holder)
        return Writer(tenant, holder.identifiers, holder.author, holder.patient_name, assured=True)

    async def forget(self) -> int:
        """Drop the tickets that are no good any more; returns how many."""
        return await remove_due(self._store, TICKETS, "by_time", self._tenants, below=self._clock() - VALID_MS)


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("ascii", "replace")).hexdigest()
