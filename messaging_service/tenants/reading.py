"""A tenant's file as it is read: environment variables filled in, and every mistake with its line.

`${NAME}` stands for an environment variable and `${NAME:-value}` for one with a default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, NamedTuple, TypeVar

import msgspec

from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants.mistakes import Mistake, Unset, key_named_in, mistakes_in
from messaging_service.tenants.places import Path, line_of, places_in
from messaging_service.tenants.tables import Table
from messaging_service.tenants.tenant import Tenant

T = TypeVar("T", bound=Table)
_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}")
_LINE = re.compile(r"line (\d+)")


class Fault(NamedTuple):
    """One mistake as a person reads it: `line` counts from 1, `place` is the path of keys, empty for the whole file."""

    line: int
    place: str
    what: str

    def __str__(self) -> str:
        """The line, the place and what is wrong."""
        return ": ".join(str(part) for part in self if part)


@dataclass(frozen=True, slots=True)
class TenantFile:
    """One file. `tenant` is there when it has no fault."""

    path: FilePath
    given: Mapping[str, Any]
    places: Mapping[Path, int]
    faults: Sequence[Fault]

    @property
    def tenant(self) -> Tenant | None:
        """The tenant, unless the file has a fault."""
        return None if self.faults else msgspec.convert(self.given, Tenant)

    def part(self, key: str, kind: type[T]) -> T | None:
        """One table of the file, if that has no fault; its default where the file has none."""
        faulty = key not in self.given or any(mistakes_in(self.given[key], kind))
        return None if faulty else msgspec.convert(self.given[key], kind)

    def fault(self, path: Path, what: str) -> Fault:
        """A fault at `path`; when `what` names a key of the table there, at that key."""
        table: Any = self.given
        for key in path:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict):
            path = (*path, *key_named_in(what, table))
        return Fault(line_of(self.places, path), _written(path), what)


def read_tenant_file(path: FilePath, environment: Mapping[str, str] = os.environ) -> TenantFile:
    """A file with all its faults. Raises nothing for what is in the file, nor for a file that cannot be read."""
    try:
        text = path.read_text("utf-8")
        given = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        found = _LINE.search(str(problem))
        return TenantFile(path, {}, {}, [Fault(int(found[1]) if found else 1, "", str(problem))])
    expanded: dict[str, Any] = {key: _expand(value, environment) for key, value in given.items()}
    places = places_in(text)
    faults = [_fault(places, mistake) for mistake in mistakes_in(expanded, Tenant)]
    return TenantFile(path, expanded, places, sorted(faults))


def load_tenant(path: FilePath, environment: Mapping[str, str] = os.environ) -> Tenant:
    """One tenant's file. Raises SettingInvalid naming the file, and each mistake with its line."""
    file = read_tenant_file(path, environment)
    if file.tenant is None:
        raise SettingInvalid("; ".join(f"{path}:{fault}" for fault in file.faults))
    return file.tenant


def _fault(places: Mapping[Path, int], mistake: Mistake) -> Fault:
    return Fault(line_of(places, mistake.path), _written(mistake.path), mistake.what)


def _written(path: Path) -> str:
    """A path as people write it: terms[0].version."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _expand(value: object, environment: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {key: _expand(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, environment) for item in value]
    if not isinstance(value, str):
        return value
    unset = [found[1] for found in _VARIABLE.finditer(value) if found[2] is None and found[1] not in environment]
    if unset:
        return Unset(tuple(dict.fromkeys(unset)))
    return _VARIABLE.sub(lambda found: environment.get(found[1], found[2] or ""), value)
