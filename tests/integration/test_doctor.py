"""doctor, and the operating commands over a service with something in it: each fault says what to do."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.codec import to_document
from messaging_service.application.collections import ALL, REHEARSALS
from messaging_service.application.ports import Depth
from messaging_service.application.rehearsals import Rehearsal
from messaging_service.bootstrap.alarming import make_alarms
from messaging_service.bootstrap.doctor import Finding, Health, examine, workers
from messaging_service.bootstrap.opening import system_clock
from messaging_service.cli import main
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.message import Lane
from tests.contract.asking import a_parked_message, an_alarm
from tests.contract.http_service import SHORT, HttpService, http_service, until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, shared by the tests of this file."""
    with http_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def environment(service: HttpService) -> dict[str, str]:
    """The settings that it runs by."""
    settings = service.parts.settings
    return {
        "MESSAGING_BROKER": settings.broker,
        "MESSAGING_STORE": settings.store,
        "MESSAGING_KEYRING": str(settings.keyring),
        "MESSAGING_TENANTS": str(settings.tenants),
        "MESSAGING_PUBLIC_URL": settings.public_url,
        "MESSAGING_OPS_WEBHOOK": f"{service.url}/nowhere",
    }


def found(service: HttpService, environment: dict[str, str]) -> dict[str, list[Finding]]:
    """What doctor finds, by health."""

    async def look() -> list[Finding]:
        return [finding async for finding in examine(environment)]

    findings = service.run(look())
    return {health: [one for one in findings if one.health is health] for health in Health}


def command(environment: dict[str, str], *arguments: str) -> Result:
    """A command, run to its end by another process's settings."""
    return CliRunner().invoke(main, arguments, env=environment)


def test_a_service_that_runs_is_healthy(service: HttpService, environment: dict[str, str]) -> None:
    """No fault; what is tried is named; what could be better has its remedy."""
    health = found(service, environment)
    assert health[Health.FAULT] == []
    good = {finding.what for finding in health[Health.GOOD]}
    assert {"settings", "keys", "store", "broker", "workers", "gateway", "mail"} <= good
    for tenant in service.parts.tenants:
        assert {f"{tenant} EPD", f"{tenant} on-call webhook", f"{tenant} portal webhook"} <= good
    assert all(finding.remedy for finding in health[Health.ADVICE])


def test_a_lost_kek_is_found_before_a_patient_finds_it(
    service: HttpService, environment: dict[str, str], tmp_path: Path
) -> None:
    """A keyring without the KEK under which patients' keys are wrapped: named, with what to do."""
    service.filed(str(service.post().json["id"]))
    copy = Path(shutil.copy(environment["MESSAGING_KEYRING"], tmp_path))
    Keyring.load(Path(environment["MESSAGING_KEYRING"])).with_new_kek("spijkenisse").save(copy)
    Keyring.drop_kek(copy, "spijkenisse", 1)
    (fault,) = found(service, {**environment, "MESSAGING_KEYRING": str(copy)})[Health.FAULT]
    assert (fault.what, "KEK 1" in fault.says, "keys restore" in fault.remedy) == ("keys in use", True, True)


def test_each_fault_says_what_to_do(service: HttpService, environment: dict[str, str], tmp_path: Path) -> None:
    """An EPD that is down, keys that are not there, a mail server that is missing, nobody at work: all in one go."""
    tenants = tmp_path / "tenants"
    shutil.copytree(environment["MESSAGING_TENANTS"], tenants)
    sein = tenants / "sein.toml"
    text = sein.read_text("utf-8")
    sein.write_text(text.replace("on_call = {", 'on_call = {email = ["arts@hospital.example"], '), "utf-8")
    service.be("down")
    broken = {
        **environment,
        "MESSAGING_TENANTS": str(tenants),
        "MESSAGING_KEYRING": str(tmp_path / "none"),
        "MESSAGING_STORE": f"sqlite:{tmp_path}/empty.sqlite",
    }
    faults = {finding.what: finding for finding in found(service, broken)[Health.FAULT]}
    sein.write_text(f"{text}\n[email_notice]\n", "utf-8")
    told = {finding.what: finding.says for finding in found(service, broken)[Health.FAULT]}
    service.be("normal")
    assert set(faults) == {"keys", "gateway", "spijkenisse EPD", "sein EPD", "mail"}
    assert "keys init" in faults["keys"].remedy
    assert "messaging-service gateway" in faults["gateway"].remedy
    assert "MESSAGING_SMTP" in faults["mail"].says
    assert told["mail"] == "sein: [email_notice] needs MESSAGING_SMTP"
    assert "[epd]" in faults["sein EPD"].says + faults["sein EPD"].remedy


