"""Who lives in the sandbox: made-up patients of the two shipped hospitals, with tokens of the development issuer."""

from __future__ import annotations

import json
from dataclasses import dataclass

from issuer import staff_issuer
from service import Running, command

HOSPITALS = {"spijkenisse": "Spijkenisse MC", "sein": "SEIN"}


@dataclass(frozen=True, slots=True)
class Person:
    """A patient as the portal knows them; `care_team` is the one that treats them, empty where the hospital says so."""

    tenant: str
    number: str
    name: str
    language: str
    care_team: str = ""

    @property
    def claim(self) -> str:
        """The claim that carries this hospital's own number."""
        return {"spijkenisse": "patient_number", "sein": "client_number"}[self.tenant]


PEOPLE = (
    Person("spijkenisse", "1234", "A. Jansen", "nl", "cardiology"),
    Person("spijkenisse", "2345", "E. Yılmaz", "tr", "internal"),
    Person("spijkenisse", "3456", "M. Nowak", "pl", "gynaecology"),
    Person("sein", "77", "T. de Vries", "nl"),
)


async def settle(running: Running) -> None:
    """Make each known: a treatment relation in Spijkenisse, an account opened by the hospital at SEIN."""
    relations = [
        {
            "tenant": person.tenant,
            "identifiers": {"local": person.number},
            "name": person.name,
            "care_team": person.care_team,
            "since": 0,
        }
        for person in PEOPLE
        if person.care_team
    ]
    await command(running.environment, "relations", "load", "-", given="\n".join(map(json.dumps, relations)))
    office = staff_issuer(running.folder, "sein").token("office", role="appointments-office", scope="accounts:open")
    for person in (person for person in PEOPLE if person.tenant == "sein"):
        account = {"identifiers": {"local": person.number}, "name": person.name}
        headers = {"Authorization": f"Bearer {office}"}
        async with running.http.post(f"{running.url}/v1/accounts", json=account, headers=headers) as answer:
            answer.raise_for_status()


def portal_token(running: Running, person: Person) -> str:
    """What a portal would send along for this patient."""
    subject = f"{person.tenant}-{person.number}"
    return running.issuers[person.tenant].token(subject, name=person.name, **{person.claim: person.number})
