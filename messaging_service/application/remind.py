"""The clock of reply dates: the team is reminded before, its lead and the patient are told after."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from messaging_service.application.alerts import Alerts
from messaging_service.application.awaited import Awaited
from messaging_service.application.codec import outgoing
from messaging_service.application.ports import Broker, CareTeams, Clock, Waiting
from messaging_service.application.threads import Threads
from messaging_service.application.topology import notify_queue
from messaging_service.domain.awaited import AwaitedReply, How, Stage
from messaging_service.domain.errors import MailDown
from messaging_service.domain.events import ReplyOverdue
from messaging_service.domain.filing import FilingState
from messaging_service.tenants import Tenant

LEASE_MS = 300_000
"""Whoever takes one up has it this long: nobody else tells of it meanwhile, and a crash loses nothing."""


class Remind:
    """One step of the clock, in as many processes as like to. Nobody is told twice but after a crash.

    What is due is looked at again first: a clock that was not stopped in time by an answer, by the closing of the
    thread or of the message, is stopped here instead of told of.
    """

    def __init__(
        self,
        *,
        tenants: Mapping[str, Tenant],
        awaited: Awaited,
        threads: Threads,
        teams: Mapping[str, CareTeams],
        broker: Broker,
        alerts: Alerts,
        clock: Clock,
    ) -> None:
        self._tenants = tenants
        self._awaited = awaited
        self._threads = threads
        self._teams = teams
        self._broker = broker
        self._alerts = alerts
        self._clock = clock

    async def __call__(self) -> int:
        """Do all that is due; how many that was."""
        return sum([await self._tenant(tenant) for tenant in self._tenants.values()])

    async def _tenant(self, tenant: Tenant) -> int:
        number = 0
        while due := await self._awaited.due(tenant.id, self._clock()):
            taken = await asyncio.gather(*(self._take(one) for one in due))
            told = [one for one in taken if one is not None]
            number += len(told)
            await self._remind(tenant, [one for one in told if self._clock() < one.tell_at])
            await self._pass(tenant, [one for one in told if self._clock() >= one.tell_at])
        return number

    async def _take(self, one: AwaitedReply) -> AwaitedReply | None:
        """The clock, taken up by us; None where it is stopped by now or somebody else has it."""
        if settled := await self._settled(one):
            await self._awaited.change(settled)
            return None
        taken = one.later(self._clock() + LEASE_MS)
        return replace(taken, version=taken.version + 1) if await self._awaited.change(taken) else None

    async def _settled(self, one: AwaitedReply) -> AwaitedReply | None:
        now = self._clock()
        if answer := await self._awaited.answer_of(one):
            return one.answered(answer.id, answer.accepted_at)
        thread, filing = await asyncio.gather(self._threads.thread(one.thread), self._threads.filing(one.id))
        if thread is not None and thread.state != "open":
            return one.handled(How.THREAD_CLOSED, "", now)
        if filing is not None and filing.state is FilingState.CLOSED:
            return one.handled(How.CLOSED, "", now)
        return None

    async def _remind(self, tenant: Tenant, due: Sequence[AwaitedReply]) -> None:
        for team, waiting in (await self._by_team(due)).items():
            told = not waiting.first or await self._told(tenant, team, waiting.first, late=False)
            await self._change([one.reminded() for one in (waiting.first + waiting.others if told else waiting.others)])

    async def _pass(self, tenant: Tenant, due: Sequence[AwaitedReply]) -> None:
        """The patient is told whether or not the lead can be."""
        for team, waiting in (await self._by_team(due)).items():
            for one in waiting.first:
                if one.stage is not Stage.OVERDUE:
                    event = outgoing(notify_queue(tenant.id), ReplyOverdue(one.id, one.tenant, one.thread, one.tell_at))
                    await self._broker.publish(event.queue, event.envelope)
            told = not waiting.first or await self._told(tenant, team, waiting.first, late=True)
            await self._change([one.overdue(told=told) for one in waiting.first])
            await self._change([one.overdue(told=True) for one in waiting.others])

    async def _by_team(self, due: Sequence[AwaitedReply]) -> Mapping[str, _Team]:
        teams: dict[str, _Team] = defaultdict(_Team)
        for one in due:
            kept = teams[one.care_team]
            (kept.others if await self._awaited.open_before(one) else kept.first).append(one)
        return teams

    async def _told(self, tenant: Tenant, team: str, due: Sequence[AwaitedReply], *, late: bool) -> bool:
        """Whether they were told; if not, the next to take these up tries again."""
        waiting = Waiting(tenant.id, team, tuple((one.id, one.reply_by) for one in due))
        key = f"mail {tenant.id}"
        try:
            teams = self._teams[tenant.id]
            await (teams.escalate(waiting) if late else teams.remind(waiting))
        except MailDown:
            await self._alerts.begin(key, f"{tenant.id}: care teams cannot be told of reply dates: no mail")
            return False
        await self._alerts.end(key, f"{tenant.id}: care teams are told of reply dates again")
        return True

    async def _change(self, told: Sequence[AwaitedReply]) -> None:
        """One that was answered meanwhile stays so."""
        await asyncio.gather(*(self._awaited.change(one) for one in told))


@dataclass(slots=True)
class _Team:
    """What is due of one team: the first of each thread, and those that it speaks for."""

    first: list[AwaitedReply] = field(default_factory=list)
    others: list[AwaitedReply] = field(default_factory=list)
