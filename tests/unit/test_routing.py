"""Which care team reads a message: relation, department, cover, triage desk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging_service.domain.routing import RoutingDecision, TreatmentRelation, route
from messaging_service.tenants import CareTeam, Department, Routing

NOW = 1_780_000_000_000


def team(code: str, department: str, *, absent: bool = False, cover: str | None = None) -> CareTeam:
    return CareTeam(code=code, name=code, department=department, absent=absent, cover=cover)


def hospital(*teams: CareTeam) -> Routing:
    """Cardiology (team heart) and neurology (team brain), with the desk in general; `teams` replace theirs."""
    standing = (team("desk", "general"), team("heart", "cardiology"), team("brain", "neurology"))
    replaced = {one.code for one in teams}
    return Routing(
        triage_desk="desk",
        care_teams=(*(one for one in standing if one.code not in replaced), *teams),
        departments=(
            Department(code="general", name="General", care_team="desk"),
            Department(code="cardiology", name="Cardiology", care_team="heart"),
            Department(code="neurology", name="Neurology", care_team="brain"),
        ),
    )


def relation(team: str, department: str, *, began: int = NOW - 1000, ended: int = 0) -> TreatmentRelation:
    return TreatmentRelation(f"{team}{began}", "spijkenisse", "p1", team, department, began, ended)


def test_the_treating_team() -> None:
    """Without a department the team that treats the patient reads."""
    found = route(hospital(), [relation("heart", "cardiology")], None, NOW)
    assert found == RoutingDecision("heart", "cardiology", "relation")


def test_the_newest_of_several_relations() -> None:
    """Of several open relations the newest counts, whatever their order in the store."""
    old, new = relation("heart", "cardiology", began=1), relation("brain", "neurology", began=2)
    assert route(hospital(), [old, new], None, NOW).care_team == "brain"
    assert route(hospital(), [new, old], None, NOW).care_team == "brain"


def test_a_relation_in_the_department_asked_for() -> None:
    """The patient's own team in that department goes before the department's team."""
    own = team("heart2", "cardiology")
    relations = [relation("heart2", "cardiology", began=1), relation("brain", "neurology", began=2)]
    assert route(hospital(own), relations, "cardiology", NOW) == RoutingDecision("heart2", "cardiology", "relation")


def test_the_department_asked_for() -> None:
    """Without a relation there, the department's own team reads, not the team that treats elsewhere."""
    found = route(hospital(), [relation("brain", "neurology")], "cardiology", NOW)
    assert found == RoutingDecision("heart", "cardiology", "department")


def test_an_unknown_department() -> None:
    """A department that the hospital lacks is as if none was asked for."""
    assert route(hospital(), [relation("brain", "neurology")], "oncology", NOW).care_team == "brain"
    assert route(hospital(), [], "oncology", NOW) == RoutingDecision("desk", "general", "triage_desk")


@pytest.mark.parametrize(
    ("began", "ended", "reason"),
    [
        (NOW, 0, "relation"),
        (NOW + 1, 0, "triage_desk"),
        (1, NOW, "triage_desk"),
        (1, NOW + 1, "relation"),
    ],
)
def test_only_open_relations_count(began: int, ended: int, reason: str) -> None:
    """A relation counts from its first millisecond and no longer at its last."""
    found = route(hospital(), [relation("heart", "cardiology", began=began, ended=ended)], None, NOW)
    assert found.reason == reason


def test_cover_while_absent() -> None:
    """An absent team's cover reads, and the reason says so."""
    away = team("heart", "cardiology", absent=True, cover="brain")
    found = route(hospital(away), [relation("heart", "cardiology")], None, NOW)
    assert found == RoutingDecision("brain", "neurology", "cover:relation")


def test_cover_of_cover() -> None:
    """Cover is followed until somebody is there."""
    away = (
        team("heart", "cardiology", absent=True, cover="brain"),
        team("brain", "neurology", absent=True, cover="desk"),
    )
    found = route(hospital(*away), [], "cardiology", NOW)
    assert found == RoutingDecision("desk", "general", "cover:cover:department")


def test_absent_without_cover() -> None:
    """Nobody covers: the triage desk reads."""
    away = team("heart", "cardiology", absent=True)
    assert route(hospital(away), [relation("heart", "cardiology")], None, NOW).care_team == "desk"


def test_cover_in_a_circle() -> None:
    """Two absent teams that cover each other end at the triage desk, not in a loop."""
    away = (
        team("heart", "cardiology", absent=True, cover="brain"),
        team("brain", "neurology", absent=True, cover="heart"),
    )
    found = route(hospital(*away), [relation("heart", "cardiology")], None, NOW)
    assert (found.care_team, found.department) == ("desk", "general")
    assert found.reason.startswith("triage_desk:")


def test_a_team_that_no_longer_exists() -> None:
    """A relation with a team that was taken out of the settings leads to the triage desk."""
    found = route(hospital(), [relation("gone", "cardiology")], None, NOW)
    assert found == RoutingDecision("desk", "general", "triage_desk:relation")


teams = st.sampled_from(["desk", "heart", "brain"])


@given(
    absent=st.fixed_dictionaries({"heart": st.booleans(), "brain": st.booleans(), "desk": st.booleans()}),
    cover=st.fixed_dictionaries({name: st.none() | teams for name in ("heart", "brain", "desk")}),
    treating=st.lists(st.tuples(teams | st.just("gone"), st.integers(1, NOW + 1000), st.integers(0, NOW + 1000))),
    asked=st.none() | st.sampled_from(["cardiology", "neurology", "oncology", ""]),
)
def test_somebody_always_reads(
    absent: dict[str, bool],
    cover: dict[str, str | None],
    treating: list[tuple[str, int, int]],
    asked: str | None,
) -> None:
    """Whatever is set and asked, the message ends at a team that exists and is there, or at the triage desk."""
    departments = {"heart": "cardiology", "brain": "neurology", "desk": "general"}
    there = hospital(*(team(code, departments[code], absent=absent[code], cover=cover[code]) for code in departments))
    relations = [relation(code, "cardiology", began=began, ended=ended) for code, began, ended in treating]
    found = there.team(route(there, relations, asked, NOW).care_team)
    assert found is not None
    assert not found.absent or found.code == "desk"
