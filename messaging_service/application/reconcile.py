"""Prove by the EPD's own list what an interface engine only said to have delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from messaging_service.application.acknowledge import parking
from messaging_service.application.alerts import Alerts
from messaging_service.application.changes import Changes
from messaging_service.application.codec import from_document
from messaging_service.application.collections import FILINGS
from messaging_service.application.file import filed_events
from messaging_service.application.ports import Broker, Clock, DocumentStore
from messaging_service.application.threads import Threads, required
from messaging_service.domain.errors import Conflict
from messaging_service.domain.filing import (
    RECONCILED,
    UNKNOWN,
    Attempt,
    Filing,
    FilingState,
    changed_message,
)
from messaging_service.domain.message import Lane
from messaging_service.tenants import Tenant

NOT_IN_EPD = "not-in-epd"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a list proved: ids now filed, and ids that it should hold and does not, now parked.

    `listed` numbers there were, of which `strange` are of no document of this tenant; `changed` are missing because
    they were corrected or withdrawn since, and stay as they are.
    """

    listed: int = 0
    strange: int = 0
    filed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


class ProveFiled:
    """Records that the EPD's list holds a document, and tells the portal."""

    def __init__(self, threads: Threads, broker: Broker, clock: Clock) -> None:
        self._threads = threads
        self._broker = broker
        self._clock = clock

    async def __call__(self, filing: Filing) -> bool:
        """False when the file step has it in hand, which will have its own proof."""
        last = filing.attempts[-1] if filing.attempts else Attempt(filing.control_id, self._clock())
        proved = last.answered(RECONCILED, "", "", self._clock(), "")
        add = filing.answered if last.code == UNKNOWN else filing.answered_later
        try:
            filing = await self._threads.change(add(proved, FilingState.FILED))
        except Conflict:
            return False
        message = required(await self._threads.message(changed_message(filing.id)))
        for follows in filed_events(filing, message.thread):
            await self._broker.publish(follows.queue, follows.envelope)
        return True


async def filings_in(store: DocumentStore, tenant: Tenant, state: FilingState, until: int) -> AsyncIterator[Filing]:
    """A tenant's in that state, accepted before `until` (ms); ids of one millisecond may span pages."""
    for lane in Lane:
        asked = {"tenant": tenant.id, "lane": lane, "state": state}
        seen: set[str] = set()
        above, limit = 0, _PAGE
        while True:
            found = await store.find(FILINGS, "by_lane", asked, above=above, below=until, limit=limit)
            for filing in (from_document(document, Filing) for document in found if document["id"] not in seen):
                seen.add(filing.id)
                yield filing
            if len(found) < limit:
                break
            last = found[-1]["accepted_at"] - 1
            above, limit = (last, _PAGE) if last > above else (above, 2 * limit)


class Reconcile:
    """The use case behind `messaging-service epd reconcile`. Repeating it changes nothing."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        broker: Broker,
        threads: Threads,
        changes: Changes,
        alerts: Alerts,
        clock: Clock,
    ) -> None:
        self._store = store
        self._broker = broker
        self._threads = threads
        self._changes = changes
        self._alerts = alerts
        self._prove = ProveFiled(threads, broker, clock)

    async def __call__(self, tenant: Tenant, numbers: Iterable[str], *, since: int, until: int) -> Reconciliation:
        """`numbers` are all TXA-12 (of results OBR-3) that the EPD took from `since` until before `until`.

        Times in milliseconds. Whatever is listed and was delivered, or sent without an answer, is filed. What was
        delivered in that period and is not listed is parked, with one alert for all of it.
        """
        listed = {number.strip() for number in numbers} - {""}
        known = await self._of_tenant(tenant, listed)
        done = Reconciliation(listed=len(listed), strange=len(listed) - len(known))
        for filing in known.values():
            if filing.state in (FilingState.DELIVERED, FilingState.UNKNOWN) and await self._prove(filing):
                done.filed.append(filing.id)
        async for filing in filings_in(self._store, tenant, FilingState.DELIVERED, until):
            if since <= filing.taken_at < until and filing.id not in known:
                await self._miss(filing, done)
        await self._tell(tenant, done)
        return done

    async def _of_tenant(self, tenant: Tenant, listed: set[str]) -> dict[str, Filing]:
        ids, found = sorted(listed), {}
        for start in range(0, len(ids), _PAGE):
            found.update(await self._threads.filings(ids[start : start + _PAGE]))
        return {id: filing for id, filing in found.items() if filing.tenant == tenant.id}

    async def _miss(self, filing: Filing, done: Reconciliation) -> None:
        """A change that is no document of its own is in no list, nor is what a later change took out of it."""
        message = required(await self._threads.message(changed_message(filing.id)))
        changes = await self._changes.of(message.id)
        if changes and not (changes[-1].id == filing.id == changes[-1].document):
            done.changed.append(filing.id)
            return
        follows = parking(filing, message, NOT_IN_EPD)
        await self._broker.publish(follows.queue, follows.envelope)
        done.missing.append(filing.id)

    async def _tell(self, tenant: Tenant, done: Reconciliation) -> None:
        key = f"epd-misses {tenant.id}"
        if done.missing:
            text = f"{len(done.missing)} delivered messages are not in the EPD; see `messaging-service parked list`"
            await self._alerts.begin(key, f"{tenant.id}: {text}")
        else:
            await self._alerts.end(key, f"{tenant.id}: the EPD has all that was delivered")
