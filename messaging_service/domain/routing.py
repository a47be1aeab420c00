"""Which care team reads a message: the relation, the department asked for, cover, else the triage desk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TreatmentRelation:
    """That a care team treats a patient, from `began_at` until `ended_at` (milliseconds, 0: still).

    `told_by` is "epd" for one that the EPD's messages keep, "" for one that was loaded.
    """

    id: str
    tenant: str
    patient: str
    care_team: str
    department: str
    began_at: int
    ended_at: int = 0
    version: int = 1
    told_by: str = ""

    def is_open(self, now: int) -> bool:
        """Whether the relation holds at `now`."""
        return self.began_at <= now and (self.ended_at == 0 or now < self.ended_at)


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """The care team found, and why: relation, department, cover:…, or triage_desk."""

    care_team: str
    department: str
    reason: str


class _Team(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def department(self) -> str: ...
    @property
    def absent(self) -> bool: ...
    @property
    def cover(self) -> str | None: ...


class _Department(Protocol):
    @property
    def care_team(self) -> str: ...


class Organisation(Protocol):
    """A tenant's care teams and departments."""

    @property
    def triage_desk(self) -> str:
        """The code of the desk that reads what belongs to nobody else."""

    def team(self, code: str) -> _Team | None:
        """The care team of that code."""

    def department(self, code: str) -> _Department | None:
        """The department of that code."""


def route(
    organisation: Organisation, relations: Sequence[TreatmentRelation], asked: str | None, now: int
) -> RoutingDecision:
    """The care team that reads the message (KNMG guideline online contact; terms articles 3.4, 5.2).

    `asked` is the department the patient named. A relation in that department goes first, then the department's
    own team, then the newest open relation, then the triage desk; an absent team is replaced by its cover.
    """
    treating = sorted((r for r in relations if r.is_open(now)), key=lambda r: r.began_at, reverse=True)
    code, reason = _choose(organisation, treating, asked)
    seen: set[str] = set()
    while (team := organisation.team(code)) is not None and team.absent and code not in seen:
        seen.add(code)
        code, reason = team.cover or organisation.triage_desk, f"cover:{reason}"
    if team is None or (team.absent and code in seen):
        code, reason = organisation.triage_desk, f"triage_desk:{reason}"
        team = organisation.team(code)
    return RoutingDecision(code, team.department if team else "", reason)


def _choose(organisation: Organisation, treating: Sequence[TreatmentRelation], asked: str | None) -> tuple[str, str]:
    if asked:
        for relation in treating:
            if relation.department == asked:
                return relation.care_team, "relation"
        if department := organisation.department(asked):
            return department.care_team, "department"
    if treating:
        return treating[0].care_team, "relation"
    return organisation.triage_desk, "triage_desk"
