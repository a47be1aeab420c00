"""The register of logins (terms articles 7): each once, however many tokens and requests come of it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice

import structlog

from messaging_service.application.actors import staff_pseudonym
from messaging_service.application.collections import LOGINS
from messaging_service.application.ports import Document, DocumentStore
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import StoreDown
from messaging_service.tenants import Tenant

PATIENTS, REPRESENTATIVES, STAFF = "patient", "representative", "staff"
_MOST_KNOWN = 100_000
_MOST_WAITING = 100_000
_BATCH = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Login:
    """One login at an issuer. `proof` is the same in all tokens that come of it; `at` in milliseconds."""

    tenant: str
    kind: str
    subject: str = field(repr=False)
    proof: str = field(repr=False)
    at: int
    assured: bool


@dataclass(frozen=True, slots=True)
class DayOfLogins:
    """How many logged in on one day, in the tenant's time zone."""

    day: date
    patients: int
    representatives: int
    staff: int


class Logins:
    """Registers logins in batches, off the hot path: a token that was seen before costs nothing, a new one no wait.

    The id of an entry is a digest of the login, so that however many gateways see it, it is there once. What a killed
    gateway had not written yet is registered with the next request of the same login, wherever that comes in.
    """

    def __init__(
        self, store: DocumentStore, keyring: Keyring, tenants: Mapping[str, Tenant], *, interval: float = 0.25
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._tenants = tenants
        self._interval = interval
        self._known: OrderedDict[str, None] = OrderedDict()
        self._waiting: deque[Document] = deque()

    def seen(self, login: Login) -> None:
        """A token of this login was verified."""
        id = self._keyring.digest(login.tenant, "login", login.kind, login.subject, login.proof)
        if id in self._known:
            return
        if len(self._waiting) >= _MOST_WAITING:  # the store is down for long: this one is registered when seen again
            log.error("login_not_registered", tenant=login.tenant)
            return
        self._known[id] = None
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        self._waiting.append(self._entry(id, login))

    def _entry(self, id: str, login: Login) -> Document:
        moment = datetime.fromtimestamp(login.at / 1000, UTC).astimezone(self._tenants[login.tenant].zone)
        return {
            "id": id,
            "tenant": login.tenant,
            "day": moment.date().isoformat(),
            "kind": login.kind,
            "at": login.at,
            "actor": self._pseudonym(login),
            "assured": login.assured,
        }

    def _pseudonym(self, login: Login) -> str:
        if login.kind == STAFF:
            return staff_pseudonym(self._keyring, login.tenant, login.subject)
        return self._keyring.pseudonym(login.tenant, login.subject)

    async def keep(self, stop: asyncio.Event) -> None:
        """Write until `stop`, then once more. A store that is down is tried again."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), self._interval)
            except TimeoutError:
                await self._try_flush()
        await self._try_flush()

    async def _try_flush(self) -> None:
        try:
            await self.flush()
        except StoreDown:
            return  # they wait in memory until the store is back

    async def flush(self) -> None:
        """Write what waits. Raises StoreDown."""
        while self._waiting:
            batch = list(islice(self._waiting, _BATCH))
            await self._store.insert(LOGINS, batch)
            for _ in batch:
                self._waiting.popleft()

    async def per_day(self, tenant: str, days: Sequence[date]) -> list[DayOfLogins]:
        """How many logged in at the tenant on each of these days."""
        counted = []
        for day in days:
            numbers = [await self._count(tenant, day, kind) for kind in (PATIENTS, REPRESENTATIVES, STAFF)]
            counted.append(DayOfLogins(day, *numbers))
        return counted

    async def _count(self, tenant: str, day: date, kind: str) -> int:
        return await self._store.count(LOGINS, "by_day", {"tenant": tenant, "day": day.isoformat(), "kind": kind})
