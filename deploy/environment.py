"""The project's own environment, made with nothing but Python's standard library.

`.venv` holds what requirements.lock pins, each file checked by its hash, and the project itself.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
_STAMP = ENVIRONMENT / "installed"
_OLDEST = (3, 11)


def ensure() -> None:
    """Make `.venv` complete; does nothing when it is. Exits with a line that says what is missing."""
    if sys.version_info < _OLDEST:
        sys.exit("Python 3.11 or newer is needed: run this with python3.11, python3.12 or python3.13")
    wanted = _fingerprint()
    if _STAMP.exists() and _STAMP.read_text() == wanted:
        return
    if not PYTHON.exists():
        _step("making the environment", _make)
    _step(
        "installing what requirements.lock pins",
        lambda: _pip("install", "--require-hashes", "--requirement", str(ROOT / "requirements.lock")),
    )
    editable = ("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    _step("installing the service", lambda: _pip(*editable))
    _STAMP.write_text(wanted)


def _fingerprint() -> str:
    files = (ROOT / "requirements.lock", ROOT / "pyproject.toml")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + sys.version.encode()).hexdigest()


def _make() -> None:
    try:
        venv.create(ENVIRONMENT, with_pip=True, clear=ENVIRONMENT.exists())
    except subprocess.CalledProcessError:
        sys.exit("Python cannot make environments here: apt-get install python3-venv")


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"\n{done.stdout}\npip could not install; is the package index reachable?")


def _step(what: str, do: object) -> None:
    begun = time.monotonic()
    print(f"· {what} …", end="", flush=True, file=sys.stderr)
    assert callable(do)
    do()
    print(f" {time.monotonic() - begun:.0f} s", file=sys.stderr)


def run(script: Path, arguments: list[str]) -> None:
    """Go on as `script` inside the environment; does not return.

    Compiled modules are kept, whatever the machine's habit: every process of ours would compile six hundred anew.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    os.execve(PYTHON, [str(PYTHON), str(script), *arguments], kept)  # noqa: S606 - our own interpreter
