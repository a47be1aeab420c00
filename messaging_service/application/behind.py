"""The messages behind each number that operations see. Every page is a bounded number of reads on an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from messaging_service.application.collections import ALARMS, AWAITED, JOURNAL, PARKED, WEBHOOKS, parked_id
from messaging_service.application.journal import Outcome as Publish
from messaging_service.application.pages import Found, page_of
from messaging_service.application.ports import Clock, Document, DocumentStore
from messaging_service.application.threads import Threads
from messaging_service.application.untold import Untold, filings_in
from messaging_service.application.watch_ledger import last_report
from messaging_service.domain.awaited import Outcome
from messaging_service.domain.filing import OPEN_STATES, FilingState
from messaging_service.domain.message import Lane, Step

_PERSIST_PAGES, _PAGE = 4, 50
_AT_ONCE = 200
_DAY_MS = 86_400_000
_ANY_STATE = ("parked", "replayed", "closed")


class Number(StrEnum):
    """A number of the operations page. Those of a step: what it has not done yet. WEBHOOK: events a portal is owed.

    FAILED: what a step gave up on in the last day, whatever became of it.
    """

    PERSIST = "persist"
    FILE = "file"
    DELIVERED = "delivered"
    ESCALATE = "escalate"
    NOTIFY = "notify"
    WEBHOOK = "webhook"
    FAILED = "failed"
    ALARMS = "alarms"
    OVERDUE = "overdue"
    LOST = "lost"
    LATE = "late"
    UNPROVEN = "unproven"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Behind:
    """A message behind a number. `at` (milliseconds) is the moment the list is sorted by, 0: none is known.

    `about` is the reason for which it was parked, the event that is owed, or the care team that is to answer.
    """

    message: str
    lane: str
    state: str
    at: int
    attempts: int = 0
    step: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which list, of whom. `lane` and `step` narrow those that have one; `after` is the `next` of an earlier page."""

    number: Number
    tenant: str
    lane: Lane | None = None
    step: Step | None = None
    after: str = ""

    @property
    def lanes(self) -> Sequence[Lane]:
        """Those asked for."""
        return [self.lane] if self.lane else list(Lane)


Page = tuple[list[Behind], str]
"""Some of a list, and the `next` to go on with; "" at its end."""


