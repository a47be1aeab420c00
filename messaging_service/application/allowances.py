"""How much one caller may still do, counted for all gateways together without a write for each request.

A gateway gives a tenth of every allowance freely. Who needs more is rare: for those it leases a twentieth at a time
from the count that all gateways share. Together they let through the allowance, and at most a fifth of it a gateway.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import structlog

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import ALLOWANCES
from messaging_service.application.due_pages import remove_due
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.crypto.keyring import Keyring, fields_digest
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.quota import Allowance, Quota
from messaging_service.domain.refusals import TooMany

log = structlog.get_logger()

FREE, BLOCK = 10, 20
"""The parts of an allowance that are free and that one lease is."""
_WINDOWS = 50_000
_KEYS = 10_000
_TRIES = 16
_PATIENCE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class _Count:
    """What all gateways took until `ends_at` (milliseconds). The id is a keyed digest of whose it is."""

    id: str
    tenant: str
    ends_at: int
    taken: int
    version: int = 1


@dataclass(slots=True)
class _Window:
    """One gateway's part: it may let `granted` through; `recorded` is shared already, beside what `others` took."""

    ends_at: int
    granted: int
    spent: int = 0
    recorded: int = 0
    others: int = 0
    leasing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Allowances:
    """One gateway's view; each key's window begins when somebody first uses it. Bounded memory."""

    def __init__(self, store: DocumentStore, keyring: Keyring, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._key_of = lru_cache(_KEYS)(self._reckon_key)  # each message of a caller asks for the same few

    async def take(self, tenant: str, who: str, quota: Quota, amount: int = 1) -> Allowance:
        """Take `amount` of what `who` may use; `who` is stored as a keyed digest only.

        While the store is down each gateway counts for itself: what could be accepted is not refused for that.

        Raises:
            TooMany: not so much is left; says in how many seconds all of it is there again. Nothing was taken.
        """
        key = self._key_of(tenant, who, quota.name)
        window = self._window(key, quota)
        while window.spent + amount > window.granted:
            if window.spent + amount > quota.most - window.others:
                raise TooMany(self._seconds(window), self._left(window, quota))
            async with window.leasing:  # those who come meanwhile find what this one leased
                await self._lease(key, tenant, window, quota, amount)
        window.spent += amount
        return self._left(window, quota)

    def give_back(self, tenant: str, who: str, quota: Quota, amount: int = 1) -> None:
        """What was taken a moment ago was not used."""
        window = self._window(self._key_of(tenant, who, quota.name), quota)
        window.spent = max(0, window.spent - amount)

    def _reckon_key(self, tenant: str, who: str, quota: str) -> str:
        return self._keyring.message_id(tenant, f"allowance {who}", quota, fields_digest())

    def _window(self, key: str, quota: Quota) -> _Window:
        window = self._windows.get(key)
        if window is None or window.ends_at <= self._clock():
            free = quota.most // FREE
            window = self._windows[key] = _Window(self._clock() + quota.seconds * 1000, free)
        self._windows.move_to_end(key)
        if len(self._windows) > _WINDOWS:
            self._windows.popitem(last=False)
        return window

    def _left(self, window: _Window, quota: Quota) -> Allowance:
        return Allowance(quota, max(0, quota.most - window.others - window.spent), self._seconds(window))

    def _seconds(self, window: _Window) -> int:
        return max(1, math.ceil((window.ends_at - self._clock()) / 1000))

    async def _lease(self, key: str, tenant: str, window: _Window, quota: Quota, amount: int) -> None:
        """More for this window, or the knowledge that others took the rest."""
        if window.spent + amount <= window.granted:
            return
        block = max(amount, quota.most // BLOCK)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                for _ in range(_TRIES):
                    if await self._leased(key, tenant, window, quota.most, block, amount):
                        return
        except (StoreDown, TimeoutError):
            log.warning("allowance_not_shared", policy=quota.name)
        window.granted = min(window.spent + block, quota.most - window.others)

    async def _leased(self, key: str, tenant: str, window: _Window, most: int, block: int, amount: int) -> bool:
        """One try; False when somebody else wrote meanwhile."""
        document = await self._store.get(ALLOWANCES, key)
        count = from_document(document, _Count) if document else None
        if count is None or count.ends_at <= self._clock():
            count = _Count(key, tenant, window.ends_at, window.recorded, count.version if count else 0)
        window.ends_at, window.others = count.ends_at, count.taken - window.recorded
        spent, room = window.spent, most - window.others - window.spent
        if room < amount:
            return True
        lease = spent + min(block, room)
        changed = to_document(replace(count, taken=window.others + lease))
        if count.version:
            written = await self._store.replace(ALLOWANCES, changed)
        else:
            (written,) = await self._store.insert(ALLOWANCES, [{**changed, "version": 1}])
        if written:
            window.granted = window.recorded = lease
        return written


class ForgetAllowances:
    """Drops the counts of windows that are over."""

    def __init__(self, store: DocumentStore, tenants: Iterable[str], clock: Clock) -> None:
        self._store = store
        self._tenants = tuple(tenants)
        self._clock = clock

    async def __call__(self) -> int:
        """How many were dropped. Raises StoreDown; what is left is dropped the next time."""
        return await remove_due(self._store, ALLOWANCES, "by_end", self._tenants, below=self._clock())
