"""The commands: help for every one, errors as one line with their remedy, and exit statuses that scripts rely on."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from messaging_service.cli import main
from messaging_service.domain.errors import BrokerDown, StoreDown, TopologyMismatch

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "tenants"
Run = Callable[..., Result]
RELATION = {"tenant": "sein", "identifiers": {"local": "1234"}, "name": "A. Jansen", "care_team": "neurology"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Embedded parts in a folder of their own."""
    found = {
        "MESSAGING_BROKER": f"embedded:{tmp_path}/queue.sqlite",
        "MESSAGING_STORE": f"sqlite:{tmp_path}/documents.sqlite",
        "MESSAGING_KEYRING": f"{tmp_path}/keyring.json",
        "MESSAGING_TENANTS": str(SHIPPED),
    }
    for tenant in ("SPIJKENISSE", "SEIN"):
        found |= {f"{tenant}_ISSUER": "https://issuer.invalid", f"{tenant}_JWKS": "file:/nowhere"}
        found |= {f"{tenant}_STAFF_ISSUER": "https://staff.invalid", f"{tenant}_STAFF_JWKS": "file:/nowhere"}
        found |= {f"{tenant}_EPD": "mllp://127.0.0.1:9", f"{tenant}_ON_CALL": "http://127.0.0.1:9/"}
        found |= {f"{tenant}_ON_CALL_SECRET": "whsec_eA=="}
    return found


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command to its end."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def invoke(*arguments: str, given: str | bytes = "") -> Result:
        return CliRunner().invoke(main, arguments, input=given)

    return invoke


@pytest.fixture
def ready(run: Run) -> Run:
    """The same, with keys and queues made."""
    assert run("keys", "init").exit_code == 0
    assert run("queues", "declare").exit_code == 0
    return run


def one_line(result: Result, *says: str) -> None:
    """Exit status 2, nothing on standard output, one line that says this; no stack trace."""
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("messaging-service: ")
    for words in says:
        assert words in line


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command and group."""
    yield path
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_of_every_command(path: tuple[str, ...], option: str) -> None:
    """Each says what it does, without any setting being there."""
    result = CliRunner().invoke(main, [*path, option], env={"MESSAGING_BROKER": None})
    assert result.exit_code == 0, result.output
    _, _, said = result.output.partition("\n\n")
    assert said.strip()


def test_every_command_is_here() -> None:
    """The list that operators' guides name."""
    assert {" ".join(path) for path in commands(main)} >= {
        "serve", "gateway", "worker", "keys init", "tenants check", "relations load", "queues", "queues declare",
        "ledger", "filing show", "parked list", "parked show", "parked replay", "parked close", "screen",
    }  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [("ledger",), ("queues",), ("parked", "list"), ("keys", "init"), ("serve",), ("gateway",), ("worker", "file")],
    ids=" ".join,
)
def test_a_missing_setting_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    """The variable is named; nothing was made."""
    monkeypatch.delenv("MESSAGING_STORE")
    one_line(run(*command), "A setting is missing or wrong.", "MESSAGING_STORE")