def test_an_operations_webhook_that_nobody_answers(service: HttpService, environment: dict[str, str]) -> None:
    """The channel that tells of all other faults is tried as well."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken and not listened on: refuses
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/ops"
        (fault,) = found(service, {**environment, "MESSAGING_OPS_WEBHOOK": url})[Health.FAULT]
    assert (fault.what, "MESSAGING_OPS_WEBHOOK" in fault.remedy) == ("operations webhook", True)


def test_rehearsals_that_never_came_through(service: HttpService, environment: dict[str, str], tmp_path: Path) -> None:
    """Begun two days ago and never taken is a fault; begun just now is none; a channel that failed is named as such."""
    broken, now = {**environment, "MESSAGING_STORE": f"sqlite:{tmp_path}/other.sqlite"}, system_clock()
    began = now - 48 * 3_600_000
    rows = (
        (Rehearsal("sein", began, now), Health.FAULT, "since they began 2880 minutes ago"),
        (Rehearsal("sein", now, now), Health.ADVICE, "no rehearsal came through"),
        (Rehearsal("sein", began, now, now, ("first webhook",)), Health.FAULT, "was not taken by: first webhook"),
        (Rehearsal("sein", began, began, began), Health.FAULT, "came through 2880 minutes ago"),
        (Rehearsal("sein", began, now, now), Health.GOOD, "came through 0 minutes ago"),
    )

    async def plant(row: Rehearsal) -> None:
        store = SqliteDocuments(tmp_path / "other.sqlite")
        await store.open(ALL)
        await store.delete(REHEARSALS, row.id)
        await store.insert(REHEARSALS, [to_document(row)])
        await store.close()

    for row, health, says in rows:
        service.run(plant(row))
        (said,) = [one for one in found(service, broken)[health] if one.what == "sein alarms"]
        assert says in said.says


def test_a_queue_that_waits_for_the_epd_wants_no_worker() -> None:
    """Left alone on purpose: nobody is told to start or restart anything of ours."""
    depths = {"file.sein.normal": Depth(3, 0), "notify.sein": Depth(0, 0), "persist.normal": Depth(0, 1)}
    outside, idle = workers(depths, {"file.sein.normal"})
    assert (outside.what, "do not restart" in outside.remedy) == ("outside", True)
    assert idle.says == "nobody works on notify.sein"
    assert "file.sein.normal" in outside.says
    assert [one.what for one in workers({"persist.normal": Depth(0, 1)}, ())] == ["workers"]


def test_what_is_wrong_with_the_settings_is_told_alone(service: HttpService) -> None:
    """Without settings there is nothing else to try; exit status 1, and the same for machines."""
    result = command({"MESSAGING_BROKER": "", "MESSAGING_STORE": ""}, "doctor", "--json")
    assert result.exit_code == 1
    (finding,) = json.loads(result.stdout)
    assert (finding["what"], finding["health"]) == ("settings", "fault")
    assert "MESSAGING_" in finding["says"]
    assert "1 faults" in command({"MESSAGING_BROKER": ""}, "doctor").stdout


def test_alarms_from_the_shell(service: HttpService, environment: dict[str, str]) -> None:
    """Listed, acknowledged by message, and gone from the list; one that is not there is said so."""
    id = an_alarm(service)
    until(lambda: service.run(make_alarms(service.parts).open("spijkenisse", 10)) != [])
    listed = json.loads(command(environment, "alarms", "list", "--json").stdout)
    assert id in [alarm["messages"][0] for alarm in listed]
    assert command(environment, "alarms", "ack", id).exit_code == 0
    assert command(environment, "alarms", "list").stdout == "every alarm is acknowledged\n"
    assert command(environment, "alarms", "ack", "A" * 26).exit_code == 2


def test_the_journey_from_the_shell(service: HttpService, environment: dict[str, str]) -> None:
    """Every moment in order, for people and for machines, without content."""
    id = service.post(SHORT).json["id"]
    service.filed(id)
    told = json.loads(command(environment, "journey", id, "--json").stdout)
    assert [moment["what"] for moment in told["moments"]] == ["accepted", "persisted", "sent", "acknowledged"]
    shown = command(environment, "journey", id).stdout
    assert "acknowledged" in shown
    assert SHORT["body"] not in shown
    assert command(environment, "journey", "A" * 26).exit_code == 2


def test_parked_by_step_age_and_hospital(service: HttpService, environment: dict[str, str]) -> None:
    """Listed, given, closed and replayed by what they have in common, and only those."""
    id = a_parked_message(service)
    assert command(environment, "parked", "give", id, "portal-builder").exit_code == 0
    for options, there in (
        (("--step", "notify", "--reason", " gone"), True),
        (("--step", "file"), False),
        (("--tenant", "sein"), False),
        (("--older-than", "1"), False),
        (("--older-than", "0"), True),
    ):
        listed = json.loads(command(environment, "parked", "list", "--json", *options).stdout)
        assert (id in [one["id"] for one in listed]) is there, options
    assert json.loads(command(environment, "parked", "show", id, "--json").stdout)["owner"] == "portal-builder"
    for options, there in ((("--step", "notify"), True), (("--step", "file"), False), (("--tenant", "sein"), False)):
        behind = json.loads(command(environment, "queues", "behind", "failed", "--json", *options).stdout)
        assert (id in [f"{one['message']}.{one['step']}" for one in behind]) is there, options
    assert "gone" in command(environment, "queues", "behind", "failed").stdout
    closed = command(environment, "parked", "close", "--step", "file", "--remark", "called")
    assert closed.stdout == "0 closed\n"
    replayed = command(environment, "parked", "replay", "--step", "notify", "--json")
    assert json.loads(replayed.stdout)["replayed"] >= 1
    assert command(environment, "parked", "close", "--remark", "called").exit_code == 2


def test_parked_ids_and_options_exclude_each_other(service: HttpService, environment: dict[str, str]) -> None:
    """An option beside an id mends nothing; a message's own id is understood; closing many is asked."""
    id = a_parked_message(service)
    message, _, _ = id.partition(".")
    for words in (("replay", id, "--step", "persist"), ("close", id, "--remark", "x", "--reason", "y")):
        assert "not both" in command(environment, "parked", *words).stderr
    assert json.loads(command(environment, "parked", "show", message, "--json").stdout)["state"] == "parked"
    asked = command(environment, "parked", "close", "--reason", "gone", "--remark", "called")
    assert (asked.exit_code, "cannot be undone" in asked.stderr) == (1, True)
    assert command(environment, "parked", "close", message, "--remark", "called", "--by", "A. de Vries").exit_code == 0
    shown = json.loads(command(environment, "parked", "show", id, "--json").stdout)
    assert (shown["state"], shown["remark"]) == ("closed", "called")
    again = command(environment, "parked", "replay", message)
    assert (again.exit_code, f"{id} was closed" in again.stderr) == (2, True)
    assert command(environment, "parked", "close", "--all", "--yes", "--remark", "called").exit_code == 0
    none = command(environment, "parked", "replay", "--reason", "AE 204")
    assert (none.exit_code, none.stdout, "none is parked" in none.stderr) == (0, "0 replayed\n", True)


def test_the_queues_of_a_running_service(service: HttpService, environment: dict[str, str]) -> None:
    """Every queue with its consumers."""
    told = json.loads(command(environment, "queues", "--json").stdout)
    assert set(told) == set(service.parts.queues)
    assert told[f"persist.{Lane.URGENT}"]["consumers"] > 0
