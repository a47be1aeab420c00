"""`messaging-service keys` on the command line: a KEK's whole life, and a rewrap that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from messaging_service.bootstrap import Parts, open_parts
from messaging_service.config import load_settings
from tests.parts.service import numbers

Command = Callable[..., Result]
PATIENTS = 7
SLOWLY = """
import asyncio, sys
from messaging_service.application import rewrap
from messaging_service.cli import main

rewrap._AT_ONCE = 2
batches = 0
move = rewrap.Rewrap._move

async def moved(self, document):
    global batches
    batches += 1
    if batches > 4:
        print("half-way", flush=True)
        await asyncio.Event().wait()
    return await move(self, document)

rewrap.Rewrap._move = moved
main(["keys", "rewrap", "sein"])
"""
"""The command, which stops after four keys and says so."""


def with_parts(use: Callable[[Parts], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with open_parts(load_settings(), "test", declare=False) as parts:
            return await use(parts)

    return asyncio.run(run())


@pytest.fixture
def patients(command: Command) -> Command:
    """The same, with patients' keys in the store."""

    async def make(parts: Parts) -> None:
        for n in range(PATIENTS):
            await parts.patients.ensure("sein", numbers(str(n)), "A. Jansen")

    with_parts(make)
    return command


def listed(command: Command) -> list[tuple[int, str, int]]:
    """Version, state and patients of each of SEIN's KEKs."""
    rows = json.loads(command("keys", "list", "--json").stdout)
    return [(row["version"], row["state"], row["patients"]) for row in rows if row["tenant"] == "sein"]


def test_a_keks_whole_life(patients: Command) -> None:
    """Made, listed, rewrapped to; the old one is refused while it is used, and retired when it is not."""
    assert listed(patients) == [(1, "seals", PATIENTS)]
    assert "KEK 2 seals now" in patients("keys", "new-kek", "sein").stdout
    assert listed(patients) == [(1, "opens", PATIENTS), (2, "seals", 0)]
    refused = patients("keys", "retire", "sein", "1", "--yes")
    assert refused.exit_code == 2
    assert "keys rewrap sein" in refused.stderr
    done = patients("keys", "rewrap", "sein")
    assert f"{PATIENTS} patients' keys rewrapped" in done.stdout
    assert "rewrapping" in done.stderr
    assert "0 patients' keys rewrapped" in patients("keys", "rewrap", "sein").stdout
    assert patients("keys", "retire", "sein", "1").exit_code == 1
    assert patients("keys", "retire", "sein", "1", "--yes").exit_code == 0
    assert patients("keys", "retire", "sein", "2", "--yes").exit_code == 2
    assert listed(patients) == [(2, "seals", PATIENTS)]
    assert (patients("keys", "check").exit_code, "sein" in patients("keys", "list").stdout) == (0, True)


def test_a_lost_keyring_and_its_backup(patients: Command, tmp_path: Path) -> None:
    """Backed up under a passphrase, lost, restored, never over one that is there; another keyring is found."""
    secret, backup, keyring = tmp_path / "passphrase", tmp_path / "backup", tmp_path / "keyring"
    secret.write_text("correct horse battery staple")
    assert patients("keys", "backup", str(backup), "--passphrase", "correct horse").exit_code == 2
    assert patients("keys", "backup", str(backup), "--passphrase", f"file:{secret}").exit_code == 0
    assert patients("keys", "restore", str(backup), "--passphrase", f"file:{secret}").exit_code == 2
    kept = keyring.read_bytes()
    assert kept not in backup.read_bytes()
    keyring.unlink()
    assert patients("keys", "init").exit_code == 0
    lost = patients("keys", "check", "--json")
    assert lost.exit_code == 1
    assert "sein: KEK 1 of 7 patients does not open" in json.loads(lost.stdout)[0]
    keyring.unlink()
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    assert patients("keys", "restore", str(backup), "--passphrase", f"file:{wrong}").exit_code == 2
    assert patients("keys", "restore", str(backup), "--passphrase", f"file:{secret}").exit_code == 0
    assert keyring.read_bytes() == kept
    assert patients("keys", "check").exit_code == 0


def test_a_rewrap_that_is_killed(patients: Command) -> None:
    """kill -9 half-way: every key still opens, and the next run does the rest and no more."""
    patients("keys", "new-kek", "sein")
    with subprocess.Popen([sys.executable, "-c", SLOWLY], stdout=subprocess.PIPE, text=True, env=os.environ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "half-way\n"
        running.send_signal(signal.SIGKILL)
    (_, _, left), (_, _, moved) = listed(patients)
    assert (left, moved) == (3, 4)
    assert patients("keys", "check").exit_code == 0
    assert "3 patients' keys rewrapped" in patients("keys", "rewrap", "sein").stdout
    assert listed(patients) == [(1, "opens", 0), (2, "seals", PATIENTS)]

    async def opened(parts: Parts) -> int:
        found = [await parts.patients.find("sein", numbers(str(n))) for n in range(PATIENTS)]
        return len([await parts.patients.load(id) for id in found if id])

    assert with_parts(opened) == PATIENTS
