"""The client for portals, on the running service and on peers that fail; and the guide's examples as they stand."""

from __future__ import annotations

import ast
import asyncio
import base64
import inspect
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from messaging_service.adapters.portal_webhook import WebhookSecret
from messaging_service.application.callers import Writer
from messaging_service.application.codec import from_document
from messaging_service.application.collections import EMAIL_NOTICES
from messaging_service.application.email_notices import EmailNotice as Wish
from messaging_service.bootstrap.telling import make_email_notices
from messaging_service.client import (
    PROBLEMS,
    CodeWrong,
    NotFound,
    Problem,
    Prohibited,
    Service,
    TermsNotAccepted,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unreachable,
    WebhookInvalid,
    events,
    read_webhook,
)
from messaging_service.client import service as client_service
from messaging_service.gateway import notifications, problems
from messaging_service.gateway.context import authenticate
from messaging_service.tenants import EmailNotice
from tests.contract.http_service import PROHIBITED, URGENT, HttpService, http_service

GUIDE = Path(__file__).parents[2] / "deploy" / "guides" / "portal-builder.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Milliseconds between tries."""
    monkeypatch.setattr(client_service, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(events, "_FIRST_PAUSE", 0.01)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, shared by the tests of this file."""
    with http_service(tmp_path_factory.mktemp("service"), stream_seconds=20) as service:
        yield service


class Peer:
    """A service that answers as told, and keeps the keys and bodies that it was sent."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[str, bytes]] = []
        self.paths: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.headers.get("Idempotency-Key", ""), await request.read()))
        self.paths.append(str(request.rel_url))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer == "hang up":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, members, headers = answer
        return web.json_response(members, status=status, headers=headers)


ACCEPTED = {
    "id": "A" * 26,
    "thread": "A" * 26,
    "status": "accepted",
    "status_url": "/",
    "reply_by": "2026-11-25",
    "reply_by_text": "We streven ernaar …",
    "urgent": False,
    "new": 1,
}


