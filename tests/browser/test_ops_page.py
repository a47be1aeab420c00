"""The operations page in a browser: from a number to its messages, from a message to its journey, and mending."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from messaging_service.application.codec import outgoing
from messaging_service.application.collections import ACCESS_LOG
from messaging_service.application.park import Park
from messaging_service.application.topology import file_queue
from messaging_service.domain.events import MessagePersisted
from messaging_service.domain.message import Lane
from messaging_service.domain.roles import Role, Scope
from tests.contract.http_service import SHORT, URGENT, HttpService, until
from tests.parts.chromium import accessibility_faults

SHOTS = Path(__file__).parents[2] / ".var" / "screenshots"
IN_TIME = 20_000
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
MARK = "ooievaarsnest"

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def page(browser: Browser, service: HttpService) -> Iterator[Page]:
    """The page on a desk, in English, not logged in; anything the page fails at fails the test."""
    yield from opened(browser, service, WIDE)


def opened(browser: Browser, service: HttpService, size: dict[str, int]) -> Iterator[Page]:
    """A page of that size."""
    context = browser.new_context(viewport=size, locale="en-GB")  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(IN_TIME)
    expect.set_options(timeout=IN_TIME)
    failed: list[str] = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.on("request", lambda request: failed.append(request.url) if service.url not in request.url else None)
    page.goto(f"{service.url}/ops")
    yield page
    context.close()
    assert failed == []


def log_in(page: Page, service: HttpService) -> None:
    """With a token of the role ops."""
    scopes = (Scope.READ_OPERATIONS, Scope.MEND_OPERATIONS)
    page.fill("#token", service.staff_token(Role.OPS, *scopes, sub=secrets.token_hex(8)))
    page.keyboard.press("Enter")
    expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#queues table")).to_be_visible()


def shot(page: Page, name: str) -> None:
    """Keep what the page shows as output of the tests."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"ops-{name}.png", full_page=True)


def send(service: HttpService, body: str, number: str | None = None) -> str:
    """The id of a message that was accepted."""
    return str(service.post({**SHORT, "body": body}, token=service.token(number or secrets.token_hex(4))).json["id"])


def state(service: HttpService, id: str) -> str:
    """How far its filing is."""
    filing = service.run(service.parts.threads.filing(id))
    return filing.state if filing else ""


def give_up(service: HttpService, id: str, reason: str) -> None:
    """The file step gives up on it."""
    event = MessagePersisted(id, "spijkenisse", id, Lane.NORMAL, service.parts.clock())
    queue, parts = file_queue("spijkenisse", Lane.NORMAL), service.parts
    park = Park(tenants=parts.tenants, store=parts.store, threads=parts.threads, clock=parts.clock)
    service.run(park(outgoing(queue, event, {"reason": reason}).envelope))


def waiting(service: HttpService, count: int) -> list[str]:
    """So many messages that the EPD, which is down, has not."""
    service.be("down")
    ids = [send(service, f"Over het {MARK}, {n}.") for n in range(count)]
    for id in ids:
        until(lambda id=id: state(service, id) != "")  # type: ignore[misc]
    return ids


def test_a_parked_message_is_mended(page: Page, service: HttpService) -> None:
    """From the number of a reason to its list, to one message's journey, to retry; the EPD has it, once, and it is
    written down who did it."""
    (id,) = waiting(service, 1)
    give_up(service, id, "AE-204")
    service.be("normal")
    log_in(page, service)
    expect(page.locator("#attention")).to_contain_text("1 message is parked")
    page.click("#parked a")
    expect(page.locator("h1")).to_have_text("File into EPD: AE-204")
    page.click(f"text={id}")
    expect(page.locator(".journey")).to_contain_text("AE-204")
    page.click("text=Retry")
    expect(page.locator("#ask-title")).to_have_text("Send this message through its step again?")
    shot(page, "ask")
    page.click("#ask-yes")
    expect(page.locator("#ask")).to_be_hidden()
    until(lambda: state(service, id) == "filed")
    page.reload()
    expect(page.locator(".journey")).to_contain_text("Answer of the EPD")
    shot(page, "journey")
    assert MARK not in page.content()
    assert list(service.epd.inbox).count(id) == 1

    written = service.run(service.parts.store.find(ACCESS_LOG, "of_patient", {"patient": patient_of(service, id)}))
    by_ops = [(entry["action"], entry["object_kind"]) for entry in written if entry["role"] == Role.OPS]
    assert by_ops.count(("update", "parked")) == 1
    assert ("read", "journey") in by_ops


def patient_of(service: HttpService, id: str) -> str:
    """Whose message it is, by the random id of the record."""
    message = service.run(service.parts.threads.message(id))
    assert message is not None
    return message.patient


