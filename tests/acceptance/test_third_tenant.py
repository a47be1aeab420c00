"""A third hospital is one TOML file more, and no code: its patients log in, accept its terms, and reach its own EPD."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.system import TOGETHER, running

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINDE = """
id = "linde"
name = "Huisartsenpraktijk De Linde"
telephone = "0318 000 000"

[identity]
issuer = "${LINDE_ISSUER}"
audience = "messaging-service"
jwks = "${LINDE_JWKS}"
identifiers = { local = "client_number" }
assurance = { factors = [["pwd"], ["sms"]] }

[[terms]]
version = "1"
since = 2026-01-01
texts = { nl = "https://linde.invalid/voorwaarden" }

[reply]
days = 2
count = "working"

[routing]
first_contact = true
triage_desk = "assistants"
care_teams = [{ code = "assistants", name = "Assistenten", department = "practice" }]
departments = [{ code = "practice", name = "Praktijk", care_team = "assistants" }]

[epd]
address = "${LINDE_EPD}"
profile = { version = "2.6", charset = "UNICODE UTF-8", sending_facility = "LINDE" }

[on_call]
webhook = "${LINDE_ON_CALL}"
secret = "${LINDE_ON_CALL_SECRET}"

[detection.statement]
intended_purpose = "Ondersteunt de triage van berichten, en vervangt haar niet."
classification = "IIa, regel 11"
by = "A. de Vries, huisarts"
on = 2026-11-22
"""


async def test_a_third_tenant_is_one_file(tmp_path: Path) -> None:
    """The file is in order; a weak login gets 403, who did not accept the terms too; then the message is filed.

    It is in the inbox of its own EPD alone, for its own care team, and no other hospital's token reads it.
    """
    store, broker = f"sqlite:{tmp_path}/documents.sqlite", f"embedded:{tmp_path}/queue.sqlite"
    async with running(tmp_path, broker=broker, store=store, plan=TOGETHER, more={"linde": LINDE}) as system:
        checked = await system.children.command("tenants", "check")
        assert "linde: Huisartsenpraktijk De Linde is in order" in checked.out
        weak = await system.patient("linde", "7", acr="", amr=["pwd"]).post("Vraag", "Kan ik langskomen?")
        patient = system.patient("linde", "7", amr=["pwd", "sms"])
        unaccepted = await patient.post("Vraag", "Kan ik langskomen?")
        kinds = [answer.body["type"].rpartition(":")[2] for answer in (weak, unaccepted)]
        assert kinds == ["insufficient-user-authentication", "terms-not-accepted"]
        accepted = await patient.send("POST", "/v1/terms", json={"version": "1", "language": "nl"})
        assert accepted.status == 200, accepted
        answer = await patient.post("Vraag", "Kan ik langskomen?", department="practice")
        await patient.until_is(answer.id, "filed")
        filed = system.filed("linde", answer.id)
        assert (filed.body, filed.attending.split("^")[0]) == ("Kan ik langskomen?", "assistants")
        assert all(answer.id not in system.epds[other].inbox for other in ("spijkenisse", "sein"))
        assert (await system.patient("sein", "7").get(f"/v1/messages/{answer.id}")).status == 404
