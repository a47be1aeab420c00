"""Care teams, departments, and within how many days they aim to answer."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from messaging_service.tenants.tables import Code, Mistakes, Table


class ReplyTarget(Table, frozen=True, kw_only=True):
    """Within how many days an answer is aimed at (terms article 3.5); no rights follow from it.

    `holidays` is a country; `working_holidays` names, in English, those of its holidays on which the hospital works.
    """

    days: Annotated[int, Meta(ge=1, le=30)]
    count: Literal["working", "calendar"]
    holidays: str = "NL"
    working_holidays: tuple[str, ...] = ("Good Friday",)
    closed_on: tuple[str, ...] = ()


class CareTeam(Table, frozen=True, kw_only=True):
    """A team that reads messages; `cover` names the team that reads them while it is absent.

    `email` is told before a reply date passes and `lead` after; without them those of the triage desk are.
    """

    code: Code
    name: str
    department: Code
    absent: bool = False
    cover: Code | None = None
    email: tuple[str, ...] = ()
    lead: tuple[str, ...] = ()


class Department(Table, frozen=True, kw_only=True):
    """A department a patient may ask for; `care_team` reads what is addressed to it."""

    code: Code
    name: str
    care_team: Code


class Routing(Table, frozen=True, kw_only=True):
    """Care teams, departments, and the desk that reads what belongs to nobody else.

    `first_contact`: somebody whom nobody here treats or treated may begin a thread; the desk reads it.
    """

    triage_desk: Code
    care_teams: tuple[CareTeam, ...]
    departments: tuple[Department, ...]
    first_contact: bool = False

    def __post_init__(self) -> None:
        """Every team that is referred to exists."""
        teams = {team.code for team in self.care_teams}
        departments = {department.code for department in self.departments}
        asked: list[tuple[tuple[str | int, ...], str | None]] = [(("triage_desk",), self.triage_desk)]
        asked += [(("departments", n, "care_team"), each.care_team) for n, each in enumerate(self.departments)]
        asked += [(("care_teams", n, "cover"), team.cover) for n, team in enumerate(self.care_teams)]
        found = [
            (place, f"care team {code!r} is referred to but not listed in [[routing.care_teams]]")
            for place, code in asked
            if code is not None and code not in teams
        ]
        found += [
            (
                ("care_teams", n, "department"),
                f"care team {team.code!r} is of department {team.department!r}, not listed",
            )
            for n, team in enumerate(self.care_teams)
            if team.department not in departments
        ]
        Mistakes.refuse(found)

    def team(self, code: str) -> CareTeam | None:
        """The care team of that code."""
        return next((team for team in self.care_teams if team.code == code), None)

    def department(self, code: str) -> Department | None:
        """The department of that code."""
        return next((department for department in self.departments if department.code == code), None)
