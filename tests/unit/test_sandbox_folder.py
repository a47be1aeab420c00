"""The sandbox's folder: whose it is, and what --fresh may delete."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLAIM = """
import sys
from pathlib import Path
from up import claim, NotStarted
for folder in sys.argv[1:]:
    try:
        claim(Path(folder), True)
        print("claimed")
    except NotStarted as problem:
        print(problem)
"""


def test_fresh_deletes_only_what_a_run_of_the_sandbox_left(tmp_path: Path) -> None:
    """A foreign folder and one of a run that goes on are refused untouched; an earlier run's is emptied, links cut."""
    foreign, running, earlier = (tmp_path / name for name in ("precious", "running", "earlier"))
    for folder in (foreign, running, earlier):
        (folder / "in").mkdir(parents=True)
        (folder / "in" / "kept").write_text("x", "utf-8")
    for folder in (running, earlier):
        (folder / "lock").touch()
    (earlier / "link").symlink_to(foreign)
    with (running / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = os.pathsep.join([str(ROOT / "deploy" / "sandbox"), str(ROOT)])
        folders = [str(folder) for folder in (foreign, running, earlier, tmp_path / "new")]
        done = subprocess.run(
            [sys.executable, "-c", CLAIM, *folders],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
    said = done.stdout.splitlines()
    assert ["holds something else" in said[0], "is running already" in said[1], *said[2:]] == [
        True, True, "claimed", "claimed",
    ]  # fmt: skip
    assert (foreign / "in" / "kept").exists()
    assert (running / "in" / "kept").exists()
    assert [each.name for each in earlier.iterdir()] == ["lock"]


def test_once_needs_no_fresh() -> None:
    """Said, rather than a folder wiped that --once does not use."""
    up = [sys.executable, str(ROOT / "deploy" / "sandbox" / "up.py"), "--once", "--fresh"]
    done = subprocess.run(up, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert (done.returncode, "folder of its own" in done.stderr) == (2, True)
