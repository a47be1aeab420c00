"""The portal's webhook against real HTTP servers that take, refuse, redirect, hang and babble."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from messaging_service.adapters import portal_webhook
from messaging_service.adapters.portal_webhook import StandardWebhook, WebhookSecret, secure_url
from messaging_service.adapters.public_addresses import PublicAddresses, is_public
from messaging_service.domain.errors import SettingInvalid, WebhookDown
from messaging_service.tenants import Portal

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
AT = 1_614_265_330_000


class Peer:
    """A portal that keeps what it is sent and answers as told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.status = 200
        self.hangs = False
        self.babbles = False
        self.hung_up = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.path, headers, await request.read()))
        if self.hangs:
            await asyncio.Event().wait()
        if self.babbles:
            return await self._babble(request)
        return web.Response(status=self.status, headers={"Location": "/elsewhere"}, text="x" * 100_000)

    async def _babble(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 65_536)
        finally:
            self.hung_up.set()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    app = web.Application()
    app.router.add_post("/{tail:.*}", peer.handle)
    async with TestServer(app, host="127.0.0.1") as server:
        peer.url = str(server.make_url("/hook"))
        yield peer


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def webhook(url: str, http: aiohttp.ClientSession, now: int = AT) -> StandardWebhook:
    portal = Portal(webhook=url, secret=SECRET, loopback="portal.example" not in url)
    return StandardWebhook(portal, http, lambda: now)


