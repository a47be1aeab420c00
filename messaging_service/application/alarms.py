"""Alarms that nobody has acknowledged yet: listed, and acknowledged by whoever was told."""

from __future__ import annotations

from dataclasses import replace

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import ALARMS, HELD
from messaging_service.application.escalate import OPEN, StoredAlarm
from messaging_service.application.ports import Access, AccessLog, AccessPoint, Actor, Clock, DocumentStore
from messaging_service.application.threads import Threads
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import Conflict
from messaging_service.domain.refusals import NotFound

ACKNOWLEDGED = "acknowledged"
BY_LINK = Actor("alarm-link", "on-call", "told of the alarm", "", AccessPoint.STAFF, "signed link")
"""Whoever was told of the alarm: the link proves that, and not who it was."""

_TRIES = 16


class Alarms:
    """The use cases of `GET /v1/alarms`, of acknowledging, and of `messaging-service alarms`."""

    def __init__(
        self, *, store: DocumentStore, threads: Threads, keyring: Keyring, access_log: AccessLog, clock: Clock
    ) -> None:
        self._store = store
        self._threads = threads
        self._keyring = keyring
        self._access_log = access_log
        self._clock = clock

    async def open(self, tenant: str, limit: int) -> list[StoredAlarm]:
        """A tenant's alarms that nobody acknowledged, the oldest first."""
        found = await self._store.find(ALARMS, "of_tenant", {"tenant": tenant, "state": OPEN}, limit=limit)
        return [from_document(document, StoredAlarm) for document in found]

    async def of_link(self, link: str) -> StoredAlarm:
        """The alarm that a link acknowledges.

        Raises:
            LinkInvalid: it is no link of ours, or its time is over.
            NotFound: the alarm is not there any more, or another one took its place.
        """
        meant = self._keyring.read_alarm_link(link, self._clock())
        alarm = await self._alarm(meant.thread)
        if alarm is None or alarm.tenant != meant.tenant or meant.message not in alarm.messages:
            raise NotFound
        return alarm

    async def acknowledge_by_link(self, link: str) -> StoredAlarm:
        """Acknowledge it; doing it twice changes nothing. Raises as `of_link`."""
        return await self._acknowledge(await self.of_link(link), BY_LINK)

    async def acknowledge(self, tenant: str, message: str, by: Actor) -> StoredAlarm:
        """Acknowledge the alarm that this message raised or was counted under. Raises NotFound."""
        alarm = await self._alarm(message) or await self._alarm(await self._thread_of(message))
        if alarm is None or alarm.tenant != tenant or message not in (alarm.id, *alarm.messages):
            raise NotFound
        return await self._acknowledge(alarm, by)

    async def _alarm(self, thread: str) -> StoredAlarm | None:
        document = await self._store.get(ALARMS, thread)
        return from_document(document, StoredAlarm) if document else None

    async def _thread_of(self, message: str) -> str:
        if (stored := await self._threads.message(message)) is not None:
            return stored.thread
        held = await self._store.get(HELD, message)
        return str(held["thread"]) if held else ""

    async def _acknowledge(self, alarm: StoredAlarm, by: Actor) -> StoredAlarm:
        """Written down before it is done. One that rang anew meanwhile is not taken for the one that was seen."""
        first = alarm.messages[0]
        stored = await self._threads.message(first)
        patient = stored.patient if stored else ""
        if alarm.state == OPEN:
            await self._access_log.record(Access(alarm.tenant, patient, by, "update", "alarm", alarm.id, "emergency"))
        for _ in range(_TRIES):
            if alarm.state != OPEN or alarm.messages[0] != first:
                return alarm
            done = replace(alarm, state=ACKNOWLEDGED, acknowledged_at=self._clock())
            if await self._store.replace(ALARMS, to_document(done)):
                return done
            alarm = await self._alarm(alarm.id) or alarm
        raise Conflict(f"alarm of {alarm.id}")
