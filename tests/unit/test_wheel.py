"""What is shipped: a wheel that holds everything it needs and runs from a fresh environment."""

from __future__ import annotations

import configparser
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as it is released."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


def test_it_holds_every_module_and_lexicon(wheel: Path) -> None:
    """All of both packages, and the lexicon that the screening cannot do without."""
    shipped = set(zipfile.ZipFile(wheel).namelist())
    for package in ("messaging_service", "workers"):
        sources = {
            str(path.relative_to(ROOT)) for pattern in ("*.py", "*.toml") for path in (ROOT / package).rglob(pattern)
        }
        assert sources <= shipped
    assert any(name.startswith("messaging_service/screening/lexicon/nl/urgency_") for name in shipped)
    assert "messaging_service/screening/lexicon/notices.toml" in shipped


def test_it_holds_nothing_else(wheel: Path) -> None:
    """No tests, no deploy files, no keys: the two packages and their metadata."""
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"messaging_service", "workers"}


def test_it_says_how_it_is_started(wheel: Path) -> None:
    """The entry point is the command line."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith("entry_points.txt")]
        points = configparser.ConfigParser()
        points.read_string(archive.read(name).decode())
    assert points["console_scripts"]["messaging-service"] == "messaging_service.cli:main"


def test_it_runs_from_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed by itself, with the locked dependencies beside it, far from the sources: it starts and screens."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    done = subprocess.run([*install, "--disable-pip-version-check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (site,) = home.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = home / "bin" / "messaging-service"
    version = run(command, "--version", cwd=tmp_path)
    assert version.startswith("messaging-service, version ")
    where = run(python, "-c", "import messaging_service; print(messaging_service.__file__)", cwd=tmp_path)
    assert where.startswith(str(home)), "the sources were imported, not the wheel"
    verdict = run(command, "screen", cwd=tmp_path, given='{"text": "Drukkende pijn op de borst, straalt uit"}\n')
    assert '"urgent":true' in verdict


def run(program: Path, *arguments: str, cwd: Path, given: str = "") -> str:
    """What it prints; fails the test unless it succeeds."""
    done = subprocess.run([program, *arguments], cwd=cwd, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
