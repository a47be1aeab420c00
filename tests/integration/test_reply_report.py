"""The report of reply dates: what is counted, in which week and team, and that it is counted and not read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from click.testing import CliRunner

from messaging_service.adapters.reply_plot import plot
from messaging_service.application.collections import AWAITED
from messaging_service.application.reply_report import OTHER, ReplyReport, WeekOfReplies
from messaging_service.cli import main
from messaging_service.domain.awaited import How
from tests.integration.conftest import ADDRESSES
from tests.parts.epd_sender import document
from tests.parts.receiving import Receiving
from tests.parts.reply_clock import ReplyClock, moment
from tests.parts.service import Service


async def test_what_counts_as_what(service: Service) -> None:
    """Answered on time and late, handled on time, open, open past its date; each in its team and week of receipt."""
    clock, receiving = ReplyClock(service), Receiving(service)
    answered, handled, late, overdue = [await service.persisted() for _ in range(4)]
    await receiving.taken(document(parent=answered.id))
    await clock.mark.by_staff(clock.staff(), handled.id, How.TELEPHONE)
    await clock.at("2026-06-03T08:00")
    await receiving.taken(document(parent=late.id, number="D2", control="C2"))
    await service.persisted(department="cardiology")
    report = await ReplyReport(service.store)(service.tenants["spijkenisse"], ["2026-W22", "2026-W23", "2026-W24"])
    assert report == [
        WeekOfReplies("triage", "2026-W22", on_time=2, late=1, open=0, overdue=1),
        WeekOfReplies("cardiology", "2026-W23", on_time=0, late=0, open=1, overdue=0),
    ]
    assert (await clock.of(overdue.id)).is_open


async def test_teams_that_are_gone_and_other_hospitals(service: Service) -> None:
    """A team that is no longer in the file still counts, under another name; another hospital's messages do not."""
    asked, _ = await service.persisted(), await service.persisted(tenant="sein")
    known = await service.awaited.get(asked.id)
    assert known is not None
    assert await service.awaited.change(replace(known, care_team="closed-ward"))
    report = await ReplyReport(service.store)(service.tenants["spijkenisse"], ["2026-W22"])
    assert report == [WeekOfReplies(OTHER, "2026-W22", 0, 0, 1, 0)]


async def test_it_counts_and_reads_nothing(service: Service) -> None:
    """However many messages there are, no document is read."""
    await service.persisted()
    service.store.calls.clear()
    await ReplyReport(service.store)(service.tenants["spijkenisse"], ["2026-W22"])
    assert set(service.store.calls) == {("count", AWAITED.name)}


def test_the_picture_stands_by_itself() -> None:
    """Valid SVG, with weeks and numbers in it; no script, nothing fetched from anywhere."""
    lines = [WeekOfReplies("triage", "2026-W22", 20, 3, 1, 2), WeekOfReplies("cardiology", "2026-W22", 10, 0, 0, 0)]
    picture = plot("Spijkenisse: <all> care teams", ["2026-W21", "2026-W22"], lines)
    ElementTree.fromstring(picture)
    assert b"2026-W21" in picture
    assert b">30<" in picture
    assert b"<script" not in picture
    assert b"href=" not in picture


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    """As a table and as JSON over an empty store, with the picture beside it; an unknown team is named."""
    tenants = Path(__file__).parents[2] / "deploy" / "tenants"
    settings = {"BROKER": f"embedded:{tmp_path}/q", "STORE": f"sqlite:{tmp_path}/d", "KEYRING": f"{tmp_path}/keys"}
    for name, value in {**settings, "TENANTS": str(tenants)}.items():
        monkeypatch.setenv(f"MESSAGING_{name}", value)
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)
    assert CliRunner().invoke(main, ["keys", "init"]).exit_code == 0
    asked = ["replies", "report", "spijkenisse", "--weeks", "3", "--plot", f"{tmp_path}/plot.svg"]
    done = CliRunner().invoke(main, [*asked, *(["--json"] if as_json else [])])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == [] if as_json else "no messages in these weeks" in done.stdout
    assert (tmp_path / "plot.svg").read_bytes().startswith(b"<?xml")
    wrong = CliRunner().invoke(main, [*asked, "--team", "nobody"])
    assert wrong.exit_code == 2
    assert "nobody" in wrong.output


async def test_the_epd_says_that_it_is_done_with(service: Service) -> None:
    """An MDM^T04 with the agreed status stops the clock of our document; other states and documents mean nothing."""
    tenant = service.tenants["spijkenisse"]
    epd = msgspec.structs.replace(tenant.epd, handled=("LA",))
    service.tenants["spijkenisse"] = msgspec.structs.replace(tenant, epd=epd)
    receiving, clock = Receiving(service), ReplyClock(service)
    asked = (await service.persisted()).id
    await receiving.taken(document(trigger="T04", number=asked, completion="AU"))
    await receiving.taken(document(trigger="T04", number="OTHER", completion="LA", control="C2"))
    assert (await clock.of(asked)).is_open
    stranger = await receiving.ack(
        document(trigger="T04", number=asked, completion="LA", control="C3", patient="9999^^^ZKH^PI")
    )
    assert str(stranger.segment("MSA")(1)) == "AE"
    assert (await clock.of(asked)).is_open
    service.clock.now = moment("2026-06-01T08:00")
    await receiving.taken(document(trigger="T04", number=asked, completion="LA", control="C4"))
    assert (await clock.of(asked)).how is How.EPD
    assert await clock.at("2026-06-03T08:00") == []


async def test_without_an_agreement_no_t04_is_understood(service: Service) -> None:
    """A hospital that agreed on no status gets AE, as for every event that is not supported."""
    ack = await Receiving(service).ack(document(trigger="T04", number="X", completion="LA"))
    assert str(ack.segment("MSA")(1)) == "AE"
