"""What the EPD tells of patients, kept: who treats whom, death, the end of care, appointments, joined records."""

from __future__ import annotations

from messaging_service.application.actors import step
from messaging_service.application.close_accounts import CloseAccounts
from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import CARE, CARE_EVENTS, RELATIONS
from messaging_service.application.merge import MergeInCircle, Merges
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Access, AccessLog, AccessPoint, Document, DocumentStore
from messaging_service.application.receive_match import team_of
from messaging_service.domain.care import Care, CareChange, CareEvent, care_from
from messaging_service.domain.errors import Conflict
from messaging_service.domain.routing import TreatmentRelation
from messaging_service.epd.inbound_errors import Error, NotUnderstood, Where
from messaging_service.epd.inbound_events import PatientChanged, Person, RecordsJoined, RecordsParted
from messaging_service.tenants import Tenant

_TRIES = 64
_PAGE = 1_000
FROM_EPD = "epd"
_RECEIVE = step("receive", "told by the EPD", AccessPoint.EPD)


class CareFeed:
    """What becomes of ADT and SIU. A repeat changes nothing, and the order of coming does not matter."""

    def __init__(
        self, *, store: DocumentStore, patients: Patients, access_log: AccessLog, closing: CloseAccounts
    ) -> None:
        self._store = store
        self._patients = patients
        self._access_log = access_log
        self._closing = closing
        self._merges = Merges(store, patients)

    async def change(self, tenant: Tenant, version: str, changed: PatientChanged) -> None:
        """Keep an event and bring the patient's care up to it. `version` is the same for every repeat.

        Raises:
            Conflict: others changed the same again and again.
        """
        own = await self._own(tenant, changed.person, changed.at)
        if changed.visit_was_of is not None:
            before = await self._own(tenant, changed.visit_was_of, 0)
            gone = CareEvent(f"{version}.gone", tenant.id, before, CareChange.ENDED, changed.at, changed.visit)
            await self._keep(tenant, gone)
        await self._keep(tenant, _event(tenant, version, own, changed))

    async def join(self, tenant: Tenant, joined: RecordsJoined) -> None:
        """Join two records.

        Raises:
            NotUnderstood: they would go in a circle.
        """
        survivor = await self._own(tenant, joined.survivor, joined.at)
        loser = await self._own(tenant, joined.loser, 0)
        before = await self._merges.survivor(loser)
        try:
            await self._merges.join(loser, survivor, joined.at)
        except MergeInCircle:
            raise NotUnderstood(Error.DUPLICATE_KEY, Where("MRG", 1)) from None
        await self._closing.joined(tenant, loser, await self._merges.survivor(loser))
        for record in dict.fromkeys((before, survivor)):
            await self._settle(tenant, record)

    async def part(self, tenant: Tenant, parted: RecordsParted) -> None:
        """Part two records that were joined by mistake."""
        one, other = await self._own(tenant, parted.one, 0), await self._own(tenant, parted.other, 0)
        await self._merges.part(one, other, parted.at)
        for record in (one, other):
            await self._settle(tenant, record)

    async def _own(self, tenant: Tenant, person: Person, named_at: int) -> str:
        own = await self._patients.own(tenant.id, person.identifiers)
        if person.name:
            await self._patients.rename(own, person.name, named_at)
        return own

    async def _keep(self, tenant: Tenant, event: CareEvent) -> None:
        await self._store.insert(CARE_EVENTS, [{**to_document(event), "order": event.order}])
        await self._settle(tenant, event.patient)

    async def _settle(self, tenant: Tenant, record: str) -> None:
        """Work out the person's care anew.

        Who did so on fewer events sees by the care's version that somebody came after, and does it again.
        """
        for _ in range(_TRIES):
            patient = await self._merges.survivor(record)
            known = await self._store.get(CARE, patient)
            care = care_from(await self._events(patient))
            fence = await self._write_care(tenant, patient, known, care)
            if fence and await self._write_relations(tenant, patient, care):
                now = await self._store.get(CARE, patient)
                if now is not None and now["version"] == fence:
                    await self._closing.care_changed(tenant, patient)
                    return await self._log(tenant, patient)
        raise Conflict(f"care of {patient}")

    async def _events(self, patient: str) -> list[CareEvent]:
        found: list[CareEvent] = []
        for record in await self._patients.members(patient):
            above = ""
            while page := await self._store.find(
                CARE_EVENTS, "of_patient", {"patient": record}, above=above, limit=_PAGE
            ):
                found += [from_document(document, CareEvent) for document in page]
                above = page[-1]["order"]
                if len(page) < _PAGE:
                    break
        return found

    async def _write_care(self, tenant: Tenant, patient: str, known: Document | None, care: Care) -> int:
        """The version under which it was written, 0 when somebody else was first."""
        quiet = known if known is not None and known["quiet_since"] == care.quiet_since else None
        document: Document = {
            "id": patient,
            "tenant": tenant.id,
            "deceased_at": care.deceased_at,
            "care_ended_at": care.care_ended_at,
            "next_appointment": care.next_appointment,
            "quiet_since": care.quiet_since,
            "watched_since": quiet["watched_since"] if quiet else care.quiet_since,
            "quiet_over_at": quiet["quiet_over_at"] if quiet else 0,
        }
        if known is None:
            return 1 if (await self._store.insert(CARE, [document]))[0] else 0
        version = known["version"]
        return version + 1 if await self._store.replace(CARE, {**document, "version": version}) else 0

    async def _write_relations(self, tenant: Tenant, patient: str, care: Care) -> bool:
        """Those that the EPD told of, as they are now; ones that were loaded and it never named stay."""
        stored = {
            each["care_team"]: each for each in await self._store.find(RELATIONS, "of_patient", {"patient": patient})
        }
        for code, interval in care.teams.items():
            team, known = tenant.routing.team(code), stored.get(code)
            wanted = to_document(
                TreatmentRelation(
                    f"{patient}.{code}",
                    tenant.id,
                    patient,
                    code,
                    team.department if team else "",
                    interval.began_at,
                    interval.ended_at,
                    known["version"] if known else 1,
                    FROM_EPD,
                )
            )
            if known is None:
                if not (await self._store.insert(RELATIONS, [wanted]))[0]:
                    return False
            elif known != wanted and not await self._store.replace(RELATIONS, wanted):
                return False
        for code, known in stored.items():
            if known["told_by"] == FROM_EPD and code not in care.teams:
                await self._store.delete(RELATIONS, known["id"])
        return True

    async def _log(self, tenant: Tenant, patient: str) -> None:
        await self._access_log.record(Access(tenant.id, patient, _RECEIVE, "update", "care", patient, "treatment"))


def _event(tenant: Tenant, version: str, patient: str, changed: PatientChanged) -> CareEvent:
    teams = None
    if changed.treating is not None:
        found = (team_of(tenant, [code]) for code in changed.treating)
        teams = tuple(sorted({team.code for team in found if team is not None}))
    return CareEvent(
        id=version,
        tenant=tenant.id,
        patient=patient,
        told=changed.told,
        at=changed.at,
        visit=changed.visit,
        teams=teams,
        deceased_at=changed.deceased_at,
        care_ended=changed.discharged_to != "" and changed.discharged_to in tenant.epd.end_of_care,
        appointment=changed.appointment,
        starts_at=changed.starts_at,
    )
