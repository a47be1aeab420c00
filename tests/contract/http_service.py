"""The whole service on loopback, in a thread of its own: gateway, workers, sandbox EPD, and who it calls.

Its lexicon is a few rules, so that tests know which text is urgent and which is prohibited whatever the shipped one
says. It keeps every envelope it published and every webhook it posted.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
import tomllib
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from deploy.sandbox.epd import SandboxEpd
from deploy.sandbox.issuer import Issuer, staff_issuer
from messaging_service import serving
from messaging_service.application.ports import Broker, Clock, Envelope
from messaging_service.bootstrap import Parts, open_parts
from messaging_service.config import Settings
from messaging_service.crypto.keyring import Keyring
from tests.parts.hospitals import as_toml
from tests.parts.mllp_peer import sandbox_epd
from tests.parts.oidc_provider import CLIENT, OidcProvider

T = TypeVar("T")
TENANTS = Path(__file__).parents[2] / "deploy" / "tenants"
NUMBER_CLAIMS = {"spijkenisse": "patient_number", "sein": "client_number"}
LEXICON = """
kind = "{kind}"
topic = "{topic}"
[[rule]]
id = "contract"
parts = ["{word}"]
"""
URGENT = "noodproefwoord"
ALONE = {"suicidality": "wanhoopproefwoord", "domestic_violence": "thuisproefwoord"}
"""Words of the topics that are told to nobody but the writer."""
PROHIBITED = "verbodenproefwoord"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LIMITED = 5
"""Requests a minute for a patient of `sein`; those of `spijkenisse` may send as many as they like."""

UNLIMITED = {
    "bytes_per_hour": 10**9,
    "client": {"messages_per_minute": 10**6, "bytes_per_minute": 10**9, "urgent_per_minute": 10**6},
}
PATIENCE = 30.0
WARDS = {"spijkenisse": "cardiology", "sein": "neurology"}
"""The care team of each hospital's ward CARD."""
NEXT_TERMS = {"version": "next", "since": date(2030, 1, 1), "texts": {"nl": "https://terms.example/next"}}
"""A version that is to come, in the file of each hospital that is as shipped."""

