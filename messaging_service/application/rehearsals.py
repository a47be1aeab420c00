"""When the way of alarms was tried last, hospital by hospital, and whether on-call's channels took it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import REHEARSALS
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.tenants import Tenant

ALARM_PATH = "alarm-path"
"""The alert, with the tenant behind it, that the way of alarms is not proved."""

_MINUTE_MS = 60_000
_TRIES = 16


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The last ones of one tenant (its `id`): sent, and taken by on-call; `failed` channels did not take the last.

    `began_at` is when the first one began to be waited for, `harmless_at` when the screening last found one harmless,
    which then went nowhere. All in milliseconds; 0: never.
    """

    id: str
    began_at: int
    sent_at: int
    taken_at: int = 0
    failed: tuple[str, ...] = ()
    harmless_at: int = 0
    version: int = 1


class Rehearsals:
    """Reads and writes them."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def last(self, tenant: str) -> Rehearsal | None:
        """The last of a tenant."""
        document = await self._store.get(REHEARSALS, tenant)
        return from_document(document, Rehearsal) if document else None

    async def claim(self, tenant: str, minutes: int) -> bool:
        """Whether it is time for the next one and the caller is to send it: of several, one is."""
        now, last = self._clock(), await self.last(tenant)
        if last is None:
            await self._store.insert(REHEARSALS, [to_document(Rehearsal(tenant, now, now))])
            return False
        if now - last.sent_at < minutes * _MINUTE_MS:
            return False
        return await self._store.replace(REHEARSALS, to_document(replace(last, sent_at=now)))

    async def taken(self, tenant: str, failed: Sequence[str]) -> None:
        """It came through to on-call; `failed` names the channels that did not take it."""
        await self._write(tenant, lambda last, now: replace(last, taken_at=now, failed=tuple(failed)))

    async def harmless(self, tenant: str) -> None:
        """The screening took it for harmless: it went nowhere."""
        await self._write(tenant, lambda last, now: replace(last, harmless_at=now))

    async def _write(self, tenant: str, change: Callable[[Rehearsal, int], Rehearsal]) -> None:
        for _ in range(_TRIES):
            now, last = self._clock(), await self.last(tenant)
            if last is None:
                fresh = to_document(change(Rehearsal(tenant, now, now), now))
                if (await self._store.insert(REHEARSALS, [fresh]))[0]:
                    return
            elif await self._store.replace(REHEARSALS, to_document(change(last, now))):
                return


def overdue_after(minutes: int) -> int:
    """How many minutes without one are too many, where one is sent every so many `minutes`."""
    return 2 * minutes + 1


class WatchRehearsals:
    """Tells operations, by their own channel, when rehearsals stay away. Every process watches, so that none need live.

    A process that has just begun gives the others their time first. It takes that for no proof: what stands ends only
    with a rehearsal that was taken after it began.
    """

    def __init__(self, *, tenants: Mapping[str, Tenant], rehearsals: Rehearsals, alerts: Alerts, clock: Clock) -> None:
        self._tenants = tenants
        self._rehearsals = rehearsals
        self._alerts = alerts
        self._clock = clock
        self._began_at = clock()

    async def __call__(self) -> None:
        """Look once. Raises StoreDown."""
        for tenant in self._tenants.values():
            minutes, last = tenant.on_call.rehearse_minutes, await self._rehearsals.last(tenant.id)
            if minutes and last is not None:
                await self._tell(last, self._amiss(last, minutes))

    def _amiss(self, last: Rehearsal, minutes: int) -> str:
        if last.harmless_at > last.taken_at:
            return "the screening does not find the rehearsal urgent; `messaging-service screen` says why."
        silent = self._clock() - max(last.taken_at, last.began_at, self._began_at)
        if silent > overdue_after(minutes) * _MINUTE_MS:
            return f"no rehearsal reached on-call in {silent // _MINUTE_MS} minutes; would an alarm?"
        return f"on-call did not take the rehearsal by {', '.join(last.failed)}" if last.failed else ""

    async def _tell(self, last: Rehearsal, amiss: str) -> None:
        key = f"{ALARM_PATH} {last.id}"
        if not amiss and await self._alerts.stands(key, since=last.taken_at):
            amiss = "no rehearsal has reached on-call since."
        if amiss:
            await self._alerts.begin(key, f"{last.id}: {amiss} See `messaging-service alarms rehearse` and `doctor`")
        elif last.taken_at:
            await self._alerts.end(key, f"{last.id}: rehearsals reach on-call")
