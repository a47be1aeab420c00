"""The clock of reply dates over a test's Service, and care teams that keep what they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from messaging_service.application.callers import Staff
from messaging_service.application.mark_handled import MarkHandled
from messaging_service.application.ports import Waiting
from messaging_service.application.remind import Remind
from messaging_service.application.topology import notify_queue
from messaging_service.domain.awaited import AwaitedReply
from messaging_service.domain.errors import MailDown
from messaging_service.domain.roles import Role, Scope
from tests.parts.service import Service

ZONE = ZoneInfo("Europe/Amsterdam")


def moment(text: str) -> int:
    """A time on the hospital's clock, in milliseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp() * 1000)


@dataclass(slots=True)
class Teams:
    """Care teams: whom was told of which messages, the lead's as "TEAM!"; `down` takes no mail."""

    told: list[tuple[str, list[str]]] = field(default_factory=list)
    down: bool = False

    async def remind(self, waiting: Waiting) -> None:
        """Keep it."""
        await self._keep(waiting.care_team, waiting)

    async def escalate(self, waiting: Waiting) -> None:
        """Keep it."""
        await self._keep(f"{waiting.care_team}!", waiting)

    async def _keep(self, whom: str, waiting: Waiting) -> None:
        if self.down:
            raise MailDown
        self.told.append((whom, sorted(id for id, _ in waiting.messages)))


class ReplyClock:
    """One process's remind step, at Spijkenisse."""

    def __init__(self, service: Service, teams: Teams | None = None) -> None:
        self.service = service
        self.teams = teams or Teams()
        self.remind = Remind(
            tenants=service.tenants,
            awaited=service.awaited,
            threads=service.threads,
            teams=dict.fromkeys(service.tenants, self.teams),
            broker=service.broker,
            alerts=service.alerts,
            clock=service.clock,
        )
        self.mark = MarkHandled(
            awaited=service.awaited,
            broker=service.broker,
            keyring=service.keyring,
            access_log=service.access_log,
        )

    def staff(self, tenant: str = "spijkenisse") -> Staff:
        """A team's lead."""
        scopes = frozenset((Scope.HANDLE_MESSAGES,))
        return Staff(self.service.tenants[tenant], "lead", "De Wit", Role.CARE_TEAM_LEAD, scopes, assured=True)

    async def at(self, text: str) -> list[tuple[str, list[str]]]:
        """Move the clock and let it do its work; who was told of what by it."""
        self.service.clock.now, before = moment(text), len(self.teams.told)
        await self.remind()
        return self.teams.told[before:]

    async def of(self, id: str) -> AwaitedReply:
        """The clock of a message as it is stored."""
        found = await self.service.awaited.get(id)
        assert found is not None
        return found

    async def events(self, kind: str) -> list[str]:
        """The messages that the patient is told of, in events of that kind, in order."""
        queued = await self.service.queued(notify_queue("spijkenisse"))
        return [envelope.message_id for envelope in queued if envelope.kind == kind]
