"""What is shipped: a wheel that holds everything it needs. That it runs by itself: tests/deployment/test_image.py."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_SHIPPED = ("*.py", "*.toml", "*.html", "*.css", "*.js", "*.svg")


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
        sources = {str(path.relative_to(ROOT)) for pattern in _SHIPPED for path in (ROOT / package).rglob(pattern)}
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