def test_signature_is_the_published_one() -> None:
    """The example that the Standard Webhooks libraries test with comes out the same."""
    headers = WebhookSecret(SECRET, "secret").headers("msg_p5jXN8AQM9LWM0D4loKWxJek", AT, BODY)
    assert headers == {
        "content-type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


async def test_what_the_portal_gets(peer: Peer, http: aiohttp.ClientSession) -> None:
    """The body arrives byte for byte, with the headers that prove it."""
    await webhook(peer.url, http).post("message.filed.01JZ8Q", BODY)
    ((path, headers, body),) = peer.requests
    signed = WebhookSecret(SECRET, "secret").headers("message.filed.01JZ8Q", AT, BODY)
    assert (path, body) == ("/hook", BODY)
    assert signed.items() <= headers.items()


async def test_a_repeat_is_signed_anew_under_the_same_id(peer: Peer, http: aiohttp.ClientSession) -> None:
    """An hour later the id is the same, but the time is the attempt's: portals refuse old signatures."""
    for now in (AT, AT + 3_600_000):
        await webhook(peer.url, http, now).post("message.filed.01JZ8Q", BODY)
    first, second = (headers for _, headers, _ in peer.requests)
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 3600
    assert first["webhook-signature"] != second["webhook-signature"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_taken(peer: Peer, http: aiohttp.ClientSession, status: int) -> None:
    """Every 2xx counts as taken."""
    peer.status = status
    await webhook(peer.url, http).post("message.filed.1", BODY)
    assert len(peer.requests) == 1


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
async def test_anything_else_is_not(peer: Peer, http: aiohttp.ClientSession, status: int) -> None:
    """Any other status is WebhookDown, and a redirect is not followed: the body is for this address alone."""
    peer.status = status
    with pytest.raises(WebhookDown) as down:
        await webhook(peer.url, http).post("message.filed.1", BODY)
    assert down.value.detail == f"it answered {status}"
    assert [path for path, _, _ in peer.requests] == ["/hook"]


async def test_a_portal_that_hangs(peer: Peer, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal that takes the request and never answers costs the time-out, no more."""
    assert portal_webhook.TIMEOUT_SECONDS == 5
    monkeypatch.setattr(portal_webhook, "TIMEOUT_SECONDS", 0.1)
    peer.hangs = True
    with pytest.raises(WebhookDown, match="Timeout"):
        await webhook(peer.url, http).post("message.filed.1", BODY)
    assert len(peer.requests) == 1


async def test_a_portal_that_is_down(http: aiohttp.ClientSession) -> None:
    """Nobody listens: WebhookDown, whose text does not give the address away."""
    url = f"http://127.0.0.1:{unused_port()}/token-in-path"
    with pytest.raises(WebhookDown) as down:
        await webhook(url, http).post("message.filed.1", BODY)
    assert "token-in-path" not in str(down.value)


async def test_an_answer_without_end_is_cut_off(peer: Peer, http: aiohttp.ClientSession) -> None:
    """A 200 with an endless body is taken at once; the connection is closed, not drained."""
    peer.babbles = True
    await webhook(peer.url, http).post("message.filed.1", BODY)
    async with asyncio.timeout(10):
        await peer.hung_up.wait()


@pytest.mark.parametrize("event_id", ["", "a\r\nx: y", 'a.1614265330.{"type":"b"}', "é", "a b", "x" * 201])
def test_an_id_cannot_pass_for_another_event(event_id: str) -> None:
    """An id with a body in it would sign that body too; only plain ids are signed."""
    with pytest.raises(ValueError, match="webhook id"):
        WebhookSecret(SECRET, "secret").headers(event_id, AT, BODY)


@pytest.mark.parametrize(
    "url", ["https://portal.example/hook", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost:1/x"]
)
def test_addresses_that_may_be_called(url: str) -> None:
    """https anywhere; http to this machine, for development."""
    assert secure_url(url, "[portal] webhook") == url


@pytest.mark.parametrize(
    "url",
    [
        "http://portal.example/hook",
        "http://localhost.portal.example/",
        "http://127.0.0.1.portal.example/",
        "http://10.0.0.1/",
        "ftp://portal.example/",
        "file:///etc/passwd",
        "portal.example/hook",
        "https://",
        "https://[/",
        "https://portal.example:port/",
        "",
    ],
)
async def test_addresses_that_may_not(url: str, http: aiohttp.ClientSession) -> None:
    """Anything else is refused when the service starts, by the setting's name."""
    with pytest.raises(SettingInvalid, match=r"\[portal\] webhook") as refused:
        webhook(url, http)
    assert not url or url not in str(refused.value)


def test_secret_from_a_file(tmp_path: Path) -> None:
    """`file:PATH` signs like the secret that stands in the file."""
    (tmp_path / "secret").write_text(SECRET + "\n")
    read = WebhookSecret(f"file:{tmp_path / 'secret'}", "secret")
    assert read.headers("a", AT, BODY) == WebhookSecret(SECRET, "secret").headers("a", AT, BODY)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_%%%%",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_é",
    ],
)
def test_a_poor_secret_is_refused_and_not_shown(secret: str) -> None:
    """Too short, too long or no base64: refused by the setting's name, without a letter of it."""
    with pytest.raises(SettingInvalid, match=r"\[portal\] secret") as refused:
        WebhookSecret(secret, "[portal] secret")
    assert len(secret) < 10 or secret not in str(refused.value)


async def test_the_secret_is_in_no_repr(http: aiohttp.ClientSession) -> None:
    """Neither the webhook nor its secret shows the key when printed."""
    secret = WebhookSecret(SECRET, "secret")
    assert "MfKQ" not in repr(secret) + repr(webhook("https://portal.example/", http))


async def test_two_signatures_while_a_secret_changes(peer: Peer, http: aiohttp.ClientSession) -> None:
    """The new secret and the one before both sign; a portal that knows either takes it."""
    new = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    portal = Portal(webhook=peer.url, secret=new, previous_secret=SECRET, loopback=True)
    await StandardWebhook(portal, http, lambda: AT).post("message.filed.1", BODY)
    ((_, headers, _),) = peer.requests
    each = [WebhookSecret(secret, "x").headers("message.filed.1", AT, BODY) for secret in (new, SECRET)]
    assert headers["webhook-signature"] == " ".join(one["webhook-signature"] for one in each)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        *((address, False) for address in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254")),
        *((address, False) for address in ("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "::", "::1")),
        *((address, False) for address in ("fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "2002:7f00:1::")),
        *((address, False) for address in ("64:ff9b::10.0.0.1", "::ffff:10.0.0.1")),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    """Private, loopback, link-local, shared, multicast and unspecified ones are not, in whatever form."""
    assert is_public(address) is public


async def test_a_name_that_leads_inside(peer: Peer) -> None:
    """A name that resolves to this machine is not connected to, although its webhook listens there."""
    port = peer.url.rpartition(":")[2].partition("/")[0]
    portal = Portal(webhook=f"https://localhost.localdomain:{port}/hook", secret=SECRET)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Leads("127.0.0.1"))) as http:
        with pytest.raises(WebhookDown):
            await StandardWebhook(portal, http, lambda: AT).post("message.filed.1", BODY)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Leads("93.184.216.34", "::1"))) as http:
        with pytest.raises(WebhookDown):
            await StandardWebhook(portal, http, lambda: AT).post("message.filed.1", BODY)
    assert peer.requests == []


class Leads(PublicAddresses):
    """A name server that answers every name with these addresses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._system = self
        self.addresses = addresses
        self.asked = False

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        """The addresses, judged as those of any other server are."""
        if self.asked:
            return [
                {"hostname": host, "host": each, "port": port, "family": family, "proto": 0, "flags": 0}
                for each in self.addresses
            ]
        self.asked = True
        return await super().resolve(host, port, family)

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://127.0.0.1/", False),
        ("https://localhost/", False),
        ("https://[::1]/", False),
        ("https://10.0.0.1/", False),
        ("https://169.254.169.254/", False),
        ("https://portal.example/", True),
        ("https://10.0.0.1/", True),
    ],
)
async def test_inside_only_for_development(url: str, loopback: bool, http: aiohttp.ClientSession) -> None:
    """Without `loopback` nothing inside may be called; with it nothing but this machine."""
    with pytest.raises(SettingInvalid, match=r"\[portal\]"):
        StandardWebhook(Portal(webhook=url, secret=SECRET, loopback=loopback), http, lambda: AT)
