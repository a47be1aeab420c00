"""How long each thing is kept: the clock removes what is older."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from messaging_service.tenants.tables import Table

_DAYS_IN_A_YEAR = 365.25


class Retention(Table, frozen=True, kw_only=True):
    """Terms. `messages`: the service holds the record itself (20 years, BW 7:454), or a working copy beside the EPD's.

    `evidence_years` is of filings, acceptances of terms and what on-call opened, never shorter than the messages'.
    `access_log_years`: at least five (NEN 7513). `held_days` is of urgent messages that were refused, `mended_days` of
    parked and unmatched ones that somebody has dealt with, `journal_days` of the gateways' settled journal.
    """

    messages: Literal["record", "working_copy"] = "record"
    record_years: Annotated[int, Meta(ge=20, le=200)] = 20
    working_copy_days: Annotated[int, Meta(ge=30, le=7_300)] = 365
    evidence_years: Annotated[int, Meta(ge=1, le=200)] = 20
    access_log_years: Annotated[int, Meta(ge=5, le=200)] = 20
    logins_days: Annotated[int, Meta(ge=1, le=73_000)] = 1_826
    alarms_days: Annotated[int, Meta(ge=31, le=73_000)] = 365
    held_days: Annotated[int, Meta(ge=31, le=73_000)] = 365
    mended_days: Annotated[int, Meta(ge=31, le=73_000)] = 365
    journal_days: Annotated[int, Meta(ge=31, le=73_000)] = 90

    def __post_init__(self) -> None:
        """What proves that a message was filed outlives the message."""
        if self.evidence_days < self.message_days:
            raise ValueError("evidence_years must not be shorter than the messages are kept")

    @property
    def message_days(self) -> int:
        """How many days a message is kept after it was accepted, or as a reply was stored."""
        return days_of(self.record_years) if self.messages == "record" else self.working_copy_days

    @property
    def evidence_days(self) -> int:
        """How many days evidence is kept."""
        return days_of(self.evidence_years)


def days_of(years: int) -> int:
    """Whole days, never fewer than the years have."""
    return int(years * _DAYS_IN_A_YEAR) + 1
