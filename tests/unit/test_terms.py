"""Which version of the terms holds when, and which can be accepted."""

from __future__ import annotations

from datetime import date

import pytest

from messaging_service.domain.refusals import TermsUnknown
from messaging_service.domain.terms import current, require_current
from messaging_service.tenants import TermsVersion

OLD = TermsVersion(version="1", since=date(2026, 1, 1), texts={"nl": "https://a.example"})
NEW = TermsVersion(version="2", since=date(2026, 6, 1), texts={"nl": "https://b.example", "en": "https://c.example"})


@pytest.mark.parametrize("versions", [(OLD, NEW), (NEW, OLD)])
def test_the_newest_that_has_begun(versions: tuple[TermsVersion, ...]) -> None:
    """From its day on, in whatever order the file lists them; none before the first and none without any."""
    assert current(versions, date(2025, 12, 31)) is None
    assert current(versions, date(2026, 5, 31)) is OLD
    assert current(versions, date(2026, 6, 1)) is NEW
    assert current((), date(2026, 6, 1)) is None


@pytest.mark.parametrize(("version", "language"), [("1", "nl"), ("3", "nl"), ("", "nl"), ("2", "de"), ("2", "")])
def test_only_the_version_in_force_in_a_language_it_has(version: str, language: str) -> None:
    """An older or a later version, one that never was, and a language without a text are refused."""
    with pytest.raises(TermsUnknown):
        require_current((OLD, NEW), date(2026, 6, 1), version, language)
    assert require_current((OLD, NEW), date(2026, 6, 1), "2", "en") is NEW


def test_nothing_to_accept() -> None:
    """A hospital without terms accepts no acceptance."""
    with pytest.raises(TermsUnknown):
        require_current((), date(2026, 6, 1), "1", "nl")
