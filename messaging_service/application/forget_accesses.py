"""The term of the access log is over: entries go, and where a run begins now is anchored before they do."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from messaging_service.application.access_anchors import Anchors, Says
from messaging_service.application.access_chain import Head
from messaging_service.application.access_entry import order_at
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.ports import Clock, DocumentStore
from messaging_service.domain.errors import SettingInvalid

LEAST_YEARS = 5
"""NEN 7513: kept for at least five years."""
_PAGE = 500


class TooEarly(SettingInvalid):
    """The access log is kept for at least five years (NEN 7513). Give a longer term."""


class ForgetAccesses:
    """Deletes in small steps, from the beginning of each run: the rest verifies from its anchored start."""

    def __init__(self, store: DocumentStore, anchors: Anchors, clock: Clock) -> None:
        self._store = store
        self._anchors = anchors
        self._clock = clock

    async def step(self, tenant: str, before: int) -> int:
        """Delete some entries from before that moment (milliseconds); returns how many, 0 when none is left.

        Stopped half-way it can be done again.

        Raises:
            TooEarly: the moment is not five years ago.
            StoreDown, Conflict: try again.
        """
        self._require_five_years(before)
        old = await self._store.find(ACCESS_LOG, "by_time", {"tenant": tenant}, below=order_at(before), limit=_PAGE)
        return sum([await self._forget(tenant, run, before) for run in dict.fromkeys(each["run"] for each in old)])

    async def count(self, tenant: str, before: int) -> int:
        """How many entries are from before that moment: a dry run. Raises TooEarly."""
        self._require_five_years(before)
        counted, above, below = 0, None, order_at(before)
        while page := await self._store.find(
            ACCESS_LOG, "by_time", {"tenant": tenant}, above=above, below=below, limit=_PAGE
        ):
            counted, above = counted + len(page), page[-1]["order"]
        return counted

    async def _forget(self, tenant: str, run: str, before: int) -> int:
        """Of one run, as far as it is older; a clock that was set back does not tear it."""
        page = await self._store.find(ACCESS_LOG, "of_run", {"tenant": tenant, "run": run}, limit=_PAGE)
        young = next((at for at, entry in enumerate(page) if entry["at"] >= before), len(page))
        if not (old := page[:young]):
            return 0
        await self._anchors.add(tenant, Says.START, Head(run, old[-1]["number"], old[-1]["digest"]))
        return sum(await asyncio.gather(*(self._store.delete(ACCESS_LOG, entry["id"]) for entry in old)))

    def _require_five_years(self, before: int) -> None:
        now = datetime.fromtimestamp(self._clock() / 1000, UTC)
        day = 28 if (now.month, now.day) == (2, 29) else now.day
        if before > now.replace(year=now.year - LEAST_YEARS, day=day).timestamp() * 1000:
            raise TooEarly
