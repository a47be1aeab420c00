"""Who treats a patient and whether that goes on, worked out from what the EPD told, in whatever order it came."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class CareChange(StrEnum):
    """What an event of the EPD is about. In the same second, the later kind of these counts as later."""

    BEGUN = "begun"
    UPDATED = "updated"
    ENDED = "ended"
    PLANNED = "planned"
    CANCELLED = "cancelled"


_RANKS = {told: rank for rank, told in enumerate(CareChange)}


@dataclass(frozen=True, slots=True)
class CareEvent:
    """One event about one patient's record; times in milliseconds.

    `visit` is the EPD's number of a visit ("" when it is about none) and `teams` the care teams that treat in it, None
    when the event does not say. `deceased_at`: None not said, 0 alive. `care_ended`: the EPD says that care is over.
    `appointment` is planned for `starts_at`.
    """

    id: str
    tenant: str
    patient: str
    told: CareChange
    at: int
    visit: str = ""
    teams: tuple[str, ...] | None = None
    deceased_at: int | None = None
    care_ended: bool = False
    appointment: str = ""
    starts_at: int = 0

    @property
    def order(self) -> str:
        """Sorts the events of a patient; the same for a repeat."""
        return f"{max(self.at, 0):015}.{_RANKS[self.told]}.{self.id}"


@dataclass(frozen=True, slots=True)
class Interval:
    """From when a team treats, and until when (0: still)."""

    began_at: int
    ended_at: int


@dataclass(frozen=True, slots=True)
class Care:
    """What follows from a patient's events. Times in milliseconds, 0: not so.

    `next_appointment` is the start of the last appointment that is planned, also when it has passed. `quiet_since`:
    since then, or from then on, no team treats and no appointment is planned; 0 while one treats, or none ever did.
    """

    teams: dict[str, Interval]
    deceased_at: int
    care_ended_at: int
    next_appointment: int
    quiet_since: int


@dataclass(slots=True)
class _Visit:
    teams: set[str] = field(default_factory=set)
    ended: bool = False


def care_from(events: Iterable[CareEvent]) -> Care:
    """Fold events in their own order, not that of their coming: an update older than the last changes nothing later.

    A team treats from the first visit that names it until no open visit does. A visit that ended opens again only by
    beginning again. Care that ended goes on when a visit begins.
    """
    visits: dict[str, _Visit] = {}
    teams: dict[str, Interval] = {}
    appointments: dict[str, int] = {}
    deceased_at = care_ended_at = 0
    for event in sorted(events, key=lambda event: event.order):
        if event.visit:
            _visit(event, visits.setdefault(event.visit, _Visit()), visits, teams)
        if event.appointment:
            appointments[event.appointment] = 0 if event.told is CareChange.CANCELLED else event.starts_at
        if event.deceased_at is not None:
            deceased_at = event.deceased_at
        if event.care_ended:
            care_ended_at = event.at
        elif event.told is CareChange.BEGUN:
            care_ended_at = 0
    next_appointment = max(appointments.values(), default=0)
    return Care(teams, deceased_at, care_ended_at, next_appointment, _quiet_since(teams, next_appointment))


def _quiet_since(teams: dict[str, Interval], next_appointment: int) -> int:
    if any(interval.ended_at == 0 for interval in teams.values()):
        return 0
    return max([interval.ended_at for interval in teams.values()] + [next_appointment])


def _visit(event: CareEvent, visit: _Visit, visits: dict[str, _Visit], teams: dict[str, Interval]) -> None:
    if event.told is CareChange.BEGUN:
        visit.ended = False
    if event.told is CareChange.ENDED:
        visit.ended, named = True, set()
    elif visit.ended or event.teams is None:
        return
    else:
        named = set(event.teams)
    gone, visit.teams = visit.teams - named, named
    for team in named:
        known = teams.get(team)
        teams[team] = Interval(known.began_at if known else event.at, 0)
    for team in gone:
        if not any(team in other.teams for other in visits.values()):
            teams[team] = Interval(teams[team].began_at, event.at)
