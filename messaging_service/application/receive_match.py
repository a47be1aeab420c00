"""Where a clinician's document belongs: the thread it answers, or one that it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from messaging_service.application.patients import Patients
from messaging_service.application.threads import SUBMISSION, StoredMessage, StoredThread, Threads
from messaging_service.domain.errors import MessagingError
from messaging_service.epd.inbound_events import ClinicianWrote
from messaging_service.tenants import CareTeam, Tenant

_THREADS_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Match:
    """A thread, the team that answers in it, and how it was found: parent, placer, patient, begun or operations."""

    thread: StoredThread
    care_team: str
    department: str
    by: str


class Unmatchable(MessagingError):
    """A reply belongs to no thread for certain. `messaging-service unmatched list` shows those that wait."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Matching:
    """Finds threads for documents. A number names the thread, but only the patient in PID may read it."""

    def __init__(self, *, threads: Threads, patients: Patients) -> None:
        self._threads = threads
        self._patients = patients

    async def __call__(
        self, tenant: Tenant, wrote: ClinicianWrote, parents: Iterable[str], begun: StoredThread
    ) -> Match:
        """The thread of a document.

        `parents` are the message ids that it may answer, the surest first; `begun` is the thread it begins when it
        answers none, its patient still to be filled in.

        Raises:
            Unmatchable: names the reason, for the list.
        """
        patient = await self.patient(tenant, wrote)
        team = team_of(tenant, wrote.addressed)
        parents = list(parents)
        for id in parents:
            if (message := await self._threads.message(id)) is not None and message.tenant == tenant.id:
                if message.patient not in patient:
                    raise Unmatchable("patient_differs")
                return _in_thread(await self._thread(message), message, team, "parent")
        if wrote.replaces:
            raise Unmatchable("parent_unknown")  # a guess would stand when the document it replaces comes
        if team is None:
            raise Unmatchable("department_unknown")
        if waiting := await self._waiting(patient, team.department):
            return _in_thread(await self._thread(waiting), waiting, team, "patient")
        if parents:
            raise Unmatchable("parent_unknown")
        (own,) = await self._patients.known(tenant.id, wrote.person.identifiers)
        thread = StoredThread.opened(begun.id, begun.tenant, own, begun.opened_at)
        return Match(thread, team.code, team.department, "begun")

    async def patient(self, tenant: Tenant, wrote: ClinicianWrote) -> frozenset[str]:
        """The records of the patient, as they are known here.

        Raises:
            Unmatchable: nobody is, or the identifiers are of two people.
        """
        found = await self._patients.known(tenant.id, wrote.person.identifiers)
        if not found:
            raise Unmatchable("patient_unknown")
        if len(found) > 1:
            raise Unmatchable("identifiers_differ")
        return frozenset(await self._patients.members(min(found)))

    async def _waiting(self, patient: Iterable[str], department: str) -> StoredMessage | None:
        """The patient's newest message in that department that is the last of its thread."""
        threads = [
            thread.id
            for id in patient
            for thread in await self._threads.threads_of(id, below=None, limit=_THREADS_LOOKED_AT)
        ]
        last = await self._threads.last_messages(threads)
        waiting = [each for each in last if each.kind == SUBMISSION and each.department == department]
        return max(waiting, key=lambda each: each.accepted_at, default=None)

    async def _thread(self, message: StoredMessage) -> StoredThread:
        thread = await self._threads.thread(message.thread)
        if thread is None:
            raise Unmatchable("thread_gone")
        return thread


def _in_thread(thread: StoredThread, message: StoredMessage, team: CareTeam | None, by: str) -> Match:
    if team is None:
        return Match(thread, message.care_team, message.department, by)
    return Match(thread, team.code, team.department, by)


def team_of(tenant: Tenant, codes: Iterable[str]) -> CareTeam | None:
    """The care team that one of these codes stands for: by [epd.staff], else as our own team or department code."""
    routing = tenant.routing
    for code in codes:
        own = tenant.epd.staff.get(code, code.lower())
        if team := routing.team(own):
            return team
        if department := routing.department(own):
            return routing.team(department.care_team)
    return None