def test_alarms_need_the_address_that_they_link_to(ready: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The escalate step does not start without it, rather than send links that lead nowhere."""
    monkeypatch.delenv("MESSAGING_PUBLIC_URL", raising=False)
    one_line(ready("worker", "escalate"), "A setting is missing or wrong.", "MESSAGING_PUBLIC_URL")


@pytest.mark.parametrize("fault", [StoreDown("x"), BrokerDown("x"), TopologyMismatch("queue x")])
def test_an_error_of_several_sentences_is_one_line(
    ready: Run, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """Docstrings with paragraphs come out on one line, remedy included."""

    async def fails(*_: object) -> None:
        raise fault

    monkeypatch.setattr("messaging_service.adapters.embedded_queue.EmbeddedBroker.depths", fails)
    one_line(ready("queues"), str(fault).split("\n")[0].split(".")[0])


def test_errors_out_of_task_groups_are_a_line_each(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps run in nested task groups: each error of ours is a line, however deep; one of others is not hidden."""
    problems: list[Exception] = [StoreDown("x"), ExceptionGroup("inner", [BrokerDown("y")])]

    def fails(*_: object) -> None:
        raise ExceptionGroup("outer", problems)

    monkeypatch.setattr("messaging_service.cli.running.load_settings", fails)
    result = run("serve")
    assert result.exit_code == 2
    assert [line.split()[3] for line in result.stderr.splitlines()] == ["store", "broker"]
    problems.append(RuntimeError("a fault of ours"))
    assert isinstance(run("serve").exception, ExceptionGroup)


def test_keys_are_made_once(run: Run, tmp_path: Path) -> None:
    """The first init makes the keyring, for its owner alone; the second leaves every key as it is."""
    assert "made" in run("keys", "init").stdout
    keyring = tmp_path / "keyring.json"
    first = keyring.read_bytes()
    assert stat.S_IMODE(keyring.stat().st_mode) == 0o600
    again = run("keys", "init")
    assert again.exit_code == 0
    assert "has keys for sein, spijkenisse" in again.stdout
    assert keyring.read_bytes() == first


def test_a_new_tenant_gets_keys(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second init with one tenant more adds its key and keeps the others'."""
    tenants = tmp_path / "tenants"
    tenants.mkdir()
    (tenants / "sein.toml").write_text((SHIPPED / "sein.toml").read_text("utf-8"), "utf-8")
    monkeypatch.setenv("MESSAGING_TENANTS", str(tenants))
    run("keys", "init")
    before = json.loads((tmp_path / "keyring.json").read_text())
    monkeypatch.setenv("MESSAGING_TENANTS", str(SHIPPED))
    assert run("keys", "init").exit_code == 0
    after = json.loads((tmp_path / "keyring.json").read_text())
    assert set(after["tenants"]) == {"sein", "spijkenisse"}
    assert after["tenants"]["sein"] == before["tenants"]["sein"]
    assert after["ids"] == before["ids"]


def test_without_a_keyring(run: Run) -> None:
    """A command that needs keys names the file and how to make it."""
    one_line(run("ledger"), "keyring.json")


def test_without_queues(run: Run) -> None:
    """Nothing declared yet: the remedy is in the line."""
    run("keys", "init")
    one_line(run("queues"), "messaging-service queues declare")


def test_queues_as_a_table_and_as_json(ready: Run) -> None:
    """Every queue of every tenant, for people and for machines."""
    told = json.loads(ready("queues", "--json").stdout)
    assert told["file.sein.urgent"] == {"ready": 0, "consumers": 0, "oldest_ms": None}
    assert "park.dead" in told
    table = ready("queues").stdout
    assert all(name in table for name in told)


def test_the_ledger_of_an_empty_house(ready: Run) -> None:
    """Nothing is lost: exit status 0, said in words and in JSON."""
    said = ready("ledger").stdout
    assert said.startswith("Of ten minutes, and what is unsettled of before: confirmed 0, persisted 0; of all: ")
    assert "nothing is lost" in said
    report = json.loads(ready("ledger", "--json").stdout)
    assert (report["ok"], report["lost"], report["late"]) == (True, [], [])


def test_relations_are_loaded_and_repeat(ready: Run) -> None:
    """JSON lines from a file or standard input; blank lines are passed over; a repeat changes nothing."""
    lines = f"{json.dumps(RELATION)}\n\n{json.dumps({**RELATION, 'care_team': 'coordination', 'since': 5})}\n"
    for _ in range(2):
        result = ready("relations", "load", "-", given=lines)
        assert (result.exit_code, result.stdout) == (0, "2 relations loaded\n"), result.output


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no JSON", "line 2: JSON is malformed"),
        (json.dumps({**RELATION, "tenant": "elsewhere"}), "line 2: no tenant 'elsewhere'"),
        (json.dumps({**RELATION, "care_team": "nobody"}), "line 2: care team 'nobody'"),
        (json.dumps({**RELATION, "identifiers": {"bsn": "999911120"}}), "line 2: identifiers must be of ['local']"),
        (json.dumps({**RELATION, "identifiers": {}}), "line 2: identifiers must be of ['local']"),
        (json.dumps({**RELATION, "identifiers": {"local": ""}}), "line 2: "),
        (json.dumps({**RELATION, "teem": "x"}), "line 2: Object contains unknown field `teem`"),
        (json.dumps({key: value for key, value in RELATION.items() if key != "name"}), "line 2: "),
        ('{"tenant": "sein", "name": "Andr\xe9"}', "line 2: not in UTF-8"),
    ],
)
def test_a_wrong_relation_is_named_by_its_line(ready: Run, line: str, says: str) -> None:
    """Whatever is wrong with it, the line's number is there, and no patient number is."""
    given = f"{json.dumps(RELATION)}\n{line}\n".encode("latin-1")
    result = ready("relations", "load", "-", given=given)
    one_line(result, says)
    assert "999911120" not in result.stderr


