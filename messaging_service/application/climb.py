"""Alarms that nobody acknowledges climb the hospital's chain, step by step; its end is told to operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import ALARMS
from messaging_service.application.escalate import OPEN, Duty, StoredAlarm
from messaging_service.application.ports import Alarm, Clock, DocumentStore
from messaging_service.domain.errors import OnCallUnreachable

_MINUTE_MS = 60_000
_LEASE_MS = 60_000
_ENDS_AFTER_MS = 15 * _MINUTE_MS
"""After the last rung (or the first alarm, without a chain) operations are told that nobody acknowledged."""

_FORGOTTEN_AFTER_MS = 24 * 60 * _MINUTE_MS
"""What is older was dealt with otherwise by now, or nobody ever will: it rings no more, and stays on the list."""

_PAGE = 500


class Climb:
    """One step of the clock, in as many processes as like to: whoever takes an alarm up has it for a minute."""

    def __init__(self, *, duties: Mapping[str, Duty], store: DocumentStore, alerts: Alerts, clock: Clock) -> None:
        self._duties = duties
        self._store = store
        self._alerts = alerts
        self._clock = clock

    async def __call__(self) -> None:
        """Tell every rung whose time has come. Raises StoreDown."""
        for duty in self._duties.values():
            unheard = [alarm for alarm in await self._open(duty) if await self._climb(duty, alarm)]
            await self._tell_operations(duty, unheard)

    async def _open(self, duty: Duty) -> list[StoredAlarm]:
        asked, now = {"tenant": duty.tenant.id, "state": OPEN}, self._clock()
        found = await self._store.find(ALARMS, "of_tenant", asked, above=now - _FORGOTTEN_AFTER_MS, limit=_PAGE)
        return [from_document(document, StoredAlarm) for document in found]

    async def _climb(self, duty: Duty, alarm: StoredAlarm) -> bool:
        """Tell the rungs that are due; whether the chain is at its end and nobody acknowledged."""
        now, chain = self._clock(), duty.tenant.on_call.chain
        waited = now - alarm.raised_at
        due = sum(waited >= rung.after_minutes * _MINUTE_MS for rung in chain)
        if due > alarm.climbed and now >= alarm.leased_until:
            await self._take_up(duty, alarm, due)
        last = chain[-1].after_minutes * _MINUTE_MS if chain else 0
        return waited >= last + _ENDS_AFTER_MS

    async def _take_up(self, duty: Duty, alarm: StoredAlarm, due: int) -> None:
        leased = replace(alarm, leased_until=self._clock() + _LEASE_MS)
        if not await self._store.replace(ALARMS, to_document(leased)):
            return  # acknowledged, counted one more or taken up by another: the next round looks again
        climbed = alarm.climbed
        for rung in range(alarm.climbed, due):
            first = alarm.messages[0]
            told = Alarm(alarm.tenant, alarm.id, first, alarm.raised_at, alarm.counted, rung=rung + 1)
            key = f"on-call-down {alarm.tenant} rung {rung + 1}"
            try:
                await duty.rungs[rung].page(told)
                climbed = rung + 1
            except OnCallUnreachable as fault:
                await self._alerts.begin(key, str(fault))
            else:
                await self._alerts.end(key, f"{alarm.tenant}: rung {rung + 1} took an alarm again")
        await self._record(alarm, climbed)

    async def _record(self, alarm: StoredAlarm, climbed: int) -> None:
        """Told first, recorded after. One that was acknowledged meanwhile stays so."""
        document = await self._store.get(ALARMS, alarm.id)
        known = from_document(document, StoredAlarm) if document else None
        if known is not None and known.messages[0] == alarm.messages[0]:
            await self._store.replace(ALARMS, to_document(replace(known, climbed=climbed, leased_until=0)))

    async def _tell_operations(self, duty: Duty, unheard: list[StoredAlarm]) -> None:
        key = f"alarm-unacknowledged {duty.tenant.id}"
        if unheard:
            text = (
                f"{duty.tenant.id}: {len(unheard)} alarms that nobody acknowledged; see `messaging-service alarms list`"
            )
            await self._alerts.begin(key, text)
        elif await self._alerts.stands(key, since=0):
            await self._alerts.end(key, f"{duty.tenant.id}: {await self._how_it_ended(duty.tenant.id)}")

    async def _how_it_ended(self, tenant: str) -> str:
        """What rings no more was not acknowledged. It makes way, so that the next alarm nobody hears is told of."""
        asked, day_ago = {"tenant": tenant, "state": OPEN}, self._clock() - _FORGOTTEN_AFTER_MS
        left = len(await self._store.find(ALARMS, "of_tenant", asked, below=day_ago + 1, limit=_PAGE))
        if not left:
            return "every alarm that went unheard is acknowledged"
        return f"{left} alarms were not acknowledged in 24 hours and ring no more; see `messaging-service alarms list`"
