"""`messaging-service epd check`: what an EPD does, said in plain words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from messaging_service.application.check_epd import HARDEST, CheckEpd, Step
from messaging_service.bootstrap import epd_pool
from messaging_service.cli import main
from messaging_service.cli.epd import _print_step
from messaging_service.domain.message import Identifier
from messaging_service.epd.charset import fit
from messaging_service.epd.render import DocumentTemplate
from tests.parts.filing import Hospital, hospital
from tests.parts.hospitals import TENANTS
from tests.parts.service import Service

PATIENT = (Identifier("local", "9999"),)


async def checked(at: Hospital) -> dict[str, Step]:
    pool = epd_pool(at.tenant.epd)
    try:
        check = CheckEpd(at.tenant, pool, DocumentTemplate.compile(at.tenant.epd.profile), PATIENT)
        steps = [step async for step in check()]
    finally:
        await pool.close()
    return {step.name: step for step in steps}


@pytest.mark.parametrize("profile", [{}, {"correction": "T08"}, {"message": "ORU^R01"}, {"text_as": "FT"}])
async def test_an_epd_that_does_all_of_it(service: Service, profile: dict[str, Any]) -> None:
    """Every step is accepted, one document for the repeat, and at the end no test document is left standing."""
    async with hospital(service, profile=profile) as at:
        steps = await checked(at)
        assert all(step.ok for step in steps.values()), steps
        assert at.epd.inbox[steps["file"].number].count == 2
        assert all(filed.withdrawn or filed.replaced_by for filed in at.epd.inbox.values())
        assert at.epd.inbox[steps["characters"].number].body == fit(HARDEST, at.tenant.epd.profile.codec)[0]
        assert at.epd.inbox[steps["urgent"].number].urgent
        assert at.epd.inbox[steps["longest line"].number].body.endswith("EIND")


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("refuse", "refused (AE 204); it would be parked"),
        ("reject", "refused for now (AR 207)"),
        ("lie", "(mismatch)"),
        ("garbage", "(garbled)"),
        ("hang", "(timeout)"),
    ],
)
async def test_what_an_epd_does_wrong_is_said(service: Service, mode: str, says: str) -> None:
    """Each misbehaviour has its own words, and no step is called in order."""
    async with hospital(service, mode, ack_timeout=0.1) as at:
        steps = await checked(at)
        assert not any(step.ok for step in steps.values())
        assert says in steps["file"].answered


async def test_an_epd_that_is_not_there_ends_the_check(service: Service) -> None:
    """One step, one sentence: nothing else is tried."""
    async with hospital(service, "down") as at:
        steps = await checked(at)
        assert list(steps) == ["file"]
        assert steps["file"].answered.startswith("unreachable")


async def test_an_engines_answer_is_named_as_such(service: Service) -> None:
    """Accepted by an engine proves the delivery alone, and the report says so."""
    async with hospital(service, "engine", acknowledged_by="engine") as at:
        assert "proves the delivery alone" in (await checked(at))["file"].answered


def test_the_command_reports_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A failed step is printed with what was done and what to see in the EPD."""
    _print_step(Step("file", "filed a test message", "X1", False, "refused (AE 204)", "one document"), False)
    printed = capsys.readouterr().out
    assert "FAILED file" in printed
    assert "filed a test message (X1): refused (AE 204)" in printed
    assert "to see in the EPD: one document" in printed


async def test_the_command_line(service: Service, tmp_path: Path) -> None:
    """Status 0 and JSON when all is well, 1 when a step failed or was not seen, 2 for a patient that is none."""
    async with hospital(service) as at:
        environment = {
            "MESSAGING_BROKER": f"embedded:{tmp_path}/queue.sqlite",
            "MESSAGING_STORE": f"sqlite:{tmp_path}/documents.sqlite",
            "MESSAGING_KEYRING": f"{tmp_path}/keyring.json",
            "MESSAGING_TENANTS": str(TENANTS),
        }
        for name in ("ISSUER", "JWKS", "STAFF_ISSUER", "STAFF_JWKS", "EPD", "ON_CALL", "ON_CALL_SECRET"):
            environment |= {f"{tenant}_{name}": f"mllp://127.0.0.1:{at.epd.port}" for tenant in ("SPIJKENISSE", "SEIN")}

        def run(*arguments: str, typed: str = "") -> Any:
            command = ["epd", "check", "spijkenisse", *arguments]
            return CliRunner().invoke(main, command, env=environment, input=typed)

        done = await asyncio.to_thread(run, "--patient", "local=9999", "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["ok"] is True
        seen = await asyncio.to_thread(run, "--patient", "local=9999", "--json", "--look", typed="y\nn\n" + "y\n" * 5)
        assert seen.exit_code == 1, seen.output
        steps = json.loads(seen.stdout)["steps"]
        assert [step["name"] for step in steps if not step["ok"]] == ["repeat"]
        assert [step["seen"] for step in steps] == [True, False, True, True, True, None, True, None, True, None]
        await at.epd.set_mode("refuse")
        assert (await asyncio.to_thread(run, "--patient", "local=9999")).exit_code == 1
        assert (await asyncio.to_thread(run, "--patient", "9999")).exit_code == 2
