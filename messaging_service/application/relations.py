"""Treatment relations: who treats whom. Loaded by the hospital, asked by routing."""

from __future__ import annotations

from collections.abc import Sequence

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import RELATIONS
from messaging_service.application.patients import Patients
from messaging_service.application.ports import DocumentStore
from messaging_service.domain.errors import SettingInvalid
from messaging_service.domain.message import Identifier
from messaging_service.domain.routing import TreatmentRelation
from messaging_service.tenants import Tenant


class Relations:
    """Reads and writes treatment relations."""

    def __init__(self, store: DocumentStore, patients: Patients) -> None:
        self._store = store
        self._patients = patients

    async def of(self, patient: str) -> list[TreatmentRelation]:
        """All relations of a patient, open or ended."""
        found = await self._store.find(RELATIONS, "of_patient", {"patient": patient})
        return [from_document(document, TreatmentRelation) for document in found]

    async def begin(
        self, tenant: Tenant, identifiers: Sequence[Identifier], name: str, care_team: str, began_at: int
    ) -> None:
        """A care team treats this patient from `began_at` (milliseconds); a repeat changes nothing.

        Raises:
            SettingInvalid: the tenant has no such care team.
        """
        team = tenant.routing.team(care_team)
        if team is None:
            raise SettingInvalid(f"care team {care_team!r} is not in the tenant's [[routing.care_teams]]")
        patient = await self._patients.ensure(tenant.id, identifiers, name)
        relation = TreatmentRelation(
            f"{patient.id}.{care_team}", tenant.id, patient.id, care_team, team.department, began_at
        )
        await self._store.insert(RELATIONS, [to_document(relation)])
