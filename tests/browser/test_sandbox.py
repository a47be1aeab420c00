"""The sandbox in a browser, as somebody meets it who wants to see the service work, and break."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.parts.chromium import accessibility_faults

ROOT = Path(__file__).parents[2]
UP = ROOT / "deploy" / "sandbox" / "up.py"
SHOTS = ROOT / ".var" / "screenshots"
IN_TIME = 30_000

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What deploy/up prints, of a sandbox with nothing in it yet."""
    folder = tmp_path_factory.mktemp("sandbox")
    command = [sys.executable, str(UP), "--folder", str(folder), "--no-demonstration", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        shown = ""
        for line in up.stdout:
            shown += line
            if "in a browser: " in line:
                yield shown
                break
        else:
            pytest.fail(shown)
        up.terminate()


@pytest.fixture(scope="module")
def address(printed: str) -> str:
    """Of the page."""
    return printed.rpartition("in a browser: ")[2].strip()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The sandbox on a desk, in Dutch; anything the page fails at fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="nl-NL")
    opened = context.new_page()
    opened.set_default_timeout(IN_TIME)
    expect.set_options(timeout=IN_TIME)
    failed: list[str] = []
    opened.on("pageerror", lambda error: failed.append(str(error)))
    opened.goto(address)
    expect(opened.locator("#compose-notice")).to_contain_text("112")
    yield opened
    context.close()
    assert failed == []


def agree(page: Page) -> None:
    """To the terms, where the hospital asks."""
    expect(page.locator("#portal")).to_have_attribute("aria-busy", "false")
    if page.locator("#terms").is_visible():
        page.click("#accept-terms")
        expect(page.locator("#terms")).to_be_hidden()


def write(page: Page, example: str, subject: str = "") -> None:
    """Send one of the page's own examples, agreeing to the terms first where the hospital asks."""
    agree(page)
    page.click(f"[data-example={example}]")
    if subject:
        page.fill("#subject", subject)
    page.click("#compose [type=submit]")