def test_by_keyboard_alone(page: Page, service: HttpService) -> None:
    """Close, give to and retry all like this, without a mouse; a dialog that is left changes nothing."""
    ids = waiting(service, 3)
    for id in ids:
        give_up(service, id, "AE-207")
    log_in(page, service)
    page.locator("#parked a", has_text="AE-207").focus()
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name=f"Close: {ids[0]}").press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name=f"Close: {ids[0]}").press("Enter")
    page.keyboard.type("Ward called")
    page.locator("#ask-yes").press("Enter")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name=f"Give to: {ids[1]}").press("Enter")
    page.keyboard.type("portal-builder")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("portal-builder")
    page.get_by_role("button", name="Retry all 2").press("Enter")
    page.locator("#ask-yes").press("Enter")
    expect(page.locator("main")).to_contain_text("Nothing is parked.")
    service.be("normal")
    until(lambda: [state(service, id) for id in ids] == ["closed", "filed", "filed"])


def test_the_epd_goes_down_and_comes_back(page: Page, service: HttpService) -> None:
    """What waits and that the EPD is down shows by itself; so does an alarm; and that it is over."""
    log_in(page, service)
    (id,) = waiting(service, 1)
    send(service, URGENT)
    expect(page.locator("#attention")).to_contain_text("The EPD does not answer")
    expect(page.locator("#attention")).to_contain_text("not acknowledged yet")
    page.click("a[href='#/messages/file/normal']")
    expect(page.get_by_role("row", name=id)).to_be_visible()
    page.click("text=Back to the overview")
    service.be("normal")
    expect(page.locator("#attention")).not_to_contain_text("The EPD does not answer")


def test_from_every_number_to_its_messages(page: Page, service: HttpService) -> None:
    """By keyboard from each number of the overview to a list that says what it is, and from the list to a journey."""
    (id,) = waiting(service, 1)
    give_up(service, id, "AE-209")
    log_in(page, service)
    expect(page.locator(".chart").first).to_be_visible()
    addresses = page.locator("#queues a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    expected = [f"{stage}/{lane}" for stage in ("persist", "file") for lane in ("urgent", "normal")]
    assert {f"#/messages/{one}" for one in (*expected, "escalate", "notify", "failed/notify")} <= set(addresses)
    for stage, title in (
        ("escalate", "What on-call was not told of yet"),
        ("notify", "What the portal was not told of yet"),
        ("failed/file.normal", "File into EPD, normal: failed in the last 24 hours"),
    ):
        page.locator(f"#queues a[href='#/messages/{stage}']").press("Enter")
        expect(page.locator("h1")).to_have_text(title)
        assert accessibility_faults(page) == []
        if stage != "failed/file.normal":
            page.locator("main a[href='#/']").press("Enter")
            expect(page.locator("#queues table")).to_be_visible()
    page.get_by_role("row", name=id).get_by_role("link").press("Enter")
    expect(page.locator(".journey")).to_contain_text("AE-209")
    page.locator("main a[href='#/']").press("Enter")
    page.locator("#attention a[href='#parked']").press("Enter")
    expect(page.locator("#parked")).to_be_focused()
    page.locator("#parked a", has_text="AE-209").press("Enter")
    page.get_by_role("button", name=f"Close: {id}").press("Enter")
    page.keyboard.type("Ward called")
    page.locator("#ask-yes").press("Enter")
    expect(page.locator("#ask")).to_be_hidden()
    service.be("normal")


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
def test_accessible_to_all(browser: Browser, service: HttpService, size: dict[str, int], scheme: str) -> None:
    """axe-core finds nothing at WCAG 2.2 AA, on a desk and at 360 px, light and dark, Dutch and English; at 360 px
    nothing is wider than the screen."""
    (id,) = waiting(service, 1)
    give_up(service, id, f"AE-{scheme}")
    for page in opened(browser, service, size):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert accessibility_faults(page) == []
        log_in(page, service)
        for language in ("en", "nl"):
            expect(page.locator(".chart").first).to_be_visible()
            assert page.locator("html").get_attribute("lang") == language
            assert accessibility_faults(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            shot(page, f"{size['width']}-{scheme}-{language}")
            page.click("#language")
        page.goto(f"{service.url}/ops#/parked/file/AE-{scheme}")
        page.locator("tbody button").nth(1).click()
        expect(page.locator("#ask-input")).to_be_visible()
        assert accessibility_faults(page) == []
        page.keyboard.press("Escape")
        page.goto(f"{service.url}/ops#/message/{id}")
        expect(page.locator(".journey")).to_be_visible()
        assert accessibility_faults(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    service.be("normal")


def test_who_may_not_is_told_so(page: Page, service: HttpService) -> None:
    """A token without the scope, or none that holds, leads back to the login with the reason."""
    for token, reason in ((service.token(), "does not let you in"), ("x.y.z", "does not hold")):
        page.fill("#token", token)
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_contain_text(reason)
        expect(page.locator("#token")).to_be_visible()