SHORT = {"subject": "Vraag", "body": "Mag ik sporten?"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class HttpService:
    """The running service, to be used from a test's own thread."""

    port: int
    loop: asyncio.AbstractEventLoop
    parts: Parts
    epd: SandboxEpd
    issuers: dict[str, Issuer]
    staff: dict[str, Issuer]
    provider: OidcProvider
    published: list[tuple[str, Envelope]] = field(default_factory=list)
    webhooks: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def listener(self, tenant: str) -> int:
        """The port that a tenant's EPD sends to, of a service as shipped."""
        listener = self.parts.tenants[tenant].epd.listener
        assert listener is not None
        return int(listener.listen.rpartition(":")[2])

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def token(self, number: str = "1234", tenant: str = "spijkenisse", **claims: Any) -> str:
        """An access token of the patient with that number."""
        identity = {NUMBER_CLAIMS[tenant]: number, "name": "Jansen", **claims}
        return self.issuers[tenant].token(f"{tenant}-{number}", **identity)

    def staff_token(self, role: str, *scopes: str, tenant: str = "spijkenisse", **claims: Any) -> str:
        """An access token of somebody of the hospital's staff, with a second factor."""
        said = {"role": role, "scope": " ".join(scopes), "name": "De Wit", **claims}
        return self.staff[tenant].token(f"{tenant}-{role}", **said)

    def send(
        self,
        method: str,
        path: str,
        *,
        message: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Answer:
        """One request; `message` is sent as JSON, `token` defaults to one that holds and "" is none."""
        sent = {"Authorization": f"Bearer {self.token() if token is None else token}"} if token != "" else {}
        if message is not None:
            body, sent["Content-Type"] = json.dumps(message).encode(), "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def post(self, message: object = SHORT, **how: Any) -> Answer:
        """POST /v1/messages."""
        return self.send("POST", "/v1/messages", message=message, **how)

    def post_bytes(self, body: bytes, content_type: str = "application/json", **headers: str) -> Answer:
        """POST /v1/messages with a body that is sent as it is."""
        return self.send("POST", "/v1/messages", body=body, headers={"Content-Type": content_type, **headers})

    def raw(self, request: bytes, until: bytes) -> bytes:
        """Send bytes that need not be HTTP and read until `until` was read, or the service hangs up."""
        return talk(self.port, request, until)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the service's own loop do `work`, on its parts for instance."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE)

    def be(self, mode: str) -> None:
        """Have the EPD answer as told."""
        self.run(self.epd.set_mode(mode))

    def filed(self, id: str, state: str = "filed", token: str | None = None) -> Answer:
        """The answer of GET /v1/messages/{id} once the message is that far."""
        found: list[Answer] = []

        def is_there() -> bool:
            found.append(self.send("GET", f"/v1/messages/{id}", token=token))
            return bool(found[-1].json["status"] == state)

        until(is_there)
        return found[-1]


def talk(port: int, request: bytes, until: bytes) -> bytes:
    """What a server on loopback says to `request` until `until` was read, or it hangs up."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(request)
        while until not in heard and (more := connection.recv(65_536)):
            heard += more
    return heard


def until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`, asked every 20 ms. Raises TimeoutError."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(condition.__qualname__)
        time.sleep(0.02)  # the pause between two looks at a process of its own


@contextmanager
def http_service(
    folder: Path, *, as_shipped: Clock | None = None, stream_seconds: float = 0.05
) -> Iterator[HttpService]:
    """Start everything with its files in `folder`; stop it at the end. One answer of an event stream lasts so long.

    `as_shipped` is the clock of a service whose hospitals are as they are shipped: accounts, terms, listeners. A next
    version of the terms is in their files, to hold from 2030 on.
    """
    started: list[HttpService | BaseException] = []
    ready, stop = threading.Event(), threading.Event()

    async def run() -> None:
        try:
            async with AsyncExitStack() as stack:
                service, leave = await _start(folder, stack, as_shipped)
                started.append(service)
                ready.set()
                await asyncio.to_thread(stop.wait)
                leave.set()
        except BaseException as problem:
            started.append(problem)
            ready.set()
            raise

    thread = threading.Thread(target=asyncio.run, args=(run(),), name="service")
    with _lexicon(folder / "lexicon"), pytest.MonkeyPatch.context() as patch:
        for resource in ("operations", "events"):
            patch.setattr(f"messaging_service.gateway.{resource}.STREAM_SECONDS", stream_seconds)
        if as_shipped is not None:
            patch.setattr("messaging_service.bootstrap.opening.system_clock", as_shipped)
        thread.start()
        ready.wait(PATIENCE)
        try:
            assert isinstance(started[0], HttpService), started
            until(lambda: _is_up(started[0]))
            yield started[0]
        finally:
            stop.set()
            thread.join(PATIENCE)


def _is_up(service: object) -> bool:
    assert isinstance(service, HttpService)
    try:
        return service.send("GET", "/health/ready", token="").status == 200
    except ConnectionError:
        return False


@contextmanager
def _lexicon(folder: Path) -> Iterator[None]:
    language = folder / "nl"
    language.mkdir(parents=True)
    language.joinpath("urgency.toml").write_text(LEXICON.format(kind="urgency", topic="cardiac", word=URGENT))
    for topic, word in ALONE.items():
        language.joinpath(f"{topic}.toml").write_text(LEXICON.format(kind="urgency", topic=topic, word=word))
    language.joinpath("abuse.toml").write_text(LEXICON.format(kind="prohibited", topic="threatening", word=PROHIBITED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("messaging_service.screening.screener.packaged_folder", lambda: folder)
        yield


async def _start(folder: Path, stack: AsyncExitStack, as_shipped: Clock | None) -> tuple[HttpService, asyncio.Event]:
    epd = await stack.enter_async_context(sandbox_epd())
    issuers = {tenant: Issuer(folder, tenant) for tenant in NUMBER_CLAIMS}
    webhooks: list[tuple[str, dict[str, str], bytes]] = []
    port = unused_port()
    staff = {tenant: staff_issuer(folder, tenant) for tenant in NUMBER_CLAIMS}
    provider = OidcProvider(staff["spijkenisse"])
    callee = await _callee(webhooks, provider, stack)
    settings = _settings(folder, port)
    for tenant, issuer in issuers.items():
        shipped = _shipped(tenant, issuer, staff[tenant], epd.port, callee)
        _adapt(tenant, shipped, as_shipped is not None)
        settings.tenants.joinpath(f"{tenant}.toml").write_text(as_toml(shipped), "utf-8")
    parts = await stack.enter_async_context(open_parts(settings, "serve"))
    service = HttpService(port, asyncio.get_running_loop(), parts, epd, issuers, staff, provider, webhooks=webhooks)
    _overhear(parts.broker, service.published)
    leave = asyncio.Event()
    serving_all = await stack.enter_async_context(asyncio.TaskGroup())
    serving_all.create_task(serving.serve_everything(parts, leave))
    return service, leave


def _settings(folder: Path, port: int) -> Settings:
    keyring = folder / "keyring.json"
    Keyring.create(keyring, list(NUMBER_CLAIMS))
    tenants = folder / "tenants"
    tenants.mkdir()
    return Settings(
        broker=f"embedded:{folder}/queue.sqlite",
        store=f"sqlite:{folder}/documents.sqlite",
        keyring=keyring,
        tenants=tenants,
        listen=f"127.0.0.1:{port}",
        public_url=f"http://127.0.0.1:{port}",
    )


def _shipped(tenant: str, issuer: Issuer, staff: Issuer, epd: int, callee: str) -> dict[str, Any]:
    """The shipped file with its variables filled in, and a portal."""
    toml = TENANTS.joinpath(f"{tenant}.toml").read_text("utf-8")
    values = {
        "ISSUER": issuer.name,
        "JWKS": f"file:{issuer.jwks}",
        "STAFF_ISSUER": staff.name,
        "STAFF_JWKS": f"file:{staff.jwks}",
        "EPD": f"mllp://127.0.0.1:{epd}",
        "ON_CALL": f"{callee}/on-call",
        "ON_CALL_SECRET": SECRET,
    }
    for name, value in values.items():
        toml = toml.replace(f"${{{tenant.upper()}_{name}}}", value)
    read = tomllib.loads(toml)
    read["identity"]["staff"]["login"] = {
        "client_id": CLIENT,
        "authorization": f"{callee}/authorize",
        "token": f"{callee}/token",
    }
    return {
        **read,
        "portal": {
            "webhook": f"{callee}/portal",
            "secret": SECRET,
            "loopback": True,
            "origins": [f"https://portal.{tenant}.example"],
        },
    }


def _adapt(tenant: str, shipped: dict[str, Any], as_shipped: bool) -> None:
    """Limits of its own; nobody has to be invited, to be treated or to accept terms first.

    As shipped: no limits, a listener, and the codes of ward and of the end of care that the EPD uses.
    """
    most = LIMITED if tenant == "sein" and not as_shipped else 1_000_000
    shipped["limits"] = {"requests_per_minute": most, "messages_per_hour": most, **UNLIMITED}
    if as_shipped:
        listener = {"listen": f"127.0.0.1:{unused_port()}"}
        shipped["epd"] |= {"listener": listener, "end_of_care": ["EC"], "staff": {"CARD": WARDS[tenant]}}
        shipped["terms"].append(NEXT_TERMS)
    else:
        shipped["accounts"]["opening"] = "first_login"
        shipped["routing"]["first_contact"] = True
        del shipped["terms"]


async def _callee(
    webhooks: list[tuple[str, dict[str, str], bytes]], provider: OidcProvider, stack: AsyncExitStack
) -> str:
    """Portal, on-call and the staff's OpenID provider in one: what is posted to the first two is kept."""

    async def take(request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        webhooks.append((request.path, headers, await request.read()))
        return web.Response(status=204)

    app = web.Application()
    provider.add_routes(app.router)
    app.router.add_post("/{who:portal|on-call}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"


def _overhear(broker: Broker, published: list[tuple[str, Envelope]]) -> None:
    publish = broker.publish

    async def and_keep(queue: str, envelope: Envelope, *, delay_ms: int = 0) -> None:
        published.append((queue, envelope))
        await publish(queue, envelope, delay_ms=delay_ms)

    broker.publish = and_keep  # type: ignore[method-assign]
