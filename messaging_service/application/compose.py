"""A stored message, opened, as the document that is filed."""

from __future__ import annotations

import asyncio
from datetime import datetime

from messaging_service.application.changes import CORRECTION, CorrectedText, StoredChange
from messaging_service.application.codec import unpack
from messaging_service.application.patients import Patient, Patients
from messaging_service.application.threads import REPLY, StoredMessage, Threads
from messaging_service.domain.clinician import Reply
from messaging_service.domain.filing import Change
from messaging_service.domain.message import BodyFormat, Content, Submission
from messaging_service.epd.document import FilingDocument
from messaging_service.screening.sanitise import html_to_text
from messaging_service.tenants import Tenant


class Compose:
    """Opens seals; the one place of the file step that sees a text."""

    def __init__(self, patients: Patients, threads: Threads) -> None:
        self._patients = patients
        self._threads = threads

    async def __call__(
        self, tenant: Tenant, message: StoredMessage, change: StoredChange | None, control_id: str, now: int
    ) -> FilingDocument:
        """The document of a message, or of a change of it, as it is sent at `now` (milliseconds)."""
        patient = await self._patients.load(message.patient)
        submission = unpack(patient.unseal(message.id, "submission", message.sealed), Submission)
        content, zone, team = submission.content, tenant.zone, tenant.routing.team(message.care_team)
        text = await _text(patient, content, change)
        return FilingDocument(
            message_id=message.id,
            control_id=control_id,
            thread=await self._parent(message),
            written_at=datetime.fromtimestamp(message.accepted_at / 1000, zone),
            sent_at=datetime.fromtimestamp(now / 1000, zone),
            identifiers=submission.identifiers,
            patient_name=submission.patient_name,
            author_name=submission.author.name,
            author_role=submission.author.role,
            author_relation=submission.author.relation,
            care_team_code=message.care_team,
            care_team_name=team.name if team else message.care_team,
            department_code=message.department,
            subject=text.subject,
            body=text.body,
            urgent=submission.triage.urgent,
            topics=submission.triage.topics,
            caution=submission.triage.caution,
            original_note=content.typed_format is BodyFormat.HTML,
            document=change.document if change else message.id,
            replaces=change.replaces if change else "",
            change=change.kind if change else Change.NEW,
            reason=change.reason if change else "",
        )

    async def _parent(self, message: StoredMessage) -> str | None:
        """What TXA-13 names: the thread's first document under the number that the EPD knows it by."""
        if message.place == 1 or message.id == message.thread:
            return None
        first = await self._threads.message(message.thread)
        if first is None or first.kind != REPLY:
            return message.thread
        patient = await self._patients.load(first.patient)
        return unpack(patient.unseal(first.id, REPLY, first.sealed), Reply).document.partition("^")[0]


async def _text(patient: Patient, content: Content, change: StoredChange | None) -> CorrectedText:
    if change is not None and change.kind is Change.CORRECTED:
        return unpack(patient.unseal(change.id, CORRECTION, change.sealed), CorrectedText)
    html = content.clean_format is BodyFormat.HTML
    body = await asyncio.to_thread(html_to_text, content.clean) if html else content.clean
    return CorrectedText(content.subject, body)
