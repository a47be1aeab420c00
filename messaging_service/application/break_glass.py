"""On-call opens the one urgent message that an alarm is about, with a reason, and it is written down who did."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from messaging_service.application import actors
from messaging_service.application.access_entry import BREAK_GLASS
from messaging_service.application.callers import Staff
from messaging_service.application.codec import from_document, read_event, unpack
from messaging_service.application.collections import HELD, PARKED
from messaging_service.application.escalate import HeldMessage
from messaging_service.application.openings import Account, Openings
from messaging_service.application.park import ParkedMessage
from messaging_service.application.patients import Patient, Patients
from messaging_service.application.ports import Access, AccessLog, Clock, DocumentStore, Envelope
from messaging_service.application.read import state_of
from messaging_service.application.threads import SUBMISSION, StoredMessage, Threads
from messaging_service.crypto.keyring import Keyring
from messaging_service.crypto.sealing import Place
from messaging_service.domain.errors import MessageFault
from messaging_service.domain.events import MessageAccepted
from messaging_service.domain.message import Lane, State, Submission
from messaging_service.domain.refusals import Forbidden, NotFound

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What on-call sees of one message.

    `state` is None when it was refused, and so will not reach the EPD; `patient` is the record that it is stored under,
    None while it is stored under none.
    """

    id: str
    thread: str
    accepted_at: int
    state: State | None
    submission: Submission
    patient: str | None = None


class BreakGlass:
    """The use case of POST /v1/alarms/{id}/opening. It needs neither a treatment relation nor the EPD."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        patients: Patients,
        threads: Threads,
        openings: Openings,
        keyring: Keyring,
        access_log: AccessLog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._patients = patients
        self._threads = threads
        self._openings = openings
        self._keyring = keyring
        self._access_log = access_log
        self._clock = clock

    async def __call__(self, staff: Staff, message: str, reason: str) -> Opened:
        """Open the message, once that is durably written down with the reason.

        Raises:
            NotFound: no alarm was raised for it at this tenant, or it is not stored yet.
            Forbidden: the alarm is older than the tenant lets it be opened.
        """
        opened = await self._find(staff.tenant.id, message)
        if opened is None or not opened.submission.triage.alarm:
            raise NotFound
        hours = staff.tenant.on_call.opens_for_hours
        if self._clock() - opened.accepted_at >= hours * _HOUR_MS:
            raise Forbidden(f"an alarm opens its message for {hours} hours; read it in the EPD")
        await self._write_down(staff, await self._patient_of(staff.tenant.id, opened), message, reason)
        return opened

    async def _patient_of(self, tenant: str, opened: Opened) -> Patient:
        """Whose access log it goes into; one who was refused may have no record yet."""
        if opened.patient is not None:
            return await self._patients.load(opened.patient)
        return await self._patients.ensure(tenant, opened.submission.identifiers, opened.submission.patient_name)

    async def _find(self, tenant: str, id: str) -> Opened | None:
        """The message where it lies: stored; given up before that; or refused and held for on-call alone."""
        stored = await self._threads.message(id)
        if stored is not None:
            return await self._stored(stored) if stored.tenant == tenant else None
        if (parked := await self._store.get(PARKED, f"{id}.persist")) is not None:
            body = from_document(parked, ParkedMessage).body
            event = read_event(Envelope(id, MessageAccepted.__name__, body, {}), MessageAccepted)
            state = State.PARKED if parked["state"] == "parked" else State.CLOSED
            return self._sealed(tenant, event.tenant, id, event.thread, event.accepted_at, event.sealed, state)
        if (held := await self._store.get(HELD, id)) is not None:
            there = from_document(held, HeldMessage)
            return self._sealed(tenant, there.tenant, id, there.thread, there.at, there.sealed, None)
        return None

    async def _stored(self, stored: StoredMessage) -> Opened | None:
        if stored.kind != SUBMISSION or stored.lane != Lane.URGENT:
            return None
        try:
            patient = await self._patients.load(stored.patient)
        except MessageFault:
            return None  # destroyed with the patient's key
        submission = unpack(patient.unseal(stored.id, SUBMISSION, stored.sealed), Submission)
        state = state_of(await self._threads.filing(stored.id))
        return Opened(stored.id, stored.thread, stored.accepted_at, state, submission, stored.patient)

    def _sealed(
        self, asked: str, tenant: str, id: str, thread: str, at: int, sealed: bytes, state: State | None
    ) -> Opened | None:
        if tenant != asked:
            return None
        packed = self._keyring.open_transit(sealed, Place(tenant, "", id, SUBMISSION))
        return Opened(id, thread, at, state, unpack(packed, Submission))

    async def _write_down(self, staff: Staff, patient: Patient, message: str, reason: str) -> None:
        tenant, account = staff.tenant.id, Account(reason, staff.subject, staff.name)
        by = actors.caller(self._keyring, staff, BREAK_GLASS)
        await self._openings.add(secrets.token_hex(16), patient, message, by.pseudonym, self._clock(), account)
        await self._access_log.record(Access(tenant, patient.id, by, "read", "message", message, "emergency"))
