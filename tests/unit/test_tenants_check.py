"""`messaging-service tenants check`: every mistake in a file at once, each with the line a person has to change."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from messaging_service.cli import main
from messaging_service.tenants.places import places_in
from tests.unit.test_tenants import ENVIRONMENT, SHIPPED

STATEMENT = """[detection.statement]
intended_purpose = "Ondersteunt de triage van berichten, en vervangt haar niet."
classification = "IIa, regel 11"
by = "A. de Vries, CMIO"
on = 2026-11-22
"""
MISTAKES = [
    ("telephone = ", "telefone = ", "telefone: unknown key; did you mean telephone?"),
    ("days = 3", 'days = "three"', "reply.days: Expected `int`, got `str`"),
    (
        'count = "working"',
        'count = "workin"',
        "reply.count: 'workin' must be one of: working, calendar; did you",
    ),
    ('"${SPIJKENISSE_JWKS}"', '"${SPIJKENISE_JWKS}"', "identity.jwks: set the environment variable SPIJKENISE_JWKS"),
    ('factors = [["pwd"]', 'factors = [[], ["pwd"]', "identity.staff.assurance.factors: assurance has an empty list"),
    ("most = 2", "most = 200", "representatives.most: Expected `int` <= 20"),
    ('triage_desk = "triage"', 'triage_desk = "balie"', "routing.triage_desk: care team 'balie' is referred to"),
    (
        '"Cardiologie", care_team = "cardiology"',
        '"Cardiologie", care_team = "hart"',
        "routing.departments[1].care",
    ),
    ('poli", department = "internal"', 'poli", department = "inwendig"', "routing.care_teams[2].department"),
    ('document_type = ["PN"]', "max_lin = 80", "epd.profile.max_lin: unknown key; did you mean max_line?"),
    ('webhook = "${SPIJKENISSE_ON_CALL}"', "email = 3", "on_call.email: Expected `array`, got `int`"),
]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a file and checks its folder."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def run(text: str, *options: str, name: str = "spijkenisse.toml") -> Result:
        (tmp_path / name).write_text(text, "utf-8")
        return CliRunner().invoke(main, ["tenants", "check", str(tmp_path), *options])

    return run


def shipped(name: str = "spijkenisse.toml") -> str:
    """A shipped file with a statement, which it leaves to the hospital."""
    return (SHIPPED / name).read_text("utf-8") + STATEMENT


def replaced(text: str, old: str, new: str) -> str:
    """The text with one thing changed that is in it."""
    assert old in text
    return text.replace(old, new, 1)


def test_every_mistake_at_once_with_its_line(check: Any) -> None:
    """Eleven mistakes: eleven lines of answer, in the file's order, each naming the line that was spoilt."""
    text = shipped()
    for old, new, _ in MISTAKES:
        text = replaced(text, old, new)
    lines, said = text.splitlines(), check(text).stdout.splitlines()
    expected = sorted((next(n for n, line in enumerate(lines, 1) if new in line), what) for _, new, what in MISTAKES)
    missing = [line for line in said if "telephone: is missing" in line]
    assert len(said) == len(MISTAKES) + len(missing) == len(MISTAKES) + 1
    for line, what in expected:
        assert any(f"spijkenisse.toml:{line}: {what}" in each for each in said), (line, what, said)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("days = 3", 'days = 3\nclosed_on = ["12-32"]', "reply.closed_on: [reply] closed_on '12-32'"),
        ("days = 3", 'days = 3\nholidays = "XX"', "reply.holidays: [reply] holidays = 'XX': no such country"),
        ('document_type = ["PN"]', "max_line = 3", "epd.profile.max_line: [epd] max_line must be 20 to 10000"),
        ('"${SPIJKENISSE_EPD}"', '"mllp://epd.invalid:2575"', "epd.address"),
        (
            "# Patients who ask for it",
            '[email_notice.wording.nl]\ncode_text = "Uw code" # ',
            "email_notice.wording.nl.code_text: email_notice wording code_text must hold {code}",
        ),
        (
            "# Patients who ask for it",
            '[email_notice.wording.en]\ntext = "{subject}" # ',
            "email_notice.wording.en.text: email_notice wording text may hold {name}, {telephone} and nothing else",
        ),
        ("[on_call]", "[on_call", "Expected ']'"),
    ],
)
def test_what_lies_beyond_the_file(check: Any, old: str, new: str, says: str) -> None:
    """The calendar, HL7, the transport and TOML itself have their say, each with its line."""
    text = replaced(shipped(), old, new)
    line = next(n for n, each in enumerate(text.splitlines(), 1) if new.splitlines()[-1] in each)
    result = check(text)
    assert result.exit_code == 1
    assert f"spijkenisse.toml:{line}: {says}" in result.stdout


def test_a_file_for_machines(check: Any) -> None:
    """--json: line, place and words of each fault; another file's id is a fault of the second."""
    check(shipped())
    result = check(replaced(shipped("sein.toml"), 'id = "sein"', 'id = "spijkenisse"'), "--json", name="third.toml")
    first, second = json.loads(result.stdout)
    assert (first["tenant"], first["faults"], result.exit_code) == ("spijkenisse", [], 1)
    assert second["faults"] == [{"line": 4, "place": "id", "what": "used by spijkenisse.toml as well"}]


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    within = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in within:
        yield (*path, key)
        yield from _paths(each, (*path, key))


def test_the_line_of_everything() -> None:
    """Whatever tomllib reads out of a file has a place, at a line that holds its key; all ways of writing a key."""
    hard = 'a.b = 1\n"c d".e = [\n  1, # x\n  { f = 2, "g.h" = [3] },\n]\n'
    hard += '[[t]]\n[[t]]\nz = 1\n[t.u]\nv = """\n1"""\n[[t.w]]\nq = 1\n'
    for text in (hard, *(path.read_text("utf-8") for path in SHIPPED.glob("*.toml"))):
        places, lines = places_in(text), text.splitlines()
        for path in _paths(tomllib.loads(text)):
            assert path in places, path
            if isinstance(path[-1], str):
                assert path[-1] in lines[places[path] - 1], path
    assert places_in(hard)["c d", "e", 1, "g.h", 0] == 4
    assert places_in(hard)["t", 1, "w", 0, "q"] == 13
