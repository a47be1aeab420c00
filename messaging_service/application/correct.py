"""Correct or withdraw a message that the EPD has: ordered here, carried out by the file step."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from messaging_service.application.actors import OPERATIONS
from messaging_service.application.changes import CORRECTION, Changes, CorrectedText, StoredChange
from messaging_service.application.codec import outgoing, to_document, unpack
from messaging_service.application.collections import FILINGS
from messaging_service.application.patients import Patient, Patients
from messaging_service.application.ports import Access, AccessLog, Broker, Clock, DocumentStore
from messaging_service.application.threads import SUBMISSION, StoredMessage, Threads
from messaging_service.application.topology import file_queue
from messaging_service.domain.errors import Conflict, SettingInvalid
from messaging_service.domain.events import ChangeOrdered
from messaging_service.domain.filing import OPEN_STATES, TAKEN_STATES, Change, Filing, FilingState, change_id
from messaging_service.domain.message import Lane
from messaging_service.tenants import Tenant

_REASON = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
_BY = replace(OPERATIONS, basis="treatment")
_MOST_CHANGES = 999


class NotChangeable(SettingInvalid):
    """This message cannot be corrected or withdrawn in the EPD now. `messaging-service filing show` says how it is."""


class Correct:
    """The use cases behind `messaging-service filing correct` and `filing withdraw`. Repeating one changes nothing."""

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        store: DocumentStore,
        broker: Broker,
        patients: Patients,
        threads: Threads,
        changes: Changes,
        access_log: AccessLog,
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._broker = broker
        self._patients = patients
        self._threads = threads
        self._changes = changes
        self._access_log = access_log
        self._clock = clock

    async def correct(self, message: str, text: CorrectedText, reason: str) -> StoredChange:
        """Have the text of a filed message replaced; the patient goes on seeing what was typed.

        `reason` is a code of at most 30 letters, digits and hyphens, shown in the EPD.

        Raises:
            NotChangeable: the EPD does not have it, an earlier change is under way, or it was withdrawn.
        """
        return await self._order(message, Change.CORRECTED, reason, text)

    async def withdraw(self, message: str, reason: str) -> StoredChange:
        """Have a filed message withdrawn. Arguments and errors as of `correct`."""
        return await self._order(message, Change.WITHDRAWN, reason, None)

    async def _order(self, id: str, kind: Change, reason: str, text: CorrectedText | None) -> StoredChange:
        if not _REASON.fullmatch(reason):
            raise SettingInvalid("the reason must be a code of at most 30 small letters, digits and hyphens")
        message = await self._threads.message(id)
        tenant = self._tenants.get(message.tenant) if message else None
        if message is None or tenant is None or message.kind != SUBMISSION:
            raise NotChangeable(f"{id} is no message of a patient")
        patient = await self._patients.load(message.patient)
        earlier = await self._changes.of(id)
        if earlier and _is_same(patient, earlier[-1], kind, reason, text):
            change = earlier[-1]
        else:
            change = await self._new(tenant, message, patient, earlier, kind, reason, text)
        await self._start(message, change)
        return change

    async def _new(
        self,
        tenant: Tenant,
        message: StoredMessage,
        patient: Patient,
        earlier: list[StoredChange],
        kind: Change,
        reason: str,
        text: CorrectedText | None,
    ) -> StoredChange:
        before = await self._standing(message, earlier)
        number = len(earlier) + 1
        if number > _MOST_CHANGES:
            raise NotChangeable(f"{message.id} was changed too often")
        id, document = change_id(message.id, number), before.document if before else message.id
        renumbers = kind is Change.CORRECTED and tenant.epd.profile.renumbers
        sealed = patient.seal(id, CORRECTION, text) if text else b""
        change = StoredChange(
            id=id,
            tenant=tenant.id,
            message=message.id,
            number=number,
            kind=kind,
            reason=reason,
            document=id if renumbers else document,
            replaces=document if renumbers else "",
            ordered_at=self._clock(),
            sealed=sealed,
        )
        await self._access_log.record(_access(message, kind))
        if not await self._changes.add(change):
            raise Conflict(f"change {id}")
        return change

    async def _standing(self, message: StoredMessage, earlier: list[StoredChange]) -> StoredChange | None:
        """The change whose text the EPD shows now; None when that is the first text.

        A change that a person closed never reached the EPD, or was undone there by hand.
        """
        filings = await self._threads.filings([message.id, *(change.id for change in earlier)])
        for change in reversed(earlier):
            filing = filings.get(change.id)
            if filing is not None and filing.state is FilingState.CLOSED:
                continue
            if filing is None or filing.state not in TAKEN_STATES:
                raise NotChangeable(f"the change {change.id} before it is under way or parked")
            if change.kind is Change.WITHDRAWN:
                raise NotChangeable(f"{message.id} was withdrawn")
            return change
        filing = filings.get(message.id)
        if filing is None or filing.state not in TAKEN_STATES:
            raise NotChangeable(f"{message.id} is {filing.state if filing else 'not stored'}, the EPD does not have it")
        return None

    async def _start(self, message: StoredMessage, change: StoredChange) -> None:
        """Its filing, and then its event: a crash between leaves a filing that the ledger calls late."""
        waiting = Filing.waiting(change.id, change.tenant, message.lane, change.ordered_at)
        await self._store.insert(FILINGS, [to_document(waiting)])
        filing = await self._threads.filing(change.id)
        if filing is None or filing.state not in OPEN_STATES:
            return
        lane = Lane(message.lane)
        event = ChangeOrdered(change.id, change.tenant, message.thread, lane, change.ordered_at)
        follows = outgoing(file_queue(change.tenant, lane), event)
        await self._broker.publish(follows.queue, follows.envelope)


def _is_same(patient: Patient, last: StoredChange, kind: Change, reason: str, text: CorrectedText | None) -> bool:
    if (last.kind, last.reason) != (kind, reason):
        return False
    return text is None or unpack(patient.unseal(last.id, CORRECTION, last.sealed), CorrectedText) == text


def _access(message: StoredMessage, kind: Change) -> Access:
    action = "delete" if kind is Change.WITHDRAWN else "update"
    return Access(message.tenant, message.patient, _BY, action, "message", message.id, f"{kind} in the EPD")
