"""Which message a document of a clinician is: the same for all its versions, and for what replaces it."""

from __future__ import annotations

from messaging_service.application.collections import REPLACEMENTS
from messaging_service.application.ports import DocumentStore
from messaging_service.crypto.keyring import Keyring, fields_digest
from messaging_service.epd.inbound_events import ClinicianWrote
from messaging_service.tenants import Tenant


class Documents:
    """Message ids for document numbers: derived, so that a repeat finds the same one without a look-up.

    A number is its sender's own: MSH-3 and TXA-12 together name a document.
    """

    def __init__(self, store: DocumentStore, keyring: Keyring) -> None:
        self._store = store
        self._keyring = keyring

    async def message_id(self, tenant: Tenant, sender: str, document: str) -> str:
        """The message that shows a document, or shows what it replaced."""
        replacement = await self._store.get(REPLACEMENTS, self._key(tenant, sender, document))
        return str(replacement["message"]) if replacement else self.first_id(tenant, sender, document)

    async def replace(self, tenant: Tenant, sender: str, wrote: ClinicianWrote) -> str:
        """From now on a document is shown where the one was that it replaces; the message id of that."""
        message = await self.message_id(tenant, sender, wrote.replaces)
        key = self._key(tenant, sender, wrote.document)
        await self._store.insert(REPLACEMENTS, [{"id": key, "tenant": tenant.id, "message": message}])
        return message

    def first_id(self, tenant: Tenant, sender: str, document: str) -> str:
        """The message that a document is while nobody has said that it replaces another."""
        owner = self._keyring.digest(tenant.id, "sender", sender)
        return self._keyring.message_id(tenant.id, owner, document, fields_digest("reply"))

    def _key(self, tenant: Tenant, sender: str, document: str) -> str:
        return self._keyring.digest(tenant.id, "document", sender, document)
