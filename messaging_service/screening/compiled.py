"""What is read from the lexicon, kept beside it as Python keeps its compiled modules: reading 1.5 MB takes longer."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Read = TypeVar("Read")
_DIGEST = 32


def compiled(folder: Path, read: Callable[[Path], Read]) -> Read:
    """What `read` makes of `folder`, from `__pycache__` beside it when neither lexicon nor code has changed since.

    Only what this code wrote whole is taken; where nothing can be written, as in a read-only image, nothing is kept.
    """
    kept = folder.parent / "__pycache__" / f"lexicon.{sys.implementation.cache_tag}.pickle"
    made_of = _digest(folder)
    with suppress(OSError):
        content = kept.read_bytes()
        if content[:_DIGEST] == made_of and content[_DIGEST : 2 * _DIGEST] == _sum(content[2 * _DIGEST :]):
            return pickle.loads(content[2 * _DIGEST :])  # type: ignore[no-any-return]  # noqa: S301
    found = read(folder)
    if not sys.dont_write_bytecode:
        written = pickle.dumps(found, pickle.HIGHEST_PROTOCOL)
        _keep(kept, made_of + _sum(written) + written)
    return found


def _digest(folder: Path) -> bytes:
    """Of every file of the lexicon and of the code that reads it."""
    found = hashlib.sha256()
    for file in [*sorted(folder.rglob("*.toml")), *sorted(folder.parent.glob("*.py"))]:
        found.update(_sum(file.read_bytes()) + str(file.relative_to(folder.parent)).encode() + b"\0")
    return found.digest()


def _sum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _keep(file: Path, content: bytes) -> None:
    """All of it or nothing: others may be reading."""
    beside = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        try:
            beside.write_bytes(content)
            beside.replace(file)
        except OSError:
            beside.unlink(missing_ok=True)
