"""What every table of a tenant's file has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
"""Codes name queues, headers and files, hence the narrow alphabet."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the TOML file; a misspelt key is an error, not a silent default."""


class Mistakes(ValueError):
    """What is wrong in one table, all of it: each with the path of the key, within that table, that it is about."""

    def __init__(self, found: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        super().__init__("; ".join(what for _, what in found))
        self.found = found

    @classmethod
    def refuse(cls, found: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        """Raise if anything was found."""
        if found:
            raise cls(found)
