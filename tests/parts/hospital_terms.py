"""A hospital as its terms of use see it: patients, representatives, staff and the EPD, over HTTP and MLLP.

The clock stands at noon on 1 March 2027 and moves when a test says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.ports import Document
from tests.contract.description import HttpDescription
from tests.contract.http_service import PROHIBITED, SHORT, URGENT, Answer, HttpService, http_service, until
from tests.parts.epd_sender import admission, code, sender
from tests.parts.service import MovedClock

DESCRIPTION = HttpDescription()
ZONE = ZoneInfo("Europe/Amsterdam")
_FOR_EVER = {"iat": 1, "exp": 2**33}


def ms(text: str) -> int:
    """A moment in the hospital's zone."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


NOON = ms("2027-03-01T12:00")


def kind(answer: Answer) -> str:
    """The type of a problem, or the status of what is none; every problem carries 112."""
    if answer.status < 400:
        return str(answer.status)
    assert "112" in answer.json["notice"]["text"]
    return str(answer.json["type"].rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a token."""

    service: HttpService
    token: str

    def ask(self, method: str, template: str, message: object = None, **ids: str) -> Answer:
        """One request; `template` is the path as the contract has it. The answer is held against the contract."""
        path, query = template, ids.pop("query", "")
        for name, id in ids.items():
            path = path.replace(f"{{{name}}}", id)
        answer = self.service.send(method, path + query, message=message, token=self.token)
        return DESCRIPTION.hold(method, template, answer)

    def get(self, template: str, **ids: str) -> Answer:
        """GET."""
        return self.ask("GET", template, **ids)

    def accept(self) -> Answer:
        """Accept the terms in force, in Dutch."""
        version = self.get("/v1/terms").json["version"]
        return self.ask("POST", "/v1/terms", {"version": version, "language": "nl"})

    def write(self, body: str = "Mag ik sporten?", **members: Any) -> Answer:
        """Post a message."""
        return self.ask("POST", "/v1/messages", {**SHORT, "body": body, **members})

    def filed(self, answer: Answer) -> Any:
        """A message that was accepted, once it is filed, as its writer sees it."""
        assert answer.status == 202, answer
        return self.service.filed(answer.json["id"], token=self.token).json


@dataclass(slots=True)
class Hospital:
    """One hospital of the running service. Each test has patients of its own, by `number`."""

    service: HttpService
    clock: MovedClock
    tenant: str
    last: int = 1000

    def number(self) -> str:
        """A patient number that nobody has."""
        self.last += 1
        return f"{self.last}"

    def patient(self, number: str, **claims: Any) -> Person:
        """The patient, logged in."""
        return Person(self.service, self.service.token(number, self.tenant, **{**_FOR_EVER, **claims}))

    def acting(self, number: str, subject: str, **claims: Any) -> Person:
        """Somebody who acts for the patient, logged in."""
        return self.patient(number, act={"sub": subject}, **claims)

    def staff(self, role: str, *scopes: str, **claims: Any) -> Person:
        """Somebody of the hospital's staff, logged in."""
        return Person(
            self.service, self.service.staff_token(role, *scopes, tenant=self.tenant, **{**_FOR_EVER, **claims})
        )

    def invited(self, number: str) -> str:
        """The id of an account that the appointments office opens."""
        office = self.staff("appointments-office", "accounts:open")
        answer = office.ask("POST", "/v1/accounts", {"identifiers": {"local": number}, "name": "A. Jansen"})
        assert answer.status == 200, answer
        return str(answer.json["id"])

    def member(self, number: str) -> Person:
        """A patient who is treated, has an account and accepted the terms."""
        self.epd_tells("A01", number, "20270101100000+0100")
        self.invited(number)
        patient = self.patient(number)
        assert patient.accept().status == 200
        return patient

    def register(self, account: str, subject: str, **changes: Any) -> Answer:
        """The coordinator registers a representative."""
        new = {"subject": subject, "name": "M. de Wit", "relation": "mentor", "signs_care_plan": True}
        coordinator = self.staff("coordinator", "representatives:register")
        body = {**new, "first_contact": True, **changes}
        return coordinator.ask("POST", "/v1/accounts/{account}/representatives", body, account=account)

    def confirm(self, account: str, representative: str, **said: bool) -> Answer:
        """The coordinator says what is so of a representative."""
        template = "/v1/accounts/{account}/representatives/{representative}/confirmation"
        body = {"signs_care_plan": True, "first_contact": True, **said}
        coordinator = self.staff("coordinator", "representatives:confirm")
        return coordinator.ask("PUT", template, body, account=account, representative=representative)

    def epd_tells(self, trigger: str, number: str, at: str, **fields: str) -> None:
        """The EPD sends an ADT about the patient over MLLP; it must be answered AA."""

        async def send() -> str:
            async with sender(self.service.listener(self.tenant)) as epd:
                control = f"{trigger}{number}{at[:12]}"[:20]
                own = {"control": control, "patient": f"{number}^^^ZKH^PI", "visit": f"V{number}", "at": at}
                return code(await epd.send(admission(trigger, **{**own, **fields})))

        assert self.service.run(send()) == "AA"

    def read_by_epd(self, id: str) -> str:
        """The document in the EPD's inbox, as a clinician reads it."""
        until(lambda: id in self.service.epd.inbox)
        return "\n".join(line for _, line in self.service.epd.inbox[id].lines)

    def alarms(self) -> int:
        """How many alarms on-call was told."""
        return sum(path == "/on-call" for path, _, _ in self.service.webhooks)

    def portal_told(self) -> dict[str, dict[str, Any]]:
        """The first event that the portal was told of each message: its data."""
        posts = [json.loads(body)["data"] for path, _, body in self.service.webhooks if path == "/portal"]
        return {data["message"]: data for data in reversed(posts)}

    def access_log(self, account: str) -> list[Document]:
        """What was written down of the patient's data."""
        store = self.service.parts.store
        return self.service.run(store.find(ACCESS_LOG, "of_patient", {"patient": account}, limit=1000))


@contextmanager
def hospital(folder: Path, tenant: str) -> Iterator[Hospital]:
    """The whole service with its hospitals as shipped, on loopback."""
    clock = MovedClock(NOON)
    with http_service(folder, as_shipped=clock) as service:
        yield Hospital(service, clock, tenant)


__all__ = ["NOON", "PROHIBITED", "URGENT", "Hospital", "Person", "hospital", "kind", "ms"]
