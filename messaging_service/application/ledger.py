"""Prove by id that nothing is lost: every confirmed publish is persisted, waiting or parked; and so on to filed.

What is checked, and what each finding means:

lost            confirmed to a portal, past its limit, and neither stored nor parked, while no queue holds anything
                it could be
unproven        taken by an interface engine, and past its limit without a proof that the EPD has it
late            confirmed and past its limit, but its queue still holds messages; or persisted and not filed in time
unconfirmed     no 202 is known for it: the broker did not confirm, or the gateway died before it wrote its journal
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import FILINGS, JOURNAL, MESSAGES, PARKED, RUNS
from messaging_service.application.journal import GatewayRun, JournalBatch, JournalEntry, Outcome
from messaging_service.application.ports import Broker, Clock, Depth, DocumentStore
from messaging_service.application.topology import PARK, PARK_DEAD, persist_queue
from messaging_service.domain.filing import OPEN_STATES, FilingState
from messaging_service.domain.message import Lane
from messaging_service.tenants import Tenant

_PAGE = 500
_SECOND_LOOK_SECONDS = 2.0
_RUN_IS_DEAD_AFTER_MS = 30_000
_SETTLED_AFTER_MS = 600_000


@dataclass(slots=True)
class LedgerReport:
    """Message ids by finding. `ok` when nothing is lost or past its limit; `tails` are runs that died."""

    confirmed: int = 0
    persisted: int = 0
    waiting: int = 0
    parked: int = 0
    under_way: int = 0
    delivered: int = 0
    lost: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    unproven: list[str] = field(default_factory=list)
    unconfirmed: list[str] = field(default_factory=list)
    tails: list[RunTail] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every confirmed message is where it should be, in time."""
        return not self.lost and not self.late and not self.unproven


@dataclass(frozen=True, slots=True)
class RunTail:
    """A gateway run that ended without closing: what it published after `watermark` is known only in part."""

    run: str
    watermark: int
    persisted: tuple[str, ...]


class Ledger:
    """Checks the journal of the gateways against store and queues."""

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        store: DocumentStore,
        broker: Broker,
        queues: Iterable[str],
        ladder_ms: Iterable[int],
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._store = store
        self._broker = broker
        self._queues = tuple(queues)
        self._longest_retrying_ms = sum(ladder_ms)
        self._clock = clock

    async def check(self) -> LedgerReport:
        """Check everything that is not settled yet.

        Before anything is called lost a second look is taken: a depth can read 0 while a broker restarts, and a
        message is in no queue while a worker has it in hand.
        """
        report, settled = await self._pass()
        if report.lost:
            await asyncio.sleep(_SECOND_LOOK_SECONDS)
            report, settled = await self._pass()
        for batch in settled:
            await self._store.replace(JOURNAL, {**to_document(batch), "state": "settled"})
        return report

    async def _pass(self) -> tuple[LedgerReport, list[JournalBatch]]:
        report = LedgerReport()
        depths = await self._broker.depths(self._queues)
        settled = await self._check_journal(report, depths)
        await self._check_filings(report)
        await self._check_runs(report)
        report.parked = await self._store.count(PARKED, "by_state", {"state": "parked"})
        return report, settled

    async def _check_journal(self, report: LedgerReport, depths: Mapping[str, Depth]) -> list[JournalBatch]:
        """Those of the open batches that are settled."""
        settled, above = [], ""
        while found := await self._store.find(JOURNAL, "by_state", {"state": "open"}, above=above, limit=_PAGE):
            batches = [from_document(document, JournalBatch) for document in found]
            settled += [batch for batch in batches if await self._is_settled(report, batch, depths)]
            if len(found) < _PAGE:
                break
            above = batches[-1].order
        return settled

    async def _is_settled(self, report: LedgerReport, batch: JournalBatch, depths: Mapping[str, Depth]) -> bool:
        missing = await self._missing([entry.message for entry in batch.entries])
        settled = True
        for entry in batch.entries:
            report.confirmed += entry.outcome is Outcome.CONFIRMED
            if entry.message not in missing:
                report.persisted += 1
            elif entry.outcome is Outcome.CONFIRMED:
                settled = False
                self._place(report, entry, depths)
            elif entry.outcome is Outcome.UNKNOWN:
                report.unconfirmed.append(entry.message)
        return settled and self._clock() - batch.at > _SETTLED_AFTER_MS

    async def _missing(self, ids: list[str]) -> set[str]:
        """A message is stored when its filing is, which is written last."""
        stored = await self._store.get_many(FILINGS, ids)
        rest = [id for id in ids if id not in stored]
        parked = await self._store.get_many(PARKED, [f"{id}.persist" for id in rest]) if rest else {}
        return {id for id in rest if f"{id}.persist" not in parked}

    def _place(self, report: LedgerReport, entry: JournalEntry, depths: Mapping[str, Depth]) -> None:
        """A message on a rung of the delay ladder is in no queue's depth, so that long after its limit it is late."""
        past = self._clock() - entry.at - self._limit_ms(entry.lane)
        if past <= 0:
            report.waiting += 1
        elif past <= self._longest_retrying_ms or any(depths[queue].ready for queue in _may_hold(depths, entry.lane)):
            report.late.append(entry.message)
        else:
            report.lost.append(entry.message)

    def _limit_ms(self, lane: str) -> int:
        due = [tenant.due for tenant in self._tenants.values()]
        if lane == Lane.URGENT:
            return 60_000 * min(d.urgent_minutes for d in due)
        return 60_000 * min(d.normal_minutes for d in due)

    async def _check_filings(self, report: LedgerReport) -> None:
        report.delivered = await self._store.count(FILINGS, "by_state", {"state": FilingState.DELIVERED})
        for state in OPEN_STATES:
            report.under_way += await self._store.count(FILINGS, "by_state", {"state": state})
        for tenant in self._tenants.values():
            for lane, minutes in (
                (Lane.URGENT, tenant.due.urgent_minutes),
                (Lane.NORMAL, tenant.due.normal_minutes),
            ):
                before = self._clock() - 60_000 * minutes
                for state in OPEN_STATES:
                    due = {"tenant": tenant.id, "lane": lane, "state": state}
                    late = await self._store.find(FILINGS, "by_lane", due, below=before, limit=_PAGE)
                    report.late.extend(document["id"] for document in late)
                await self._check_delivered(report, tenant, lane)

    async def _check_delivered(self, report: LedgerReport, tenant: Tenant, lane: Lane) -> None:
        before = self._clock() - 3_600_000 * tenant.due.proven_hours
        asked = {"tenant": tenant.id, "lane": lane, "state": FilingState.DELIVERED}
        found = await self._store.find(FILINGS, "by_lane", asked, below=before, limit=_PAGE)
        report.unproven.extend(document["id"] for document in found)

    async def _check_runs(self, report: LedgerReport) -> None:
        for document in await self._store.find(RUNS, "by_state", {"state": "running"}, descending=True, limit=_PAGE):
            run = from_document(document, GatewayRun)
            if self._clock() - run.seen_at < _RUN_IS_DEAD_AFTER_MS:
                continue
            beyond = await self._store.find(MESSAGES, "of_run", {"run": run.id}, above=run.watermark, limit=_PAGE)
            report.tails.append(RunTail(run.id, run.watermark, tuple(found["id"] for found in beyond)))


def _may_hold(queues: Iterable[str], lane: str) -> list[str]:
    return [queue for queue in queues if queue in (persist_queue(Lane(lane)), PARK, PARK_DEAD)]
