"""Arrows point one way, and importing does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

IMPORT_EVERYTHING = """
import os, pkgutil, sys

ours = ("messaging_service", "workers")
asked, done = set(), []

class Watched(dict):
    def __getitem__(self, key):
        asked.add(key)
        return super().__getitem__(key)
    def get(self, key, default=None):
        asked.add(key)
        return super().get(key, default)
    def __contains__(self, key):
        asked.add(key)
        return super().__contains__(key)
    def copy(self):
        asked.add("everything")
        return super().copy()

def audit(event, arguments):
    if event in ("socket.connect", "socket.bind", "sqlite3.connect", "subprocess.Popen", "os.mkdir", "os.remove"):
        done.append(event)
    writes = os.O_WRONLY | os.O_RDWR
    if event == "open" and not str(arguments[0]).endswith((".pyc", "null")) and (arguments[2] or 0) & writes:
        if "__pycache__" not in str(arguments[0]):
            done.append(f"wrote {arguments[0]}")
    if event == "_thread.start_new_thread":
        done.append("thread")

sys.addaudithook(audit)
names = []
for name in ours:
    package = __import__(name)
    names += [found.name for found in pkgutil.walk_packages(package.__path__, name + ".")]
# third-party packages may read the environment for themselves: they are imported before it is watched
import messaging_service.cli, messaging_service.serving  # noqa
for name in [name for name in sys.modules if name.split(".")[0] in ours]:
    del sys.modules[name]
os.environ = Watched(os.environ)
names = [name for name in names if not name.endswith("__main__")]
for name in names:
    __import__(name)
print(len(names), sorted(key for key in asked if key.startswith(("MESSAGING", "everything"))), done)
"""


def test_the_contracts_hold() -> None:
    """import-linter finds no import against the layers, and no named library outside its place."""
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_importing_does_nothing() -> None:
    """Every module, in a new interpreter: no connection, no file written, no thread, no setting read."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    number, _, rest = done.stdout.strip().partition(" ")
    assert int(number) > 100
    assert rest == "[] []"
