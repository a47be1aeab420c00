"""filing withdraw, filing correct and epd reconcile, as they are typed, beside a service that runs."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from messaging_service.cli import main
from messaging_service.domain.filing import FilingState
from tests.parts.filing import Hospital, hospital
from tests.parts.hospitals import TENANTS
from tests.parts.service import Service


@pytest.fixture
async def at(service: Service) -> AsyncIterator[Hospital]:
    """A hospital whose engine answers."""
    async with hospital(service, acknowledged_by="engine") as opened:
        yield opened


class Commands:
    """Runs commands over the same files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            "MESSAGING_BROKER": f"embedded:{folder}/queue.sqlite",
            "MESSAGING_STORE": f"sqlite:{folder}/documents.sqlite",
            "MESSAGING_KEYRING": f"{folder}/keyring.json",
            "MESSAGING_TENANTS": str(TENANTS),
        }
        for name in ("ISSUER", "JWKS", "STAFF_ISSUER", "STAFF_JWKS", "EPD", "ON_CALL", "ON_CALL_SECRET"):
            self._environment |= {f"{tenant}_{name}": "mllp://127.0.0.1:9" for tenant in ("SPIJKENISSE", "SEIN")}

    async def __call__(self, *arguments: str) -> Result:
        """Run one to its end."""
        return await asyncio.to_thread(lambda: CliRunner().invoke(main, arguments, env=self._environment))

    def file(self, text: str | bytes) -> str:
        """A file of that text."""
        path = self.folder / "given.txt"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)


@pytest.fixture
def run(tmp_path: Path) -> Commands:
    """The commands."""
    return Commands(tmp_path)


async def test_withdraw_and_show(at: Hospital, run: Commands) -> None:
    """Ordered, carried out by the file step, and shown under the id that the command printed."""
    message = await at.filed()
    ordered = await run("filing", "withdraw", message.id, "--reason", "wrong-patient")
    assert ordered.stdout == f"ordered: messaging-service filing show {message.id}.1\n"
    await at.carry_out(1)
    assert at.epd.inbox[message.id].withdrawn
    shown = await run("filing", "show", f"{message.id}.1")
    assert "delivered" in shown.stdout
    assert "AA" in shown.stdout


async def test_show_tells_how_often_it_was_sent(service: Service, at: Hospital, run: Commands) -> None:
    """One that the EPD was silent to and that was sent again: one attempt, its first and last time, and how often."""
    message = await service.persisted()
    filing = await at.filing(message.id)
    for sent_at in (60_000, 120_000, 180_000):
        filing = await service.threads.change(filing.sending(sent_at))
    shown = await run("filing", "show", message.id, "--json")
    (attempt,) = json.loads(shown.stdout)["attempts"]
    assert (attempt["first_sent_at"], attempt["sent_at"], attempt["sendings"]) == (60_000, 180_000, 3)
    (row,) = [line for line in (await run("filing", "show", message.id)).stdout.splitlines() if "unknown" in line]
    assert re.search(r" 3 .*00:01:00Z .*00:03:00Z ", row)


async def test_correct(at: Hospital, run: Commands) -> None:
    """The file's text takes the place of the first one, umlauts and all."""
    message = await at.filed()
    text = run.file("Één betere tekst\nop twee regels")
    done = await run("filing", "correct", message.id, "--subject", "Vraag", "--text", text, "--reason", "typo")
    assert done.exit_code == 0, done.output
    await at.carry_out(1)
    assert at.epd.inbox[f"{message.id}.1"].body == "Één betere tekst\nop twee regels"


async def test_what_cannot_be_changed_is_one_line(at: Hospital, run: Commands) -> None:
    """Not in the EPD, no code for a reason, a file that is no text: status 2 and one line with the remedy."""
    message = await at.service.persisted()
    for arguments, says in (
        (("withdraw", message.id, "--reason", "typo"), "filing show"),
        (("withdraw", message.id, "--reason", "Jansen heeft gebeld"), "code"),
        (
            ("correct", message.id, "--subject", "x", "--text", run.file(b"\xff\xfeJansen"), "--reason", "typo"),
            "not text in UTF-8",
        ),
    ):
        refused = await run("filing", *arguments)
        assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1), refused.stderr
        assert says in refused.stderr
        assert "Jansen" not in refused.stderr


async def test_reconcile(at: Hospital, run: Commands) -> None:
    """One listed, one not: filed and parked, exit status 1; with nothing missing 0."""
    kept, lost = await at.filed(patient="1"), await at.filed(patient="2")
    period = ("--from", "2026-01-01T00:00", "--until", "2036-01-01T00:00")
    done = await run("epd", "reconcile", "spijkenisse", run.file(f"{kept.id}\r\nSTRANGE\r\n"), *period, "--json")
    assert done.exit_code == 1, done.output
    report = json.loads(done.stdout)
    assert (report["filed"], report["missing"], report["strange"]) == ([kept.id], [lost.id], 1)
    await at.park_all()
    assert (await at.filing(lost.id)).state is FilingState.PARKED
    again = await run("epd", "reconcile", "spijkenisse", run.file(kept.id), *period)
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("tenant", "since", "until", "says"),
    [
        ("nobody", "2026-01-01", "2026-01-02", "no tenant 'nobody'"),
        ("spijkenisse", "gisteren", "2026-01-02", "is no time"),
        ("spijkenisse", "2026-01-02", "2026-01-01", "must be before"),
        ("spijkenisse", "2036-01-01", "2036-01-02", "both in the past"),
    ],
)
async def test_a_period_that_is_none(
    at: Hospital, run: Commands, tenant: str, since: str, until: str, says: str
) -> None:
    """Refused before anything is read as missing."""
    message = await at.filed()
    refused = await run("epd", "reconcile", tenant, run.file(""), "--from", since, "--until", until)
    assert refused.exit_code == 2
    assert says in refused.stderr
    assert (await at.filing(message.id)).state is FilingState.DELIVERED
