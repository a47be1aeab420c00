"""How many messages were answered in time: a line per care team and week of receipt, counted by index."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from messaging_service.application.collections import AWAITED
from messaging_service.application.ports import DocumentStore
from messaging_service.domain.awaited import Outcome
from messaging_service.tenants import Tenant

OTHER = "(other)"
"""Teams that are no longer in the tenant's file, together."""


@dataclass(frozen=True, slots=True)
class WeekOfReplies:
    """Of the messages that a team got in an ISO week: answered or handled on time and late, and those still open.

    `open` are before their date, `overdue` past it.
    """

    care_team: str
    week: str
    on_time: int
    late: int
    open: int
    overdue: int

    @property
    def messages(self) -> int:
        """All of them."""
        return self.on_time + self.late + self.open + self.overdue


class ReplyReport:
    """Counts without reading a message."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def __call__(self, tenant: Tenant, weeks: Sequence[str]) -> list[WeekOfReplies]:
        """The weeks in the order asked for ("2026-W20"), the teams by code; teams without messages are left out."""
        teams = sorted(team.code for team in tenant.routing.care_teams)
        found = await asyncio.gather(*(self._week(tenant.id, teams, week) for week in weeks))
        return [line for lines in found for line in lines if line.messages]

    async def _week(self, tenant: str, teams: Sequence[str], week: str) -> list[WeekOfReplies]:
        lines = [await self._line(tenant, week, team) for team in teams]
        every = await self._line(tenant, week, None)
        rest = {each: getattr(every, each) - sum(getattr(line, each) for line in lines) for each in Outcome}
        return [*lines, WeekOfReplies(OTHER, week, **rest)]

    async def _line(self, tenant: str, week: str, team: str | None) -> WeekOfReplies:
        of_team = {} if team is None else {"care_team": team}
        counted = await asyncio.gather(
            *(
                self._store.count(AWAITED, "by_week", {"tenant": tenant, "week": week, "outcome": each, **of_team})
                for each in Outcome
            )
        )
        return WeekOfReplies(team or "", week, **dict(zip(Outcome, counted, strict=True)))