@pytest.mark.parametrize("arguments", [("show", "x"), ("replay", "x"), ("close", "x", "--remark", "y")], ids=" ".join)
def test_an_unknown_parked_message(ready: Run, arguments: tuple[str, ...]) -> None:
    """It is said in one line, with how to find those there are."""
    result = ready("parked", *arguments)
    assert result.exit_code == 2
    assert "messaging-service parked list" in result.stderr.splitlines()[-1]


def test_nothing_is_parked(ready: Run) -> None:
    """In words, and as an empty list."""
    assert ready("parked", "list").stdout == "nothing is parked\n"
    assert json.loads(ready("parked", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    "command",
    [
        "alarms list", "parked list", "parked replay", "queues behind failed", "logins", "openings",
        "webhooks replay --since 2026-11-28",
    ],
)  # fmt: skip
def test_a_tenant_that_is_not_there(ready: Run, command: str) -> None:
    """It is said, with those there are: never that there is nothing to do."""
    one_line(ready(*command.split(), "--tenant", "nope"), "no such tenant: nope", "sein, spijkenisse")


def test_retention_is_reported(ready: Run) -> None:
    """Every rule with its term; a dry run says that it is one."""
    report = json.loads(ready("retention", "--dry-run", "--json").stdout)
    assert (report["dry_run"], {each["removed"] for each in report["terms"]}) == (True, {0})
    assert "access_entries" in {each["collection"] for each in report["terms"]}
    assert "threads" in report["no_term"]
    assert "messages" in ready("retention").stdout


def test_replay_wants_to_know_what(ready: Run) -> None:
    """Without ids, reason or --all nothing is replayed."""
    assert ready("parked", "replay").exit_code == 2
    assert ready("parked", "replay", "--all").exit_code == 0


def test_an_unknown_filing(ready: Run) -> None:
    """Not in the store: an error, not an empty table."""
    result = ready("filing", "show", "x")
    assert result.exit_code != 0
    assert "not in the store" in result.stderr


def test_screening_from_standard_input(run: Run) -> None:
    """One verdict a line, in order; a line that is no JSON is named by its number."""
    texts = ["Wat is mijn afspraak?", "Drukkende pijn op de borst die uitstraalt naar mijn linkerarm."]
    given = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    calm, urgent = [json.loads(line) for line in run("screen", given=given).stdout.splitlines()]
    assert (calm["urgent"], urgent["urgent"]) == (False, True)
    for unreadable in (b"{\n", b'{"text": "\xe9"}\n', b'{"text": "pijn \\ud800 op de borst"}\n'):
        one_line(run("screen", given=unreadable), "line 1 of the input")


def test_a_changed_lexicon_shows_what_it_changes(run: Run, tmp_path: Path) -> None:
    """Judged under an old lexicon as well: each line whose verdict differs, from what to what, and how many do."""
    (tmp_path / "nl").mkdir()
    rule = 'kind = "urgency"\ntopic = "eye"\n[[rule]]\nid = "old"\nparts = ["kwabbel"]\n'
    (tmp_path / "nl" / "urgency_eye.toml").write_text(rule, "utf-8")
    texts = ("Wat is mijn afspraak?", "Mijn kwabbel is weg.", "Ik krijg geen lucht meer.")
    given = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    said = run("screen", "--changes", str(tmp_path), given=given).stdout.splitlines()
    assert [line for line in said if line.startswith("line")] == [
        "line 2: accept urgent eye alarm → accept",
        "line 3: accept → accept urgent breathing general alarm",
    ]
    assert said[-1] == "2 of 3 verdicts changed"


def test_destroying_by_command(ready: Run, tmp_path: Path) -> None:
    """An unknown number is an error and writes no list; a list is applied, and is nothing to an empty store."""
    decided = ("--decision", "MD-1", "--by", "A. de Vries", "--on", "2026-11-20", "--list", str(tmp_path / "list"))
    one_line(ready("destroyed", "carry-out", "sein", "--patient", "77", *decided), "this number is not known here")
    assert not (tmp_path / "list").exists()
    nothing = ready("destroyed", "carry-out", "sein", "--message", "A" * 26, *decided, "--json")
    assert (nothing.exit_code, json.loads(nothing.stdout)[0]["messages"]) == (0, [])
    line = {
        "kind": "record",
        "id": "0" * 32,
        "tenant": "sein",
        "reference": "r",
        "by": "b",
        "on": "2026-11-20",
        "at": 1,
    }
    (tmp_path / "list").write_text(json.dumps(line) + "\n", "utf-8")
    assert "EPD" in ready("destroyed", "apply", str(tmp_path / "list")).stdout
