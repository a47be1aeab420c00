"""The list of what was destroyed: a file kept apart from the store, so that no restore brings it back unseen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from messaging_service.application.destroy import Destroyed
from messaging_service.domain.errors import SettingInvalid


class DestroyedList:
    """One JSON object a line, only ever added to; ids and who decided, no content and no patient's number."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, lines: Sequence[Destroyed]) -> None:
        """Durable when it returns. Raises SettingInvalid when the file cannot be written."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                file.seek(file.read().rfind(b"\n") + 1)  # over half a line that a crash left
                file.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
            _make_name_durable(self._path.parent)
        except OSError as problem:
            raise SettingInvalid(f"{self._path}: {problem.strerror}") from problem

    def read(self) -> list[Destroyed]:
        """All lines; one that a crash cut short is left out, since nothing was destroyed before it was whole.

        Raises:
            SettingInvalid: the file cannot be read, or a line in it is none of ours.
        """
        try:
            text = self._path.read_bytes()
        except OSError as problem:
            raise SettingInvalid(f"{self._path}: {problem.strerror}") from problem
        *whole, _ = text.split(b"\n")
        try:
            return [msgspec.json.decode(line, type=Destroyed) for line in whole if line]
        except msgspec.DecodeError as problem:
            raise SettingInvalid(f"{self._path}: {problem}") from problem


def _make_name_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
