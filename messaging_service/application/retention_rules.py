"""For every collection: after how long the clock removes what is in it, or why it does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any

from messaging_service.application import collections as c
from messaging_service.application.alarms import ACKNOWLEDGED
from messaging_service.application.email_notices import REFUSED, UNCONFIRMED
from messaging_service.application.ports import Collection
from messaging_service.application.threads import REPLY, SUBMISSION
from messaging_service.application.unmatched import BOUND, CLOSED
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Lane
from messaging_service.tenants import Tenant

Bound = Callable[[int, Tenant], Any]


def _moment(at: int, tenant: Tenant) -> int:
    return at


def _order(at: int, tenant: Tenant) -> str:
    return f"{at:015}"


def _day(at: int, tenant: Tenant) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(tenant.zone).date().isoformat()


def _of(key: str, *values: str) -> tuple[Mapping[str, Any], ...]:
    return tuple({key: value} for value in values)


@dataclass(frozen=True, slots=True)
class Rule:
    """A tenant's documents in `collection` go `days` after the time that `index` sorts by.

    `among`: the further values by which the index finds them; `bound` is what a time in milliseconds is in it.
    """

    collection: Collection
    index: str
    days: Callable[[Tenant], int]
    among: Sequence[Mapping[str, Any]] = ({},)
    bound: Bound = _moment


_FINAL = tuple({"lane": lane, "state": state} for lane, state in product(Lane, (FilingState.FILED, FilingState.CLOSED)))

_NO_GOOD_DAYS = 30
"""Of addresses for e-mail that were never proved, or are refused: for as long as the account says so."""

RULES = (
    Rule(c.MESSAGES, "by_time", lambda of: of.retention.message_days, _of("kind", SUBMISSION, REPLY)),
    Rule(c.FILINGS, "by_lane", lambda of: of.retention.evidence_days, _FINAL),
    Rule(c.ACCEPTANCES, "by_time", lambda of: of.retention.evidence_days),
    Rule(c.OPENINGS, "by_time", lambda of: of.retention.evidence_days),
    Rule(c.LOGINS, "by_day", lambda of: of.retention.logins_days, bound=_day),
    Rule(c.RECEIVED, "by_time", lambda of: of.epd.listener.remember_days if of.epd.listener else 1),
    Rule(c.EMAIL_NOTICES, "by_state", lambda of: _NO_GOOD_DAYS, _of("state", UNCONFIRMED, REFUSED)),
    Rule(c.HELD, "by_time", lambda of: of.retention.held_days),
    Rule(c.ALARMS, "of_tenant", lambda of: of.retention.alarms_days, _of("state", ACKNOWLEDGED)),
    Rule(c.UNMATCHED, "by_tenant", lambda of: of.retention.mended_days, _of("state", BOUND, CLOSED)),
    Rule(c.PARKED, "by_time", lambda of: of.retention.mended_days, _of("state", "replayed", "closed"), bound=_order),
)
"""By tenant. Messages that the EPD has not filed stay, whatever their age."""

SHARED_RULES = (
    Rule(c.JOURNAL, "by_state", lambda of: of.retention.journal_days, _of("state", "settled"), bound=_order),
    Rule(c.RUNS, "by_state", lambda of: of.retention.journal_days, _of("state", "closed")),
)
"""Of the gateways, which all tenants share: the longest of their terms counts."""

_WITH_MESSAGE = "goes with its message"
_WITH_PATIENT = "the patient's own record: goes when a medical-records decision destroys it"
_ITSELF = "let go by its own writer: "
KEPT: Mapping[str, str] = {
    "identifiers": _WITH_PATIENT,
    "patients": _WITH_PATIENT,
    "care": _WITH_PATIENT,
    "care_events": _WITH_PATIENT,
    "relations": _WITH_PATIENT,
    "accounts": _WITH_PATIENT,
    "feed": _ITSELF + "step `forget_events`; goes with the patient's record too",
    "tickets": _ITSELF + "step `forget_events`, once they are no good any more",
    "allowances": _ITSELF + "step `forget_events`, when an hour is over",
    "feed_ends": "a number a patient: where the feed goes on after its events are gone",
    "webhooks": _ITSELF + "told to the portal, or given up after a day",
    "threads": "ids and times, no content: a later message takes its place after those that are gone",
    "reads": "how far a thread was read, by pseudonym: goes with the patient's record",
    "reply_versions": _WITH_MESSAGE,
    "changes": _WITH_MESSAGE,
    "awaited": _WITH_MESSAGE,
    "replacements": "a keyed digest of a document's number in the EPD, by which a later version finds its message",
    "key_sets": _ITSELF + "one an issuer, replaced when it publishes, trusted for a week",
    "alerts": _ITSELF + "gone when what it tells of is right again",
    "samples": _ITSELF + "after a day",
    "processes": _ITSELF + "an hour after the process was last seen",
    "rehearsals": _ITSELF + "one a tenant, replaced by the next",
    "ledger_reports": _ITSELF + "the newest replaces the one before",
    "access_anchors": "with the entries of the access log that they prove",
}
"""Collections without a rule, and why."""
