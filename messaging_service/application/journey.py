"""One message's whole journey as operations see it: times, attempts, the EPD's answers. No content, no numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from messaging_service.application.changes import Changes
from messaging_service.application.codec import from_document
from messaging_service.application.collections import ALARMS, HELD, PARKED, parked_id
from messaging_service.application.escalate import StoredAlarm
from messaging_service.application.mend import COMMAND_LINE, Operator
from messaging_service.application.park import Mending, ParkedMessage
from messaging_service.application.ports import Access, AccessLog, DocumentStore
from messaging_service.application.threads import StoredMessage, Threads
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.filing import Filing
from messaging_service.domain.message import Step


class JourneyNotFound(SettingInvalid):
    """Nothing is stored of this message: it still waits to be persisted, or no such message was accepted here."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a message at `at` (milliseconds); `facts` are codes and identifiers."""

    at: int
    what: str
    document: str
    facts: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Journey:
    """`state` is the filing's, or "parked" or "held" where the message was never stored."""

    message: str
    tenant: str
    thread: str
    kind: str
    lane: str
    state: str
    care_team: str
    routed_by: str
    moments: tuple[Moment, ...]
    parked: tuple[ParkedMessage, ...]


class Journeys:
    """Reads journeys, each reading written down."""

    def __init__(self, *, store: DocumentStore, threads: Threads, changes: Changes, access_log: AccessLog) -> None:
        self._store = store
        self._threads = threads
        self._changes = changes
        self._access_log = access_log

    async def __call__(self, message: str, by: Operator = COMMAND_LINE) -> Journey:
        """The journey of a message, wherever it got to. Raises JourneyNotFound."""
        stored = await self._threads.message(message)
        parked = await self._parked(message)
        journey = await self._of_stored(stored, parked) if stored else await self._of_unstored(message, parked)
        if journey is None or by.tenant not in ("", journey.tenant):
            raise JourneyNotFound(message)
        await self._write_down(journey, stored.patient if stored else "", by)
        return journey

    async def _of_stored(self, stored: StoredMessage, parked: list[ParkedMessage]) -> Journey:
        filing = await self._threads.filing(stored.id)
        changes = await self._changes.of(stored.id)
        filings = await self._threads.filings([change.id for change in changes])
        alarm = await self._alarm(stored.thread, stored.id)
        parked += [one for change in changes for one in await self._parked(change.id)]
        moments = [
            Moment(stored.accepted_at, "accepted", stored.id, {"lane": stored.lane}),
            Moment(stored.persisted_at, "persisted", stored.id, {"place": stored.place}),
            *(moment for one in (filing, *filings.values()) if one for moment in _sendings(one)),
            *_parkings(parked),
            *_alarm_moments(alarm, stored.id),
        ]
        return Journey(
            message=stored.id,
            tenant=stored.tenant,
            thread=stored.thread,
            kind=stored.kind,
            lane=stored.lane,
            state=filing.state if filing else "received",
            care_team=stored.care_team,
            routed_by=stored.routed_by,
            moments=tuple(sorted(moments, key=lambda moment: moment.at)),
            parked=tuple(parked),
        )

    async def _of_unstored(self, message: str, parked: list[ParkedMessage]) -> Journey | None:
        held = await self._store.get(HELD, message)
        if held is None and not parked:
            return None
        tenant = parked[0].tenant if parked else held["tenant"] if held else ""
        thread = parked[0].thread if parked else held["thread"] if held else ""
        moments = [*_parkings(parked), *_alarm_moments(await self._alarm(thread, message), message)]
        return Journey(
            message=message,
            tenant=tenant,
            thread=thread,
            kind="submission",
            lane="",
            state=parked[0].state if parked else "held",
            care_team="",
            routed_by="",
            moments=tuple(sorted(moments, key=lambda moment: moment.at)),
            parked=tuple(parked),
        )

    async def _parked(self, document: str) -> list[ParkedMessage]:
        found = await self._store.get_many(PARKED, [parked_id(document, step) for step in Step])
        return [from_document(one, ParkedMessage) for one in found.values()]

    async def _alarm(self, thread: str, message: str) -> StoredAlarm | None:
        document = await self._store.get(ALARMS, thread)
        alarm = from_document(document, StoredAlarm) if document else None
        return alarm if alarm and message in alarm.messages else None

    async def _write_down(self, journey: Journey, patient: str, by: Operator) -> None:
        await self._access_log.record(
            Access(journey.tenant, patient, by.by, "read", "journey", journey.message, "operations")
        )


def _sendings(filing: Filing) -> Iterator[Moment]:
    for number, attempt in enumerate(filing.attempts, 1):
        sent: dict[str, str | int] = {"attempt": number, "control_id": attempt.control_id}
        if attempt.first_sent_at:
            yield Moment(attempt.first_sent_at, "sent", filing.id, sent)
            sent = {**sent, "sendings": attempt.sendings}
        yield Moment(attempt.sent_at, "sent", filing.id, sent)
        if attempt.acknowledged_at:
            said: dict[str, str | int] = {
                "attempt": number,
                "code": attempt.code,
                "error": attempt.error,
                "acknowledged": attempt.acknowledged,
                "sha256": attempt.ack_digest,
            }
            yield Moment(attempt.acknowledged_at, "acknowledged", filing.id, said)


def _parkings(parked: Sequence[ParkedMessage]) -> Iterator[Moment]:
    for one in parked:
        facts: dict[str, str | int] = {"step": one.step, "reason": one.reason, "owner": one.owner, "state": one.state}
        yield Moment(one.parked_at, "parked", one.message, facts)
        for mending in one.mendings:
            yield Moment(mending.at, mending.what, one.message, _mended(one.step, mending))


def _mended(step: str, mending: Mending) -> dict[str, str | int]:
    said = {"parked": "reason", "given": "owner"}.get(mending.what, "remark")
    facts: dict[str, str | int] = {"step": step, "by": mending.by, said: mending.remark}
    return {name: value for name, value in facts.items() if value != ""}


def _alarm_moments(alarm: StoredAlarm | None, message: str) -> Iterator[Moment]:
    if alarm is not None:
        yield Moment(alarm.raised_at, "alarm", message, {"rungs": alarm.climbed})
        if alarm.acknowledged_at:
            yield Moment(alarm.acknowledged_at, "alarm_acknowledged", message, {})
