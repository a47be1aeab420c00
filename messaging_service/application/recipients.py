"""To whom a patient may write: the departments, and which care team would read it there."""

from __future__ import annotations

from dataclasses import dataclass

from messaging_service.application.accounts import Accounts
from messaging_service.application.callers import Writer
from messaging_service.application.patients import Patients
from messaging_service.application.ports import Clock
from messaging_service.application.relations import Relations
from messaging_service.domain.routing import route


@dataclass(frozen=True, slots=True)
class Recipient:
    """A department to name in a message, and the team that would read it now; `department` is "" for none named.

    `treats`: that team is one that treats the patient.
    """

    department: str
    name: str
    care_team: str
    treats: bool


class Recipients:
    """The use case of GET /v1/recipients. It asks the rule that routes messages, so both always say the same."""

    def __init__(self, *, accounts: Accounts, patients: Patients, relations: Relations, clock: Clock) -> None:
        self._accounts = accounts
        self._patients = patients
        self._relations = relations
        self._clock = clock

    async def __call__(self, who: Writer) -> list[Recipient]:
        """First where a message goes that names no department, then the departments.

        Empty for whom nobody here treats or treated, where the hospital takes no first contact. Raises as
        `Accounts.enter`.
        """
        entry = await self._accounts.enter(who, writing=False)
        relations, ever = await self._relations.of(entry.patient), False
        for record in await self._patients.members(entry.patient):
            ever = ever or bool(await self._relations.of(record))
        routing, now = who.tenant.routing, self._clock()
        if not (ever or routing.first_contact):
            return []
        found = []
        for department in (None, *routing.departments):
            decision = route(routing, relations, department.code if department else None, now)
            team = routing.team(decision.care_team)
            found.append(
                Recipient(
                    department=department.code if department else "",
                    name=department.name if department else "",
                    care_team=team.name if team else decision.care_team,
                    treats=any(one.care_team == decision.care_team and one.is_open(now) for one in relations),
                )
            )
        return found
