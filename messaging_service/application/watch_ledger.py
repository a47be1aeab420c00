"""Check the ledger every few minutes, keep what it said, and tell operations once when something is amiss."""

from __future__ import annotations

from dataclasses import dataclass, field

from messaging_service.application.alerts import Alerts
from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import LEDGER_REPORTS
from messaging_service.application.ledger import Ledger, LedgerReport
from messaging_service.application.ports import Clock, DocumentStore

_EVERY_MS = 300_000
_LAST = "last"
_KEPT_IDS = 100
_ALERT = "ledger"


@dataclass(frozen=True, slots=True)
class KeptReport:
    """What the ledger said at `at` (milliseconds): the numbers, and at most a hundred ids of each finding."""

    id: str
    at: int
    ok: bool
    counts: dict[str, int] = field(default_factory=dict)
    findings: dict[str, list[str]] = field(default_factory=dict)
    version: int = 1


class WatchLedger:
    """One of however many processes checks when it is time; the others find that it was done."""

    def __init__(self, *, store: DocumentStore, ledger: Ledger, alerts: Alerts, clock: Clock) -> None:
        self._store = store
        self._ledger = ledger
        self._alerts = alerts
        self._clock = clock

    async def __call__(self) -> None:
        """Check if it is time. Raises StoreDown or BrokerDown."""
        kept = await last_report(self._store)
        if kept is not None and self._clock() - kept.at < _EVERY_MS:
            return
        report = await self._ledger.check()
        found = kept_report(report, self._clock(), kept.version if kept else 1)
        if kept is None:
            await self._store.insert(LEDGER_REPORTS, [to_document(found)])
        else:
            await self._store.replace(LEDGER_REPORTS, to_document(found))
        await self._tell(report)

    async def _tell(self, report: LedgerReport) -> None:
        if report.ok:
            await self._alerts.end(_ALERT, "ledger: nothing is lost or late any more")
        else:
            found = f"lost {len(report.lost)}, late {len(report.late)}, not proved {len(report.unproven)}"
            await self._alerts.begin(_ALERT, f"ledger: {found}; see `messaging-service ledger`")


def kept_report(report: LedgerReport, at: int, version: int = 1) -> KeptReport:
    """What is kept of a report."""
    counts = ("confirmed", "persisted", "waiting", "under_way", "delivered", "parked")
    findings = ("lost", "late", "unproven", "unconfirmed")
    return KeptReport(
        id=_LAST,
        at=at,
        ok=report.ok,
        counts={name: getattr(report, name) for name in counts} | {n: len(getattr(report, n)) for n in findings},
        findings={name: getattr(report, name)[:_KEPT_IDS] for name in findings},
        version=version,
    )


async def last_report(store: DocumentStore) -> KeptReport | None:
    """What the ledger said last."""
    document = await store.get(LEDGER_REPORTS, _LAST)
    return from_document(document, KeptReport) if document else None
