"""`messaging-service audit` on the command line: for people and for machines, with exit statuses for scripts."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import Result

from messaging_service.application.access_entry import entry_digest
from messaging_service.application.actors import step
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.ports import Access
from messaging_service.bootstrap import Parts, open_parts
from messaging_service.config import load_settings

Command = Callable[..., Result]


def with_parts(use: Callable[[Parts], Awaitable[object]]) -> None:
    async def run() -> None:
        async with open_parts(load_settings(), "test", declare=False) as parts:
            await use(parts)

    asyncio.run(run())


@pytest.fixture
def logged(command: Command) -> Command:
    """The same, with five entries in the log."""

    async def write(parts: Parts) -> None:
        for n in range(5):
            access = Access("sein", "p", step("file", "treatment"), "read", "message", f"m{n}", "filing")
            await parts.access_log.record(access)

    with_parts(write)
    return command


def test_nothing_is_wrong(logged: Command) -> None:
    """Exit status 0, what was looked at, the progress on standard error; an unknown tenant is named."""
    done = logged("audit", "verify", "sein", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["ok"], told["entries"], told["unanchored"], told["faults"]) == (0, True, 5, 0, [])
    people = logged("audit", "verify", "sein")
    assert "5 entries" in people.stdout
    assert "nothing is wrong" in people.stdout
    assert logged("audit", "verify", "nowhere").exit_code == 2


def test_what_is_wrong_is_named(logged: Command, tmp_path: Path) -> None:
    """An entry is taken out, and then the anchors are cut: exit status 1; the kept anchor finds the second."""
    kept = tmp_path / "anchor.json"
    kept.write_text(logged("audit", "anchor", "sein").stdout)

    async def take_one_out(parts: Parts) -> None:
        third = (await parts.store.find(ACCESS_LOG, "of_run", {"tenant": "sein"}))[2]
        await parts.store.delete(ACCESS_LOG, third["id"])

    with_parts(take_one_out)
    done = logged("audit", "verify", "sein", "--json")
    (fault,) = json.loads(done.stdout)["faults"]
    assert (done.exit_code, fault["fault"], fault["first"], fault["last"]) == (1, "gap", 3, 3)
    assert "gap" in logged("audit", "verify", "sein").stdout
    with sqlite3.connect(tmp_path / "d") as store:
        store.execute("DELETE FROM access_anchors")
    told = json.loads(logged("audit", "verify", "sein", "--anchor", str(kept), "--json").stdout)
    assert "anchors cut off" in [fault["fault"] for fault in told["faults"]]
    kept.write_text("{}")
    assert logged("audit", "verify", "sein", "--anchor", str(kept)).exit_code == 2


def test_it_is_handed_over(logged: Command, tmp_path: Path) -> None:
    """JSON lines, for the owner of the file alone, that verify by themselves; that it was handed over is logged."""
    there = tmp_path / "log.jsonl"
    assert logged("audit", "export", "sein", "--output", str(there)).exit_code == 0
    entries = [json.loads(line) for line in there.read_text().splitlines()]
    assert [each["object"] for each in entries] == [*(f"m{n}" for n in range(5)), ""]
    assert all(each["digest"] == entry_digest(each) for each in entries)
    assert (entries[-1]["event"], entries[-1]["actor"]) == ("DCM:110101", "operations")
    assert stat.S_IMODE(there.stat().st_mode) == 0o600
    assert logged("audit", "export", "sein", "--output", str(there)).exit_code == 2
    assert logged("audit", "export", "sein", "--until", "2020-01-01").stdout == ""


def test_nothing_is_anchored_yet(command: Command) -> None:
    """An empty log verifies; it has no anchor to keep."""
    assert command("audit", "verify", "sein").exit_code == 0
    assert command("audit", "anchor", "sein").exit_code == 1


def test_who_looked_at_one_patient(logged: Command) -> None:
    """Newest first, for people and machines; that it was shown is itself there the next time."""
    table = logged("audit", "of-patient", "sein", "p").stdout
    assert "m4" in table
    shown = json.loads(logged("audit", "of-patient", "sein", "p", "--limit", "2", "--json").stdout)
    assert [(each["object_kind"], each["role"]) for each in shown] == [
        ("access_log", "operations"),
        ("message", "system"),
    ]
    assert "nobody" in logged("audit", "of-patient", "sein", "q").stdout
