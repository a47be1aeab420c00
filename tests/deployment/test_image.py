"""The image's file tree, made as the Dockerfile makes it, runs as nobody and can write nothing of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "deploy" / "image"
NOBODY = 65534
_PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """/opt/messaging-service of the image, here in a folder that nobody can enter and not change."""
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    folder.chmod(0o755)
    try:
        done = subprocess.run([IMAGE / "build", folder / "tree"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        yield folder / "tree"
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def home() -> Iterator[Path]:
    """The one folder that the service may write to."""
    folder = Path(tempfile.mkdtemp(prefix="state-"))
    os.chown(folder, NOBODY, NOBODY)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def as_nobody(*command: str | Path) -> list[str]:
    """The command without any right that root has."""
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}"]
    return ["setpriv", *ids, "--clear-groups", "--no-new-privs", "--bounding-set=-all", *map(str, command)]


def settings(home: Path) -> dict[str, str]:
    """Settings of an embedded service with its state in `home`, and nothing of this shell's."""
    (home / "jwks.json").write_text('{"keys": []}')
    found = {
        "HOME": str(home),
        "MESSAGING_BROKER": f"embedded:{home}/queue.sqlite",
        "MESSAGING_STORE": f"sqlite:{home}/documents.sqlite",
        "MESSAGING_KEYRING": f"{home}/keyring.json",
        "MESSAGING_TENANTS": str(home / "tenants"),
        "MESSAGING_LISTEN": "127.0.0.1:0",
        "MESSAGING_PUBLIC_URL": "https://messages.hospital.example",
    }
    shutil.copytree(ROOT / "deploy" / "tenants", home / "tenants")
    for tenant in ("SPIJKENISSE", "SEIN"):
        found |= {f"{tenant}_{name}": f"https://{name}.{tenant}.invalid".lower() for name in ("ISSUER", "STAFF_ISSUER")}
        found |= {f"{tenant}_{name}": f"file:{home}/jwks.json" for name in ("JWKS", "STAFF_JWKS")}
        found |= {f"{tenant}_EPD": "mllp://127.0.0.1:9", f"{tenant}_ON_CALL": "http://127.0.0.1:9/"}
        found |= {f"{tenant}_ON_CALL_SECRET": "whsec_bm90IGEgc2VjcmV0IGF0IGFsbCwgYnV0IGxvbmcgZW5vdWdo"}
    return found


def test_it_runs_as_nobody_from_a_tree_it_cannot_change(tree: Path, home: Path) -> None:
    """Keys are made, the service comes up with all its steps, and a SIGTERM ends it with nothing left to do."""
    environment = settings(home)
    program = tree / "bin" / "messaging-service"
    made = subprocess.run(
        as_nobody(program, "keys", "init"), env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    with subprocess.Popen(as_nobody(program, "serve"), env=environment, stderr=subprocess.PIPE, text=True) as service:
        assert service.stderr is not None
        for line in service.stderr:
            if json.loads(line)["event"] == "listening":
                break
        else:
            pytest.fail("it ended before it listened")
        owner = Path(f"/proc/{service.pid}").stat().st_uid
        service.send_signal(signal.SIGTERM)
        service.stderr.read()
    assert (owner, service.returncode) == (NOBODY, 0)


def test_the_tree_is_closed(tree: Path) -> None:
    """No file can be written by whoever runs it, sources and compiled lexicon are in it, nothing to install with."""
    site = next((tree / "lib").glob("python*/site-packages"))
    writable = [path for path in tree.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o222]
    assert writable == []
    assert (site / "messaging_service").is_dir()
    assert (site / "workers").is_dir()
    assert list((site / "messaging_service/screening/__pycache__").glob("lexicon.*.pickle"))
    assert not (site / "pip").exists()
    assert {path.name for path in site.iterdir()} & {"pytest", "hypothesis", "tests", "deploy"} == set()


def test_the_dockerfile_makes_this_tree() -> None:
    """What was tried here is what the image holds: the same script, and a user without rights."""
    lines = (IMAGE / "Dockerfile").read_text().splitlines()
    assert "RUN /src/deploy/image/build /opt/messaging-service" in lines
    assert "COPY --from=build /opt/messaging-service /opt/messaging-service" in lines
    assert f"USER {NOBODY}:{NOBODY}" in lines


def test_the_image_holds_the_versions_that_were_tested() -> None:
    """deploy/image/requirements.lock has every dependency of pyproject.toml, at the version of requirements.lock."""
    tested, shipped = (dict(_PINNED.findall((folder / "requirements.lock").read_text())) for folder in (ROOT, IMAGE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {re.split(r"[\[<>=!~; ]", name)[0].lower() for name in project["dependencies"]}
    assert asked <= shipped.keys(), "run deploy/lock"
    assert {name: tested.get(name) for name in shipped} == shipped, "run deploy/lock"
    assert "pytest" not in shipped
