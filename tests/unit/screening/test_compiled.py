"""The compiled lexicon is taken only while it is what the files and the code say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from messaging_service.screening.compiled import compiled
from messaging_service.screening.lexicon_files import packaged_folder
from messaging_service.screening.screener import Screener

_CACHE = f"lexicon.{sys.implementation.cache_tag}.pickle"


class Reader:
    """Reads a folder of one file, and counts how often."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, folder: Path) -> dict[str, str]:
        """What stands in the file."""
        self.read += 1
        return {"text": (folder / "nl" / "words.toml").read_text()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lexicon of one file beside one module of code."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    lexicon = tmp_path / "lexicon"
    (lexicon / "nl").mkdir(parents=True)
    (lexicon / "nl" / "words.toml").write_text("one = 1\n")
    (tmp_path / "terms.py").write_text("")
    return lexicon


def test_it_is_read_once(folder: Path) -> None:
    """The second time it comes from what was kept, and is the same."""
    reader = Reader()
    assert compiled(folder, reader) == compiled(folder, reader) == {"text": "one = 1\n"}
    assert reader.read == 1


@pytest.mark.parametrize("changed", ["lexicon/nl/words.toml", "terms.py", "lexicon/nl/more.toml"])
def test_any_change_is_seen(folder: Path, changed: str) -> None:
    """A file of the lexicon or of the code that differs, or is new, makes it be read again."""
    reader = Reader()
    compiled(folder, reader)
    (folder.parent / changed).write_text("two = 2\n")
    assert compiled(folder, reader)["text"] == (folder / "nl" / "words.toml").read_text()
    assert reader.read == 2


@pytest.mark.parametrize("damage", [lambda kept: kept[:-5], lambda kept: kept[:-1] + b"x", lambda _: b""])
def test_what_is_damaged_is_not_taken(folder: Path, damage: object) -> None:
    """A file cut short or changed anywhere is not even looked into."""
    reader = Reader()
    compiled(folder, reader)
    kept = folder.parent / "__pycache__" / _CACHE
    kept.write_bytes(damage(kept.read_bytes()))  # type: ignore[operator]
    assert compiled(folder, reader) == {"text": "one = 1\n"}
    assert reader.read == 2


def test_where_nothing_can_be_written_nothing_is_kept(folder: Path) -> None:
    """A package that cannot be written to works as well, only slower."""
    (folder.parent / "__pycache__").write_text("no folder")
    reader = Reader()
    compiled(folder, reader), compiled(folder, reader)
    assert reader.read == 2
    assert sorted(entry.name for entry in folder.parent.iterdir()) == ["__pycache__", "lexicon", "terms.py"]


def test_compiled_and_read_judge_alike() -> None:
    """The packaged lexicon as kept gives the verdicts of the same files read from a folder."""
    kept, read = Screener.load(), Screener.load_from(packaged_folder())
    assert kept.lexicon == read.lexicon
    for rule in read.lexicon.rules[::40]:
        for text in rule.match:
            assert kept.screen(text, markup=False, language="nl") == read.screen(text, markup=False, language="nl")