class BehindNumbers:
    """Finds the messages behind a number: no content, no patient's number, and none of another tenant's."""

    def __init__(self, *, store: DocumentStore, threads: Threads, untold: Untold, clock: Clock) -> None:
        self._store = store
        self._threads = threads
        self._untold = untold
        self._clock = clock

    async def __call__(self, asked: Asked, limit: int) -> Page:
        """A page of about `limit`; it may hold fewer and still have a next. Raises StoreDown."""
        match asked.number:
            case Number.PERSIST:
                return await self._unpersisted(asked, limit)
            case Number.FILE:
                return await self._in_states(asked, OPEN_STATES, limit)
            case Number.DELIVERED:
                return await self._in_states(asked, (FilingState.DELIVERED,), limit)
            case Number.ESCALATE | Number.NOTIFY:
                return await self._not_told(asked, limit)
            case Number.WEBHOOK:
                return await self._owed(asked, limit)
            case Number.FAILED:
                return await self._failed(asked, limit)
            case Number.ALARMS:
                return await self._alarms(asked, limit)
            case Number.OVERDUE:
                return await self._overdue(asked, limit)
            case _:
                return await self._findings(asked)

    async def up_to(self, asked: Asked, most: int) -> list[Behind]:
        """All of a list, or about the first `most`. Raises StoreDown."""
        found: list[Behind] = []
        while len(found) < most:
            page, after = await self(asked, min(most, _AT_ONCE))
            found += page
            if not after:
                break
            asked = replace(asked, after=after)
        return found[:most]

    async def _in_states(self, asked: Asked, states: Sequence[FilingState], limit: int) -> Page:
        """The oldest first."""
        finds = [filings_in(asked.tenant, lane, state) for lane in asked.lanes for state in states]
        found, last = await page_of(self._store, finds, after=_moment(asked.after), limit=limit)
        return [_of_filing(document) for _, document in found], _next(last)

    async def _not_told(self, asked: Asked, limit: int) -> Page:
        """The newest first: of on-call, or of the portal. The first page also has those that are not stored yet."""
        before, to_on_call = _moment(asked.after), asked.number is Number.ESCALATE
        of = self._untold.on_call if to_on_call else self._untold.portal
        found, last = await of(asked.tenant, before, limit)
        rows = [Behind(one.message, one.lane, one.state, one.accepted_at, about=one.event) for one in found]
        if to_on_call and before is None:
            waiting, _ = await self._unpersisted(Asked(Number.PERSIST, asked.tenant, Lane.URGENT), limit)
            told = await self._untold.rung(asked.tenant, [one.message for one in waiting])
            rows = [one for one in waiting if one.message not in told] + rows
        return rows, _next(last)

    async def _owed(self, asked: Asked, limit: int) -> Page:
        """By when each is posted next; those that were given up when they were tried last."""
        finds = [
            Found(WEBHOOKS, "by_due", {"tenant": asked.tenant, "state": state}, "due_at")
            for state in ("due", "given_up")
        ]
        found, last = await page_of(self._store, finds, after=_moment(asked.after), limit=limit)
        return [_of_webhook(document) for _, document in found], _next(last)

    async def _failed(self, asked: Asked, limit: int) -> Page:
        """The newest first."""

        def is_asked_for(_: Found, parked: Document) -> bool:
            return asked.step in (None, parked["step"]) and asked.lane in (None, _last_word(parked["queue"]))

        finds = [Found(PARKED, "by_time", {"tenant": asked.tenant, "state": state}, "order") for state in _ANY_STATE]
        found, last = await page_of(
            self._store,
            finds,
            after=asked.after or None,
            until=f"{self._clock() - _DAY_MS:015}",
            descending=True,
            limit=limit,
            keep=is_asked_for,
        )
        rows = [_of_parked(document) for _, document in found]
        filed = {one.message: one.attempts for one in await self._with_filings(rows) if one.step == Step.FILE}
        return [replace(one, attempts=filed.get(one.message, 0)) for one in rows], last or ""

    async def _alarms(self, asked: Asked, limit: int) -> Page:
        """The oldest first, each by the message that raised it."""
        find = Found(ALARMS, "of_tenant", {"tenant": asked.tenant, "state": "open"}, "raised_at")
        found, last = await page_of(self._store, [find], after=_moment(asked.after), limit=limit)
        rows = [
            Behind(document["messages"][0], Lane.URGENT, "accepted", document["raised_at"]) for _, document in found
        ]
        return await self._with_filings(rows), _next(last)

    async def _overdue(self, asked: Asked, limit: int) -> Page:
        """By reply date; the place in the list is the date as a number."""
        find = Found(AWAITED, "by_outcome", {"tenant": asked.tenant, "outcome": Outcome.OVERDUE}, "reply_by")
        after = f"{asked.after[-8:-4]}-{asked.after[-4:-2]}-{asked.after[-2:]}" if asked.after else None
        found, last = await page_of(self._store, [find], after=after, limit=limit)
        rows = [
            Behind(document["id"], "", "accepted", document["passed_at"], about=document["care_team"])
            for _, document in found
        ]
        return await self._with_filings(rows), f"{int(last.replace('-', '')):015}" if last else ""

    async def _with_filings(self, rows: Sequence[Behind]) -> list[Behind]:
        """With lane, state and attempts of each one's filing, where it has one."""
        filings = await self._threads.filings([one.message for one in rows])
        return [
            replace(one, lane=filing.lane, state=filing.state, attempts=len(filing.attempts))
            if (filing := filings.get(one.message))
            else one
            for one in rows
        ]

    async def _findings(self, asked: Asked) -> Page:
        """Of the ledger's last report, which keeps a hundred ids; what is lost belongs to nobody yet."""
        report = await last_report(self._store)
        ids = report.findings.get(asked.number.value, []) if report else []
        filings = await self._threads.filings(ids)
        rows = []
        for id in ids:
            filing = filings.get(id)
            if filing is None:
                rows.append(Behind(id, "", "accepted", 0))
            elif filing.tenant == asked.tenant:
                rows.append(Behind(id, filing.lane, filing.state, filing.accepted_at, len(filing.attempts)))
        return rows, ""

    async def _unpersisted(self, asked: Asked, limit: int) -> Page:
        """The newest first, from the gateways' journal; one that died had some that it did not write down."""
        found: list[Behind] = []
        below, more = asked.after or None, ""
        for _ in range(_PERSIST_PAGES):
            batches = await self._store.find(
                JOURNAL, "by_state", {"state": "open"}, below=below, descending=True, limit=_PAGE
            )
            entries = [
                entry
                for batch in batches
                for entry in batch["entries"]
                if entry.get("tenant") == asked.tenant
                and entry["lane"] in asked.lanes
                and entry["outcome"] != Publish.FAILED
            ]
            gone = await self._gone([entry["message"] for entry in entries])
            found += [Behind(e["message"], e["lane"], "accepted", e["at"]) for e in entries if e["message"] not in gone]
            more = below = batches[-1]["order"] if len(batches) == _PAGE else ""
            if not more or len(found) >= limit:
                break
        return found, more

    async def _gone(self, messages: Sequence[str]) -> set[str]:
        """Those that are stored or parked, and so in the persist queue no more."""
        stored = await self._threads.filings(messages)
        rest = {parked_id(message, Step.PERSIST): message for message in messages if message not in stored}
        parked = await self._store.get_many(PARKED, list(rest))
        return {*stored, *(rest[id] for id in parked)}


def _moment(after: str) -> int | None:
    return int(after[:15]) if after else None


def _next(last: int | None) -> str:
    return "" if last is None else f"{last:015}"


def _of_filing(document: Document) -> Behind:
    return Behind(
        document["id"], document["lane"], document["state"], document["accepted_at"], len(document["attempts"])
    )


def _of_webhook(document: Document) -> Behind:
    kind, _, rest = document["event"].partition(".")
    what, _, rest = rest.partition(".")
    state = "owed" if document["state"] == "due" else document["state"]
    return Behind(
        rest[:26], "", state, document["due_at"], document["attempts"], step=Step.NOTIFY, about=f"{kind}.{what}"
    )


def _last_word(queue: str) -> str:
    """The lane, in the names of queues that have one."""
    return queue.rpartition(".")[2]


def _of_parked(document: Document) -> Behind:
    lane = _last_word(document["queue"])
    return Behind(
        document["message"],
        lane if lane in list(Lane) else "",
        document["state"],
        document["parked_at"],
        step=document["step"],
        about=document["reason"],
    )