def refusal(kind: str, status: int, **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    notice = {"text": "Bel 112.", "language": "nl", "telephone": ["112"]}
    return status, {"type": f"urn:messaging-service:problem:{kind}", "title": "t", "notice": notice}, headers


@asynccontextmanager
async def peered(peer: Peer, patience: float = 5.0) -> AsyncIterator[Service]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", peer.handle)
    async with (
        TestServer(app, host="127.0.0.1") as server,
        Service(str(server.make_url("")), patience=patience) as client,
    ):
        yield client


async def test_retries_reuse_the_key_and_the_bytes() -> None:
    """A lost connection, 503, a proxy's bare 502: the same message again under one key, until it is taken."""
    peer = Peer("hang up", refusal("unavailable", 503), (502, {}, {}), (202, ACCEPTED, {}))
    async with peered(peer) as service:
        accepted = await service.on_behalf_of("t").send("Vraag", "Tekst")
    assert accepted.id == "A" * 26
    assert len(peer.seen) == 4
    assert len(set(peer.seen)) == 1
    assert peer.seen[0][0]


async def test_two_messages_have_two_keys_and_a_key_of_ones_own_is_kept() -> None:
    """Without a key each call is a message of its own; a given one is sent as it is."""
    peer = Peer((202, ACCEPTED, {}))
    async with peered(peer) as service:
        patient = service.on_behalf_of("t")
        for key in (None, None, "draft-7"):
            await patient.send("Vraag", "Tekst", idempotency_key=key)
    first, second, own = (key for key, _ in peer.seen)
    assert first != second
    assert own == "draft-7"


async def test_no_answer_within_the_patience() -> None:
    """It gives up with the key under which the message can be sent again later."""
    async with Service(f"http://127.0.0.1:{unused_port()}", patience=0.2) as service:
        with pytest.raises(Unreachable) as raised:
            await service.on_behalf_of("t").send("Vraag", "Tekst", idempotency_key="draft-8")
    assert raised.value.idempotency_key == "draft-8"


async def test_what_would_not_help_is_not_tried_again() -> None:
    """A refusal is one request; one that says when to go on, later than the patience, is raised at once as well."""
    for answer, kind in (
        (refusal("prohibited", 422), Prohibited),
        (refusal("too-many", 429, **{"Retry-After": "600"}), TooMany),
        (refusal("something-new", 418), Problem),
    ):
        peer = Peer(answer)
        async with peered(peer) as service:
            with pytest.raises(kind) as raised:
                await service.on_behalf_of("t").send("Vraag", "Tekst")
        assert len(peer.seen) == 1
        assert raised.value.notice is not None
        assert "112" in raised.value.notice.text


async def test_a_redirect_is_not_followed() -> None:
    """The token goes to the service and nowhere else."""
    peer = Peer((307, {}, {"Location": "https://elsewhere.example/"}))
    async with peered(peer) as service:
        with pytest.raises(Problem) as raised:
            await service.on_behalf_of("t").message("A" * 26)
    assert raised.value.status == 307


async def test_503_to_the_end() -> None:
    """Still not now when the patience is over: Unavailable, with its notice."""
    async with peered(Peer(refusal("unavailable", 503)), patience=0.5) as service:
        with pytest.raises(Unavailable):
            await service.on_behalf_of("t").send("Vraag", "Tekst")


def test_https_is_wanted() -> None:
    """Only this machine may be asked in the clear."""
    with pytest.raises(ValueError, match="https"):
        Service("http://messages.hospital.example")


async def test_a_conversation(running: HttpService) -> None:
    """Sent, read back as message and thread, listed, exported in both forms, all with a token that is fetched."""

    async def token() -> str:
        return running.token("client-1")

    async with Service(running.url) as service:
        patient = service.on_behalf_of(token)
        assert "112" in (await patient.compose_notice("en")).text
        accepted = await patient.send("Vraag", "Mag ik sporten?", language="en")
        assert accepted.reply_by_text.startswith("We aim to answer you by")
        await asyncio.to_thread(running.filed, accepted.id, token=running.token("client-1"))
        message = await patient.message(accepted.id)
        assert (message.status, message.body, message.reply_status) == ("filed", "Mag ik sporten?", "awaited")
        assert "sporten" not in repr(message)
        assert [thread.id async for thread in patient.threads()] == [accepted.thread]
        await patient.set_private(accepted.thread, True)
        assert (await patient.thread(accepted.thread)).private is True
        exported = json.loads(b"".join([piece async for piece in patient.export_json()]))
        assert exported["threads"][0]["messages"][0]["body"] == "Mag ik sporten?"
        (printed,) = [part async for part in patient.export_pdf("en")]
        assert printed.startswith(b"%PDF")


async def test_threads_come_page_by_page() -> None:
    """The next page is asked for with the `next` of the one before, until there is none."""
    pages = [{"threads": [{"id": name, "status": "open", "messages": []}]} for name in ("one", "two")]
    peer = Peer((200, {**pages[0], "next": "after/one"}, {}), (200, pages[1], {}))
    async with peered(peer) as service:
        assert [thread.id async for thread in service.on_behalf_of("t").threads()] == ["one", "two"]
    assert peer.paths == ["/v1/threads", "/v1/threads?after=after/one"]


async def test_what_is_done_with_a_thread(running: HttpService) -> None:
    """Read so far, closed, found by subject and status and day, opened again; events tell of both changes."""
    token, told = running.token("client-thread"), []
    async with Service(running.url) as service:
        patient = service.on_behalf_of(token)
        accepted = await patient.send("Over de pleister", "Mag ik sporten?")
        await asyncio.to_thread(running.filed, accepted.id, token=token)
        following = patient.events()
        assert (await anext(following)).type == "ready"
        assert [message.id async for message in patient.messages(accepted.thread)] == [accepted.id]
        assert await patient.read(accepted.thread, accepted.id) == 0
        closed = await patient.close(accepted.thread)
        assert (closed.status, closed.closed_by) == ("closed", "patient")
        found = [thread async for thread in patient.threads(subject="pleister", status="closed")]
        assert [(thread.id, thread.unread, thread.closed_by) for thread in found] == [(accepted.thread, 0, "patient")]
        assert [thread async for thread in patient.threads(status="open")] == []
        assert [thread async for thread in patient.threads(opened_until=date(2020, 1, 1))] == []
        assert (await patient.reopen(accepted.thread)).status == "open"
        async with asyncio.timeout(20):
            while not {"thread.closed", "thread.reopened"} <= set(told):
                told.append((await anext(following)).type)
        assert {one.treats for one in await patient.recipients()} <= {True, False}


async def test_asking_for_e_mail(running: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for, a wrong code, the right one, and stopped; asking is sent once, so that no second letter goes out."""

    async def at_a_hospital_that_sends_it(request: web.Request) -> Writer:
        writer = await authenticate(request)
        return replace(writer, tenant=msgspec.structs.replace(writer.tenant, email_notice=EmailNotice()))

    monkeypatch.setattr(notifications, "authenticate", at_a_hospital_that_sends_it)
    async with Service(running.url) as service:
        patient = service.on_behalf_of(running.token("client-mail"))
        asked = await patient.notify_at("a.jansen@mail.example", "en")
        assert (asked.offered, asked.state, asked.language) == (True, "unconfirmed", "en")
        assert "jansen" not in repr(asked)
        code = await asyncio.to_thread(running.run, code_owed(running))
        with pytest.raises(CodeWrong):
            await patient.confirm("00000000" if code != "00000000" else "11111111")
        assert (await patient.confirm(code)).state == "confirmed"
        for _ in range(4):
            await patient.notify_at("b.jansen@mail.example")
        with pytest.raises(TooMany):
            await patient.notify_at("c.jansen@mail.example")
        await patient.notify_no_more()
        assert (await patient.notifications()).state == "off"
    peer = Peer(refusal("unavailable", 503))
    async with peered(peer) as service:
        with pytest.raises(Unavailable):
            await service.on_behalf_of("t").notify_at("a.jansen@mail.example")
    assert len(peer.seen) == 1


async def code_owed(running: HttpService) -> str:
    """The code in the one letter that is owed."""
    (found,) = await running.parts.store.find(EMAIL_NOTICES, "by_due", {"tenant": "spijkenisse"}, above=0)
    return (await make_email_notices(running.parts).opened(from_document(found, Wish))).code


async def test_refusals_as_types(running: HttpService) -> None:
    """No token, somebody else's message, prohibited text with its place, and the notice of an urgent one."""
    async with Service(running.url, patience=1) as service:
        with pytest.raises(Unauthenticated):
            await service.on_behalf_of("none").message("A" * 26)
        patient = service.on_behalf_of(running.token("client-3"))
        with pytest.raises(NotFound):
            await patient.thread("A" * 26)
        with pytest.raises(Prohibited) as raised:
            await patient.send("Vraag", f"Een {PROHIBITED}.")
        assert (raised.value.span.field, raised.value.span.start) == ("body", 4)
        urgent = await patient.send("Vraag", URGENT)
        assert urgent.notice is not None
        assert urgent.notice.telephone[0] == "112"


class Streams:
    """An event service whose streams each say what they are told to, and end."""

    def __init__(self, *streams: str | int) -> None:
        self.streams = list(streams)
        self.asked: list[str | None] = []

    async def open(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Last-Event-ID"))
        said = self.streams.pop(0)
        if isinstance(said, int):
            return web.json_response({"type": "urn:messaging-service:problem:unavailable"}, status=said)
        return web.Response(text=said, content_type="text/event-stream")


@asynccontextmanager
async def streaming(streams: Streams) -> AsyncIterator[Service]:
    app = web.Application()
    app.router.add_get("/v1/events", streams.open)
    async with TestServer(app, host="127.0.0.1") as server, Service(str(server.make_url(""))) as service:
        yield service


async def test_events_go_on_where_they_broke_off() -> None:
    """With the last id each time, also after nothing but `ready` or a 503; nothing twice, nothing cut off."""
    told = 'id: f.{0}\nevent: message.filed\ndata: {{"message": "M{0}"}}\n\n'
    ready = "retry: 1\nid: f.{}\nevent: ready\ndata: {{}}\n\n:\n\n"
    streams = Streams(
        ready.format(1),
        503,
        told.format(2) + ":\n\n" + told.format(3) + told.format(4).rstrip(),
        told.format(3) + told.format(4),
        "id: g.0\nevent: reset\ndata: {}\n\n",
    )
    async with streaming(streams) as service:
        listening = service.on_behalf_of("t").events()
        found = [await anext(listening) for _ in range(5)]
    assert [(each.type, each.message) for each in found] == [
        ("ready", ""),
        ("message.filed", "M2"),
        ("message.filed", "M3"),
        ("message.filed", "M4"),
        ("reset", ""),
    ]
    assert streams.asked == [None, "f.1", "f.1", "f.3", "f.4"]


async def test_events_end_when_the_token_does() -> None:
    """Whose token does not hold any more is told so, once and for all."""
    async with peered(Peer(refusal("unauthenticated", 401))) as service:
        with pytest.raises(Unauthenticated):
            await anext(service.on_behalf_of("t").events())


def test_terms_are_asked_for_by_version() -> None:
    """The version to accept stands in the problem."""
    members = {"type": "urn:messaging-service:problem:terms-not-accepted", "terms": {"version": "2018-05"}}
    assert TermsNotAccepted(403, members).version == "2018-05"


def test_webhooks_are_read_by_signature() -> None:
    """As the service signs them, while a secret is replaced too; not another's, not altered, not of ten minutes ago."""
    body = b'{"type":"message.filed","timestamp":1614265330000,"data":{"message":"M","thread":"T","private":true}}'
    signed = WebhookSecret(SECRET, "test").headers("message.filed.M", 1_614_265_330_000, body)
    event = read_webhook(signed, body, [SECRET], now=1_614_265_330)
    assert (event.id, event.type, event.message, event.private) == ("message.filed.M", "message.filed", "M", True)
    other = "whsec_" + base64.b64encode(b"another secret of the hospital").decode()
    assert read_webhook(signed, body, [other, SECRET], now=1_614_265_390) == event
    for headers, given, secrets, now in (
        (signed, body, [other], 1_614_265_330),
        (signed, body + b" ", [SECRET], 1_614_265_330),
        (signed, body, [SECRET], 1_614_265_930),
        ({}, body, [SECRET], 1_614_265_330),
    ):
        with pytest.raises(WebhookInvalid):
            read_webhook(headers, given, secrets, now=now)


def test_every_problem_type_is_in_the_guide() -> None:
    """The table has every type that the gateway answers with, its status, and the client's exception for it."""
    rows = re.findall(r"^\| (`[a-z`, -]+`) \| ([0-9]{3}) \| `(\w+)` \|", GUIDE.read_text("utf-8"), re.MULTILINE)
    said = {name: (int(status), kind) for names, status, kind in rows for name in re.findall(r"[a-z-]+", names)}
    kinds = {*problems._KINDS.values(), problems._METHOD, problems._EXPECTATION, problems._INTERNAL}
    assert said == {kind.name: (kind.status, PROBLEMS.get(kind.name, Problem).__name__) for kind in kinds}


async def test_the_guides_examples(running: HttpService, capsys: pytest.CaptureFixture[str]) -> None:
    """Every Python block of the guide, one after the other, as it stands there."""
    names: dict[str, Any] = {
        "URL": running.url,
        "SECRET": SECRET,
        "token": running.token("guide"),
        "last_seen": None,
        "draft": "draft-of-the-guide",
        "code_from_the_letter": "00000000",
        "prohibited_text": f"Een {PROHIBITED}.",
    }
    blocks = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    for number, block in enumerate(blocks):
        code = compile(block, f"portal-builder.md, block {number}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        done = eval(code, names)
        if inspect.isawaitable(done):
            await done
        if number == 0:
            await asyncio.to_thread(running.filed, names["accepted"].id, token=names["token"])
    printed = capsys.readouterr().out
    assert "We streven ernaar u uiterlijk" in printed
    assert "filed awaited" in printed
    assert names["parts"][0].startswith(b"%PDF")
    assert names["size"] > 500
    assert "told message.filed" in printed
    assert "closed by patient" in printed
    assert "e-mail off" in printed
    body = b'{"type":"reply.received","timestamp":1,"data":{"message":"M","thread":"T"}}'
    now = int(asyncio.get_running_loop().time())
    assert names["on_webhook"]({"webhook-timestamp": str(now)}, body) == 401
