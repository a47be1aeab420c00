"""A short conversation through the public HTTP API, each row checked against what it should show."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from issuer import staff_issuer
from people import Person, portal_token
from service import Running

_IN_TIME = 30.0
HOSTILE = (
    '<p>Mijn <b>wond</b> is <a href="javascript:alert(1)">rood</a>.</p><script>alert(1)</script>'
    '<img src=x onerror=alert(1)><p style="position:fixed">Moet ik langskomen?</p>'
)
URGENT = "Sinds een half uur drukkende pijn op de borst die uitstraalt naar mijn linkerarm, ik zweet erg."
ABUSE = "Ik weet waar je woont en ik maak je af."


@dataclass(frozen=True, slots=True)
class Row:
    """What was sent, what came back, where it ended, and whether that is as it should be."""

    sent: str
    answer: str
    filed: str
    right: bool


@dataclass(slots=True)
class OnCall:
    """Takes alarms like the hospital's on-call system would."""

    alarms: list[dict[str, Any]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """One alarm."""
        self.alarms.append(await request.json())
        return web.Response(status=204)


class Patient:
    """Somebody who writes through the portal."""

    def __init__(self, running: Running, tenant: str, number: str, name: str) -> None:
        self.token = portal_token(running, Person(tenant, number, name, "nl"))
        self._running = running
        self.number = number

    async def send(self, method: str, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        """Any request, as this patient or with another token; the answer with its HTTP status under `http`."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        url = self._running.url + path
        async with self._running.http.request(method, url, json=body or None, headers=headers) as answer:
            return {"http": answer.status, **(await answer.json())}

    async def accept_terms(self) -> bool:
        """Accept the version of the terms of use that the hospital has in force."""
        version = (await self.send("GET", "/v1/terms", {})).get("version")
        accepted = await self.send("POST", "/v1/terms", {"version": version, "language": "nl"})
        return bool(accepted["http"] == 200 and not accepted["to_accept"])

    async def post(self, subject: str, body: str, *, key: str | None = None, format: str = "text") -> dict[str, Any]:
        """Post a message; the answer with its HTTP status under `http`."""
        headers = {"Authorization": f"Bearer {self.token}"}
        if key:
            headers["Idempotency-Key"] = key
        message = {"subject": subject, "body": body, "format": format, "language": "nl"}
        url = f"{self._running.url}/v1/messages"
        async with self._running.http.post(url, json=message, headers=headers) as answer:
            return {"http": answer.status, **(await answer.json())}

    async def state(self, id: str) -> str:
        """How far a message is."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self._running.http.get(f"{self._running.url}/v1/messages/{id}", headers=headers) as answer:
            found = await answer.json()
            return str(found["status"]) if answer.status == 200 else f"HTTP {answer.status}"

    async def filed(self, id: str) -> bool:
        """Wait until it is filed; False when that takes too long."""
        return await within_time(lambda: self._is_filed(id))

    async def _is_filed(self, id: str) -> bool:
        return await self.state(id) == "filed"


async def within_time(condition: Callable[[], Awaitable[bool]]) -> bool:
    """Whether `condition` comes true within half a minute."""
    try:
        async with asyncio.timeout(_IN_TIME):
            while not await condition():
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True


async def play(running: Running, on_call: OnCall, show: Callable[[Row], None]) -> bool:
    """Play every scene and show its row; True when all are right."""
    patient = Patient(running, "spijkenisse", "1234", "Jansen")
    client = Patient(running, "sein", "77", "de Vries")
    all_right = await patient.accept_terms()
    for scene in (
        first_login(running, client),
        ordinary(running, patient),
        hostile(running, client),
        prohibited(running, patient),
        repeated(running, client),
        urgent(running, patient, on_call),
        while_down(running, patient),
    ):
        row = await scene
        show(row)
        all_right &= row.right
    return all_right


async def first_login(running: Running, client: Patient) -> Row:
    """SEIN opens the account beforehand; nothing is posted before the terms are accepted."""
    office = staff_issuer(running.folder, "sein").token("office", role="appointments-office", scope="accounts:open")
    newcomer = Patient(running, "sein", f"77{secrets.randbelow(10**8):08}", "Bakker")
    refused = [(await newcomer.post("Vraag", "Mag ik al schrijven?"))["type"].rpartition(":")[2]]
    for each in (newcomer, client):
        new = {"identifiers": {"local": each.number}, "name": "Bakker" if each is newcomer else "de Vries"}
        await client.send("POST", "/v1/accounts", new, office)
    refused.append((await newcomer.post("Vraag", "Mag ik al schrijven?"))["type"].rpartition(":")[2])
    accepted = await newcomer.accept_terms() and await client.accept_terms()
    answer = await newcomer.post("Vraag", "En nu?")
    filed = await newcomer.filed(answer.get("id", ""))
    right = refused == ["account-not-opened", "terms-not-accepted"] and accepted and filed
    return Row("a first message", f"403 {refused[0]}, 403 {refused[1]}; both done: {answer['http']}", "AA", right)


async def ordinary(running: Running, patient: Patient) -> Row:
    """An ordinary message is filed with AA."""
    text = "Kan ik mijn afspraak van donderdag naar volgende week verzetten?"
    answer = await patient.post("Afspraak verzetten", text)
    id = answer.get("id", "")
    first = await patient.state(id)
    filed = await patient.filed(id)
    document = (await running.epd.inbox()).get(id, {})
    right = answer["http"] == 202 and first in ("accepted", "persisted", "filed") and document.get("body") == text
    team = document.get("attending", "").strip("^").replace("^", " ")
    reply = f"202, reply by {answer.get('reply_by')}"
    return Row("an ordinary message", reply, f"AA, in the inbox of {team}", right and filed)


async def hostile(running: Running, client: Patient) -> Row:
    """Hostile markup is filed clean."""
    answer = await client.post("Vraag over wond", HOSTILE, format="html")
    id = answer.get("id", "")
    filed = await client.filed(id)
    body = (await running.epd.inbox()).get(id, {}).get("body", "")
    clean = "Moet ik langskomen?" in body and not any(evil in body for evil in ("onerror", "javascript:", "alert"))
    return Row("HTML with hostile markup", str(answer["http"]), f"AA: “{' '.join(body.split())}”", filed and clean)


async def prohibited(running: Running, patient: Patient) -> Row:
    """A prohibited message is refused with its reason."""
    answer = await patient.post("Voor de dokter", ABUSE)
    span = answer.get("span", {})
    said = ABUSE[span.get("start", 0) : span.get("end", 0)]
    right = answer["http"] == 422 and bool(said) and "112" in answer["notice"]["text"]
    return Row("a threat", f"{answer['http']}, {answer.get('category')}: “{said}”", "not filed", right)


async def repeated(running: Running, client: Patient) -> Row:
    """The same message twice with one key is filed once."""
    key = f"demonstration-{secrets.token_hex(4)}"
    first, second = [await client.post("Recept", "Graag een herhaalrecept.", key=key) for _ in range(2)]
    filed = await client.filed(first.get("id", ""))
    count = (await running.epd.inbox()).get(first.get("id", ""), {}).get("count", 0)
    right = first["http"] == second["http"] == 202 and first["id"] == second["id"] and filed
    return Row("the same twice, one Idempotency-Key", "202, 202, one id", f"AA, {count} time", right and count == 1)


async def urgent(running: Running, patient: Patient, on_call: OnCall) -> Row:
    """An urgent message shows the 112 notice and is filed before the ordinary ones that wait."""
    await running.epd.be("slow")
    waiting = [await patient.post(f"Vraag {n}", f"Hoe laat is de poli open op dag {n}?") for n in range(1, 4)]
    answer = await patient.post("Pijn op de borst", URGENT)
    filed = await patient.filed(answer.get("id", ""))
    inbox = await running.epd.inbox()
    before_others = answer.get("id") in inbox and not all(m["id"] in inbox for m in waiting)
    await running.epd.be("normal")
    others = [await patient.filed(message["id"]) for message in waiting]
    told = await within_time(lambda: _told(on_call, answer.get("id", "")))
    opened = await _opened_by_on_call(running, patient, answer.get("id", ""))
    right = "112" in answer.get("notice", {}).get("text", "") and filed and before_others and all(others)
    notice = f"202, notice: “{answer.get('notice', {}).get('text', '')[:48]}…”"
    end = "AA, before the others; on-call told, and opened it"
    return Row("an urgent message, three ordinary ones waiting", notice, end, right and told and opened)


async def _opened_by_on_call(running: Running, patient: Patient, id: str) -> bool:
    doctor = staff_issuer(running.folder, "spijkenisse").token("doctor", role="on-call", scope="alarms:open")
    opened = await patient.send("POST", f"/v1/alarms/{id}/opening", {"reason": "Alarm tijdens de dienst"}, doctor)
    return opened.get("body") == URGENT


async def _told(on_call: OnCall, id: str) -> bool:
    return any(id in str(alarm) for alarm in on_call.alarms)


async def while_down(running: Running, patient: Patient) -> Row:
    """A message while the EPD is down is filed once it is back."""
    await running.epd.be("down")
    answer = await patient.post("Uitslag", "Is de uitslag van mijn bloedonderzoek er al?")
    id = answer.get("id", "")
    stored = await within_time(lambda: _is_persisted(patient, id))
    await running.epd.be("normal")
    filed = await patient.filed(id)
    count = (await running.epd.inbox()).get(id, {}).get("count", 0)
    right = answer["http"] == 202 and stored and filed and count == 1
    return Row("a message while the EPD is down", "202", "stored; AA once the EPD was back", right)


async def _is_persisted(patient: Patient, id: str) -> bool:
    return await patient.state(id) == "persisted"