def shot(page: Page, name: str) -> None:
    """Keep what the page shows as output of the tests."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"sandbox-{name}.png", full_page=True)


def test_what_deploy_up_prints_works_as_it_stands(printed: str) -> None:
    """Pasted in order into a new shell: the terms are accepted, a first message is, and staff have a token."""
    commands = [block for block in printed.split("\n\n") if re.match(r"TOKEN=|curl |/|export ", block)]
    script = "\n".join([*commands, "command -v messaging-service", "echo $MESSAGING_STORE"])
    done = subprocess.run(["bash", "-e"], input=script, capture_output=True, text=True, timeout=60, check=True)
    terms, accepted, token, program, store = done.stdout.splitlines()
    assert json.loads(terms)["to_accept"] is False
    assert json.loads(accepted)["status"] == "accepted"
    assert token.count(".") == 2
    assert Path(program).parent == Path(sys.executable).parent
    assert store.startswith("sqlite:")


def test_an_urgent_message_its_notice_and_the_answer(page: Page) -> None:
    """The writer sees the 112 notice, the clinician the urgency; the writer sees that it was read, and the answer."""
    write(page, "urgent")
    expect(page.locator("#answer .emergency")).to_contain_text("bel nu 112")
    steps = page.locator("#threads article").first.locator(".steps .done")
    expect(steps).to_have_count(3)
    page.locator("#documents button", has_text="Pijn").first.click()
    expect(page.locator("#document .emergency")).to_contain_text("SPOED")
    expect(steps.last).to_have_text("gelezen door de behandelaar")
    page.fill("#reply-text", "Belt u 112? Wij zijn gewaarschuwd.")
    page.click("#reply [type=submit]")
    expect(page.locator("#threads .theirs").first).to_contain_text("Wij zijn gewaarschuwd")
    expect(page.locator("#steps")).to_contain_text("keer is de dienstdoende gealarmeerd")
    shot(page, "urgent")


def test_a_refused_message_shows_what_may_not_be_said(page: Page) -> None:
    """The reason is named and the words marked where they stand; the 112 notice is there; nothing reaches the EPD."""
    write(page, "threat")
    expect(page.locator("#answer .refused strong")).to_contain_text("want het is intimiderend")
    expect(page.locator("#answer .refused mark")).to_contain_text("Ik weet waar je")
    expect(page.locator("#answer .notice.calm")).to_contain_text("112")
    expect(page.locator("#ledger-line")).to_contain_text("0 aangenomen")
    expect(page.locator("#ledger-line")).to_contain_text("1 geweigerd")
    expect(page.locator("#documents")).not_to_contain_text("Voor de dokter")
    shot(page, "refused")


def test_a_rude_emergency_is_not_refused(page: Page) -> None:
    """It goes on: the writer sees the 112 notice, the clinician the urgency and the caution."""
    write(page, "caution")
    expect(page.locator("#answer .emergency")).to_contain_text("bel nu 112")
    page.locator("#documents button", has_text="LET OP").first.click()
    expect(page.locator("#document .emergency")).to_contain_text("SPOED")
    expect(page.locator("#document .refused")).to_contain_text("LET OP")


def test_what_waits_while_the_epd_is_down_arrives_when_it_is_back(page: Page) -> None:
    """Nothing is lost: accepted while the EPD is down, stored, filed once it is up; the ledger agrees."""
    page.check("[name=mode][value=down]")
    write(page, "ordinary")
    newest = page.locator("#threads article").first
    expect(newest.locator(".steps .done")).to_have_count(2)
    expect(page.locator("#ledger-line")).to_contain_text("1 onderweg")
    shot(page, "epd-down")
    page.check("[name=mode][value=normal]")
    expect(page.locator("#ledger-line")).to_contain_text("1 aangenomen = 1 in het dossier")
    page.click("#prove")
    expect(page.locator("#proof")).to_contain_text("Niets is kwijt")


def test_a_killed_worker_loses_nothing(page: Page) -> None:
    """Twenty messages while the worker is dead wait in the queue, and are all filed by the next one."""
    page.click("#worker")
    expect(page.locator("#worker-state")).to_contain_text("weg")
    agree(page)
    page.click("#many")
    expect(page.locator("#ledger-line")).to_contain_text("20 aangenomen = 0 in het dossier + 20 onderweg")
    expect(page.locator("#steps li").first).to_contain_text("20")
    shot(page, "worker-killed")
    page.click("#worker")
    expect(page.locator("#ledger-line")).to_contain_text("20 aangenomen = 20 in het dossier + 0 onderweg")


def test_a_stream_that_breaks_comes_back_and_tells_what_was_missed(page: Page) -> None:
    """What is filed while the stream is broken shows once it is back, after the last event and by another ticket."""
    streams: list[str] = []
    is_broken = True

    def break_off(route: Route) -> None:
        streams.append(route.request.url)
        told = "id: start\nevent: ready\ndata: {}\n\n" if len(streams) == 1 else ""
        if is_broken:
            route.fulfill(content_type="text/event-stream", body=told)
        else:
            route.continue_()

    page.route("**/v1/events?*", break_off)
    page.reload()
    page.check("[name=mode][value=down]")
    write(page, "ordinary", "Terwijl de verbinding weg is")
    steps = page.locator("#threads article").first.locator(".steps .done")
    expect(steps).to_have_count(2)
    page.check("[name=mode][value=normal]")
    expect(page.locator("#documents")).to_contain_text("Terwijl de verbinding weg is")
    expect(steps).to_have_count(2)
    is_broken = False
    expect(steps).to_have_count(3)
    assert streams[-1].endswith("last_event_id=start")
    assert len(streams) == len(set(streams)) > 1


def test_of_one_patient_nothing_is_left_for_the_next(page: Page) -> None:
    """From the moment that another patient is chosen the conversation of the one before is gone from the screen."""
    write(page, "ordinary")
    expect(page.locator("#threads")).to_contain_text("Kan mijn afspraak")
    page.select_option("#patient", "sein-77")
    assert "Kan mijn afspraak" not in page.locator("#threads").inner_text()
    agree(page)
    expect(page.locator("#threads")).to_have_text("Nog geen berichten.")


def test_the_portal_asks_for_nothing_while_nothing_happens(page: Page) -> None:
    """No polling: while the queues are looked at twice, the patient's pane sends no request."""
    agree(page)
    expect(page.locator("#live")).to_have_text("Wordt bijgewerkt zodra er iets gebeurt.")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    for _ in range(20):
        asked.clear()
        for _ in range(2):
            with page.expect_response("**/queues"):
                pass
        if not (portal := [path for path in asked if path.startswith("/v1/")]):
            return
    pytest.fail(f"it went on asking: {portal}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(page: Page, scheme: str) -> None:
    """Nothing that axe-core finds at WCAG 2.2 AA, wide or at 360 pixels, light or dark, Dutch or English."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    write(page, "threat")
    expect(page.locator("#answer mark")).to_be_visible()
    if page.locator("#documents button").count():
        page.locator("#documents button").first.click()
    for width, language in ((1280, "nl"), (360, "en")):
        page.set_viewport_size({"width": width, "height": 800})
        page.select_option("#page-language", language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        assert accessibility_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    shot(page, f"narrow-{scheme}")


def test_it_works_by_keyboard(page: Page) -> None:
    """From the skip link to a sent message with Tab, Enter and the keys of letters."""
    write(page, "ordinary")
    expect(page.locator("#ledger-line")).to_contain_text("1 aangenomen")
    page.reload()
    expect(page.locator("#compose-notice")).to_contain_text("112")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#portal")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "body":
            break
    page.keyboard.type("Mag ik sporten met deze pleister?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#ledger-line")).to_contain_text("2 aangenomen")


def test_another_site_gets_no_token(page: Page, address: str) -> None:
    """A name that points here, or a request from another page, is turned away."""
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        answer = page.request.get(f"{address}people", headers=headers)
        assert answer.status == 403
    assert page.request.get(f"{address}people").status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [("MESSAGING_STORE", "mongodb://db.hospital.example/messaging"), ("MESSAGING_BROKER", "amqps://hospital.example")],
)
def test_it_does_not_start_beside_production(tmp_path: Path, name: str, value: str) -> None:
    """Where the shell is set up for real servers the sandbox says why it will not run."""
    done = subprocess.run(
        [sys.executable, str(UP), "--folder", str(tmp_path / "state")],
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"unset {name}" in done.stdout
    assert "hospital.example" not in done.stdout
