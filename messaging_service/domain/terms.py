"""Which version of the terms of use holds on a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol, TypeVar

from messaging_service.domain.refusals import TermsUnknown


class Version(Protocol):
    """One version of a hospital's terms; `texts` has an address for each language."""

    @property
    def version(self) -> str: ...
    @property
    def since(self) -> date: ...
    @property
    def texts(self) -> Mapping[str, str]: ...


V = TypeVar("V", bound=Version)


def current(versions: Sequence[V], today: date) -> V | None:
    """The newest version that holds on `today`; None when the hospital asks for none, or for none yet."""
    return max((each for each in versions if each.since <= today), key=lambda each: each.since, default=None)


def require_current(versions: Sequence[V], today: date, version: str, language: str) -> V:
    """The version that may be accepted today.

    Raises:
        TermsUnknown: it is another version, or there is no text in that language.
    """
    found = current(versions, today)
    if found is None or found.version != version:
        raise TermsUnknown(f"in force is {found.version}" if found else "this hospital has no terms to accept")
    if language not in found.texts:
        raise TermsUnknown(f"version {version} is there in: {', '.join(sorted(found.texts))}")
    return found
