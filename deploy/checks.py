"""What `deploy/test` does inside the environment: the static checks, then pytest."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from glob import glob
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BIN = Path(sys.executable).parent
STATIC = (
    ("lint", ("ruff", "check", "--quiet")),
    ("format", ("ruff", "format", "--check", "--quiet")),
    ("types", ("mypy",)),
    ("layers", ("lint-imports", "--no-cache")),
)
IN_PARALLEL = ("--numprocesses", "2", "--dist", "loadgroup")
"""One process a core of a small machine. Tests that share servers stay in one process."""
PARTS = (
    ("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server", "apt-get install rabbitmq-server"),
    ("/usr/bin/node", "apt-get install nodejs npm"),
    (str(ROOT / "tests/parts/npm/node_modules/node-hl7-server"), "npm ci --ignore-scripts --prefix tests/parts/npm"),
    (str(ROOT / "tests/parts/npm/node_modules/dclint"), "npm ci --ignore-scripts --prefix tests/parts/npm"),
    ("/usr/bin/chromium", "apt-get install chromium"),
    ("/usr/bin/curl", "apt-get install curl"),
    ("/usr/bin/promtool", "apt-get install --no-install-recommends prometheus"),
    ("/usr/sbin/nginx", "apt-get install --no-install-recommends nginx"),
    (str(_BIN / "nx-27017"), "deploy/test makes it; remove .venv and run it again"),
)


def missing_parts() -> list[str]:
    """For each real part that is not on this machine, the line that installs it."""
    return [f"{path.rpartition('/')[2]} is missing: {remedy}" for path, remedy in PARTS if not glob(path)]


def check(name: str, command: Sequence[str]) -> bool:
    """Run one check and say how it went; its output only when it failed."""
    begun = time.monotonic()
    print(f"· {name} …", end="", flush=True)
    program = shutil.which(command[0], path=str(_BIN)) or command[0]
    done = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    print(f" {'ok' if done.returncode == 0 else 'FAILED'}, {time.monotonic() - begun:.0f} s")
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    """0 when every check and every test passed."""
    if missing := missing_parts():
        print("\n".join(missing), file=sys.stderr)
        return 2
    went = [] if arguments else [check(name, command) for name, command in STATIC]
    tests = subprocess.run([sys.executable, "-m", "pytest", *IN_PARALLEL, *arguments], cwd=ROOT, check=False)
    return tests.returncode or (0 if all(went) else 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
