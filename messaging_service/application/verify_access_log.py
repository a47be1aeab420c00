"""Verify a tenant's access log against its anchors: a gap, a change, a swapped pair, a cut end, each named.

Reads in pages, by index, and holds a page and the heads of the runs: a million entries cost time, not memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from messaging_service.application.access_anchors import Anchor, Anchors, Says, anchor_digest
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.ports import DocumentStore
from messaging_service.application.verify_run import Fault, Finding, Run, RunCheck
from messaging_service.domain.errors import SettingInvalid

_PAGE = 1_000


class AnchorUnknown(SettingInvalid):
    """This anchor was not made for this tenant with this keyring. Give one that `audit anchor` printed here."""


@dataclass(slots=True)
class Verification:
    """What was found. `in_doubt`: never told as recorded, since the store failed. `unanchored`: entries beyond the
    last anchor of their run, whose end only the next anchor can vouch for.
    """

    tenant: str
    entries: int = 0
    anchors: int = 0
    unanchored: int = 0
    faults: list[Finding] = field(default_factory=list)
    in_doubt: list[Finding] = field(default_factory=list)
    last: Anchor | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


class VerifyAccessLog:
    """The use case behind `messaging-service audit verify`."""

    def __init__(self, store: DocumentStore, anchors: Anchors) -> None:
        self._store = store
        self._anchors = anchors

    async def size(self, tenant: str) -> int:
        """How many entries there are to verify."""
        return await self._store.count(ACCESS_LOG, "by_time", {"tenant": tenant})

    async def __call__(
        self, tenant: str, kept: Anchor | None = None, progress: Callable[[int], object] = lambda done: None
    ) -> Verification:
        """Verify all; `kept` is an anchor that was kept outside the store. `progress` is told of entries done.

        Raises:
            AnchorUnknown: `kept` is another tenant's, or another keyring's.
        """
        found = Verification(tenant)
        runs = await self._runs(tenant, kept, found)
        for run in runs.values():
            await self._check(tenant, run, found, progress)
        above = ""
        while each := await self._next_run(tenant, above):
            if each not in runs:
                await self._check(tenant, Run(each), found, progress)
            above = each
        return found

    async def _runs(self, tenant: str, kept: Anchor | None, found: Verification) -> dict[str, Run]:
        """What the anchors say of each run, themselves verified."""
        if kept is not None and not self._is_ours(tenant, kept):
            raise AnchorUnknown
        runs: dict[str, Run] = {}
        number, digest = 0, ""
        async for anchor in self._anchors.all(tenant):
            self._judge(anchor, number, digest, kept, found)
            number, digest, found.last = anchor.number, anchor.digest, anchor
            found.anchors += 1
            run = runs.setdefault(anchor.run, Run(anchor.run))
            run.take(anchor.says is Says.START, anchor.head)
        if kept is not None and kept.number > number:
            found.faults.append(Finding(Fault.ANCHORS_CUT, "", number + 1, kept.number))
        return runs

    def _is_ours(self, tenant: str, kept: Anchor) -> bool:
        right = kept.tenant == tenant and kept.digest == anchor_digest(kept)
        return right and self._anchors.is_proved(kept)

    def _judge(self, anchor: Anchor, number: int, digest: str, kept: Anchor | None, found: Verification) -> None:
        if anchor.number != number + 1:
            found.faults.append(Finding(Fault.ANCHORS_MISSING, "", number + 1, anchor.number - 1))
        whole = anchor.digest == anchor_digest(anchor) and self._anchors.is_proved(anchor)
        linked = anchor.number != number + 1 or anchor.previous == digest
        as_kept = kept is None or kept.number != anchor.number or kept.digest == anchor.digest
        if not (whole and linked and as_kept):
            found.faults.append(Finding(Fault.ANCHOR_CHANGED, anchor.run, anchor.number, anchor.number))

    async def _next_run(self, tenant: str, above: str) -> str | None:
        page = await self._store.find(ACCESS_LOG, "of_run", {"tenant": tenant}, above=above, limit=1)
        return page[0]["run"] if page else None

    async def _check(self, tenant: str, run: Run, found: Verification, progress: Callable[[int], object]) -> None:
        check, above = RunCheck(run), None
        while True:
            equal = {"tenant": tenant, "run": run.id}
            page = await self._store.find(ACCESS_LOG, "of_run", equal, above=above, limit=_PAGE)
            for document in page:
                check.take(document)
            progress(len(page))
            if len(page) < _PAGE:
                break
            above = max(page[-1]["number"] - 1, page[0]["number"])  # of two with one number neither is passed over
        check.end()
        found.entries += check.entries
        found.unanchored += check.unanchored
        found.faults += check.faults
        found.in_doubt += check.in_doubt
