"""Somebody who writes through the portal: real tokens, real HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp

from deploy.sandbox.issuer import Issuer
from tests.parts.waiting import PATIENCE, until

NUMBER_CLAIMS = {"spijkenisse": "patient_number", "sein": "client_number", "linde": "client_number"}
URGENT = "Sinds een half uur drukkende pijn op de borst die uitstraalt naar mijn linkerarm, ik zweet erg."
ABUSE = "Ik weet waar je woont en ik maak je af."


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway answered; `body` is the JSON, {} when there was none."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """The message's id; fails the test when the message was not accepted."""
        assert self.status == 202, (self.status, self.body)
        return str(self.body["id"])


class Patient:
    """One patient of one tenant, logged in."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, issuer: Issuer, tenant: str, number: str, name: str, **claims: Any
    ) -> None:
        """`number` is the hospital's own number; `claims` are added to the token or replace its own."""
        self.tenant = tenant
        self.number = number
        self.token = issuer.token(f"{tenant}-{number}", name=name, **{NUMBER_CLAIMS[tenant]: number, **claims})
        self._http = http
        self._url = url

    async def post(self, subject: str, body: str, *, key: str | None = None, **members: Any) -> Answer:
        """Post a message; `members` are more of the JSON body, such as format, thread or department."""
        message = {"subject": subject, "body": body, "language": "nl", **members}
        return await self.send("POST", "/v1/messages", json=message, headers={"Idempotency-Key": key} if key else {})

    async def get(self, path: str) -> Answer:
        """Get `path`, such as /v1/threads."""
        return await self.send("GET", path)

    async def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **request: Any) -> Answer:
        """Any request with this patient's token. Raises aiohttp.ClientError without an answer."""
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        async with self._http.request(method, self._url + path, headers=sent, **request) as answer:
            is_json = answer.content_type in ("application/json", "application/problem+json")
            return Answer(answer.status, dict(answer.headers), await answer.json(content_type=None) if is_json else {})

    async def status(self, id: str) -> str:
        """How far a message is."""
        answer = await self.get(f"/v1/messages/{id}")
        return str(answer.body["status"]) if answer.status == 200 else f"HTTP {answer.status}"

    async def until_is(self, id: str, status: str, seconds: float = PATIENCE) -> None:
        """Wait until the message is so far."""

        async def is_so() -> bool:
            return await self.status(id) == status

        await until(is_so, f"{id} is {status}", seconds)


async def accepted_again(patient: Patient, body: str, *, key: str) -> Answer:
    """The first 202 that a portal gets which tries again and again."""

    async def attempt() -> Answer | None:
        answer = await patient.post("Vraag", body, key=key)
        return answer if answer.status == 202 else None

    found: Answer = await until(attempt, "a 202")
    return found
