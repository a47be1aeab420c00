"""Every collection with its indexes, in one place. The shard key is part of every unique index."""

from __future__ import annotations

from messaging_service.application.ports import Collection, Index

IDENTIFIERS = Collection("identifiers", (Index("of_own", ("own",)),))
PATIENTS = Collection("patients", (Index("of_survivor", ("merged_into",)), Index("by_kek", ("tenant", "kek"))))
CARE = Collection(
    "care",
    (
        Index("by_death", ("tenant", "deceased_at")),
        Index("by_end", ("tenant", "care_ended_at")),
        Index("by_quiet", ("tenant", "watched_since")),
    ),
)
CARE_EVENTS = Collection("care_events", (Index("of_patient", ("patient", "order")),), shard_key="patient")
ACCOUNTS = Collection("accounts", (Index("by_end", ("tenant", "care_over_at")),))
ACCEPTANCES = Collection(
    "acceptances", (Index("of_patient", ("patient", "at")), Index("by_time", ("tenant", "at"))), shard_key="patient"
)
RELATIONS = Collection("relations", (Index("of_patient", ("patient", "began_at")),), shard_key="patient")
THREADS = Collection("threads", (Index("of_patient", ("patient", "order")),), shard_key="patient")
MESSAGES = Collection(
    "messages",
    (
        Index("in_thread", ("thread", "place"), unique=True),
        Index("of_run", ("run", "number")),
        Index("shown_in_thread", ("thread", "kind", "withdrawn_at", "place")),
        Index("by_time", ("tenant", "kind", "accepted_at")),
    ),
    shard_key="thread",
)
READS = Collection("reads", (Index("of_thread", ("thread", "reader")),), shard_key="thread")
REPLY_VERSIONS = Collection("reply_versions", (Index("of_message", ("message", "order")),), shard_key="message")
REPLACEMENTS = Collection("replacements")
UNMATCHED = Collection(
    "unmatched",
    (
        Index("by_state", ("state", "received_at")),
        Index("of_message", ("message",)),
        Index("by_tenant", ("tenant", "state", "received_at")),
    ),
)
RECEIVED = Collection("received", (Index("by_time", ("tenant", "at")),))
FILINGS = Collection(
    "filings",
    (
        Index("by_state", ("state", "accepted_at")),
        Index("by_lane", ("tenant", "lane", "state", "accepted_at")),
        Index("by_control_id", ("tenant", "last_control_id")),
    ),
)
AWAITED = Collection(
    "awaited",
    (
        Index("by_time", ("tenant", "next_at")),
        Index("of_thread", ("thread", "place")),
        Index("by_week", ("tenant", "week", "outcome", "care_team")),
        Index("by_outcome", ("tenant", "outcome", "reply_by")),
    ),
    shard_key="thread",
)
CHANGES = Collection("changes", (Index("of_message", ("message", "number")),), shard_key="message")
PARKED = Collection(
    "parked",
    (
        Index("by_state", ("state", "order")),
        Index("by_kind", ("tenant", "state", "step", "reason", "order")),
        Index("of_identifier", ("identifier",)),
        Index("by_time", ("tenant", "state", "order")),
    ),
)
ALARMS = Collection("alarms", (Index("of_tenant", ("tenant", "state", "raised_at")),))
KEY_SETS = Collection("key_sets")
LOGINS = Collection("logins", (Index("by_day", ("tenant", "day", "kind")),))
HELD = Collection("held", (Index("by_time", ("tenant", "at")), Index("of_identifier", ("identifier",))))
OPENINGS = Collection(
    "openings", (Index("of_message", ("message", "at")), Index("by_time", ("tenant", "at"))), shard_key="message"
)
FEED = Collection(
    "feed",
    (Index("of_patient", ("patient", "number"), unique=True), Index("by_time", ("day", "order"))),
    shard_key="patient",
)
WEBHOOKS = Collection("webhooks", (Index("by_due", ("tenant", "state", "due_at")),))
EMAIL_NOTICES = Collection(
    "email_notices",
    (
        Index("of_patient", ("patient", "reader")),
        Index("by_due", ("tenant", "due_at")),
        Index("by_state", ("tenant", "state", "at")),
    ),
    shard_key="patient",
)
FEED_ENDS = Collection("feed_ends")
ALLOWANCES = Collection("allowances", (Index("by_end", ("tenant", "ends_at")),))
TICKETS = Collection("tickets", (Index("by_time", ("tenant", "at")),))
ALERTS = Collection("alerts", (Index("by_state", ("state", "due_at")),))
RUNS = Collection("runs", (Index("by_state", ("state", "started_at")),))
JOURNAL = Collection("journal", (Index("by_state", ("state", "order")),))
ACCESS_LOG = Collection(
    "access_entries",
    (
        Index("of_patient", ("patient", "order")),
        Index("of_run", ("tenant", "run", "number")),
        Index("by_time", ("tenant", "order")),
    ),
)
ACCESS_ANCHORS = Collection("access_anchors", (Index("in_order", ("tenant", "number")),))
REHEARSALS = Collection("rehearsals")
SAMPLES = Collection("samples", (Index("by_hour", ("tenant", "hour")),))
PROCESSES = Collection("processes", (Index("by_time", ("kind", "seen_at")),))
LEDGER_REPORTS = Collection("ledger_reports")

ALL = (
    IDENTIFIERS,
    PATIENTS,
    CARE,
    CARE_EVENTS,
    ACCOUNTS,
    ACCEPTANCES,
    RELATIONS,
    THREADS,
    MESSAGES,
    READS,
    REPLY_VERSIONS,
    REPLACEMENTS,
    UNMATCHED,
    RECEIVED,
    FILINGS,
    AWAITED,
    CHANGES,
    PARKED,
    ALARMS,
    KEY_SETS,
    LOGINS,
    HELD,
    OPENINGS,
    FEED,
    WEBHOOKS,
    EMAIL_NOTICES,
    FEED_ENDS,
    ALLOWANCES,
    TICKETS,
    ALERTS,
    RUNS,
    JOURNAL,
    REHEARSALS,
    SAMPLES,
    PROCESSES,
    LEDGER_REPORTS,
    ACCESS_LOG,
    ACCESS_ANCHORS,
)


def parked_id(message: str, step: str) -> str:
    """The id of what `step` gave up on of `message`, in PARKED."""
    return f"{message}.{step}"
