"""Documents of clinicians that belong to no thread for certain: kept sealed until a person says where they go."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import from_document, pack, to_document, unpack
from messaging_service.application.collections import UNMATCHED
from messaging_service.application.ports import DocumentStore
from messaging_service.crypto.keyring import Keyring
from messaging_service.crypto.sealing import Place
from messaging_service.domain.errors import Conflict, SettingInvalid
from messaging_service.epd.inbound_events import ClinicianWrote

OPEN, BOUND, CLOSED = "open", "bound", "closed"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A document that waits. `id` is its version's, `document` and `sender` say which it is in the EPD."""

    id: str
    tenant: str
    message: str
    sender: str
    document: str
    told: str
    reason: str
    received_at: int
    state: str
    sealed: bytes = field(repr=False)
    remark: str = ""
    version: int = 1


class UnmatchedNotFound(SettingInvalid):
    """No such unmatched document. `messaging-service unmatched list` shows those there are."""


class UnmatchedDocuments:
    """The list. One alert stands while anything is on it."""

    def __init__(self, *, store: DocumentStore, keyring: Keyring, alerts: Alerts) -> None:
        self._store = store
        self._keyring = keyring
        self._alerts = alerts

    async def keep(
        self, id: str, tenant: str, message: str, sender: str, wrote: ClinicianWrote, reason: str, now: int
    ) -> None:
        """Put a document on the list; a repeat changes nothing."""
        sealed = self._keyring.seal_transit(pack(wrote), _place(tenant, id))
        kept = Unmatched(id, tenant, message, sender, wrote.document, wrote.told, reason, now, OPEN, sealed)
        await self._store.insert(UNMATCHED, [to_document(kept)])
        text = f"{tenant}: a clinician's document belongs to no thread; see `messaging-service unmatched list`"
        await self._alerts.begin(_alert(tenant), text)

    async def listed(self, state: str = OPEN, *, above: int = 0, limit: int = 1000) -> list[Unmatched]:
        """Those in a state, oldest first."""
        found = await self._store.find(UNMATCHED, "by_state", {"state": state}, above=above, limit=limit)
        return [from_document(document, Unmatched) for document in found]

    async def show(self, id: str) -> Unmatched:
        """One of them. Raises UnmatchedNotFound."""
        document = await self._store.get(UNMATCHED, id)
        if document is None:
            raise UnmatchedNotFound(id)
        return from_document(document, Unmatched)

    async def of(self, message: str) -> list[Unmatched]:
        """Those of one reply that are open."""
        found = await self._store.find(UNMATCHED, "of_message", {"message": message})
        return [each for each in (from_document(document, Unmatched) for document in found) if each.state == OPEN]

    def opened(self, unmatched: Unmatched) -> ClinicianWrote:
        """What the clinician wrote."""
        packed = self._keyring.open_transit(unmatched.sealed, _place(unmatched.tenant, unmatched.id))
        return unpack(packed, ClinicianWrote)

    async def settle(self, unmatched: Unmatched, state: str, remark: str) -> None:
        """Take one off the list, and its content with it.

        Raises:
            UnmatchedNotFound: it is off the list already.
            Conflict: somebody else did so at the same moment.
        """
        if unmatched.state != OPEN:
            raise UnmatchedNotFound(f"{unmatched.id} is {unmatched.state}")
        settled = replace(unmatched, state=state, remark=remark, sealed=b"")
        if not await self._store.replace(UNMATCHED, to_document(settled)):
            raise Conflict(f"unmatched {unmatched.id}")
        if not any(each.tenant == unmatched.tenant for each in await self.listed()):
            await self._alerts.end(_alert(unmatched.tenant), f"{unmatched.tenant}: nothing unmatched is left")


def _place(tenant: str, id: str) -> Place:
    return Place(tenant, "", id, "unmatched")


def _alert(tenant: str) -> str:
    return f"unmatched {tenant}"
