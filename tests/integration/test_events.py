"""The event stream over HTTP: who may open it, what comes, and that nobody misses anything."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import aiohttp
import pytest

from messaging_service.application.threads import StoredThread
from messaging_service.bootstrap.telling import make_event_tickets, make_feed
from messaging_service.domain.message import Identifier
from messaging_service.gateway import events
from tests.contract.description import HttpDescription
from tests.contract.http_service import ALONE, SHORT, HttpService, http_service, until
from tests.parts.event_stream import EventStream, event_stream

DESCRIPTION = HttpDescription()
SITE = "https://portal.spijkenisse.example"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """Everything in one process; a heartbeat comes twice a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "HEARTBEAT_SECONDS", 0.5)
        with http_service(tmp_path_factory.mktemp("events"), stream_seconds=60.0) as started:
            yield started


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client without a bound on connections."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


def somebody(service: HttpService) -> str:
    """The token of a patient whom nobody else uses."""
    return service.token(secrets.token_hex(6))


def post(service: HttpService, token: str, **members: Any) -> str:
    """The id of a message that was filed, and told: the portal's webhook comes after the feed."""
    id = str(service.post({**SHORT, **members}, token=token).json["id"])
    service.filed(id, token=token)
    until(lambda: any(path == "/portal" and id.encode() in body for path, _, body in service.webhooks))
    return id


async def ready(stream: EventStream) -> None:
    """The first event of a stream that begins at the end of the feed."""
    assert await stream.next() == ("ready", {})


async def test_what_happens_comes_as_it_happens(service: HttpService, http: aiohttp.ClientSession) -> None:
    """Filed: the event names message and thread and says when, and nothing of what was written or found in it."""
    token = somebody(service)
    async with event_stream(http, service.url, token=token) as stream:
        await ready(stream)
        assert 1_000 <= stream.retry <= 5_000
        id = await asyncio.to_thread(post, service, token, body=ALONE["suicidality"])
        came: list[str] = []
        while "message.filed" not in came:  # an urgent message is escalated as well, before or after
            kind, data = await stream.next() or ("", {})
            came.append(kind)
            assert (data.pop("at")[:2], data) == ("20", {"message": id, "thread": id})


async def test_whoever_was_away_misses_nothing(service: HttpService, http: aiohttp.ClientSession) -> None:
    """With the last id seen the stream goes on after it, in order; without, it begins at the end."""
    token = somebody(service)
    async with event_stream(http, service.url, token=token) as stream:
        await ready(stream)
        before = stream.last_id
    ids = [await asyncio.to_thread(post, service, token) for _ in range(3)]
    async with event_stream(http, service.url, token=token, last=before) as stream:
        await ready(stream)
        came = [await stream.next() for _ in ids]
        middle = stream.last_id
        assert [event and event[1]["message"] for event in came] == ids
    more = await asyncio.to_thread(post, service, token)
    async with event_stream(http, service.url, token=token, last_event_id=middle) as stream:
        await ready(stream)
        assert (await stream.next() or ("", {}))[1]["message"] == more
    async with event_stream(http, service.url, token=token) as stream:
        await ready(stream)
        with pytest.raises(TimeoutError):
            await stream.next(patience=1.2)
        assert stream.comments >= 1


async def test_an_id_of_another_feed_is_no_place_in_this_one(service: HttpService, http: aiohttp.ClientSession) -> None:
    """An id that was forgotten, or is somebody else's, is answered with `reset`: read the list again."""
    mine, others = somebody(service), somebody(service)
    async with event_stream(http, service.url, token=mine) as stream:
        await ready(stream)
        await asyncio.to_thread(post, service, mine)
        await stream.next()
        for last in (stream.last_id, "0" * 26):
            async with event_stream(http, service.url, token=others, last=last) as other:
                assert await other.next() == ("reset", {})


async def test_a_ticket_is_good_once(service: HttpService, http: aiohttp.ClientSession) -> None:
    """A browser opens with a ticket instead of a token; a second time, or made up, it opens nothing."""
    token = somebody(service)
    ticket = service.send("POST", "/v1/event-tickets", token=token).json["ticket"]
    async with event_stream(http, service.url, ticket=ticket) as stream:
        await ready(stream)
        id = await asyncio.to_thread(post, service, token)
        assert (await stream.next() or ("", {}))[1]["message"] == id
    for bad in (ticket, "x" * 43, "", "é" * 43):
        async with http.get(f"{service.url}/v1/events", params={"ticket": bad}) as answer:
            assert answer.status == 401, bad


async def test_a_ticket_is_good_for_a_minute(service: HttpService) -> None:
    """A minute after it was made it opens nothing."""
    token = somebody(service)
    ticket = service.send("POST", "/v1/event-tickets", token=token).json["ticket"]
    tickets = make_event_tickets(service.parts)
    late = service.parts.clock() + 60_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tickets, "_clock", lambda: late)
        with pytest.raises(Exception, match="older than a minute"):
            service.run(tickets.redeem(ticket))


async def test_two_who_use_one_ticket_at_once(service: HttpService, http: aiohttp.ClientSession) -> None:
    """One of them gets the stream."""
    ticket = service.send("POST", "/v1/event-tickets", token=somebody(service)).json["ticket"]

    async def status() -> int:
        async with http.get(f"{service.url}/v1/events", params={"ticket": ticket}) as answer:
            return answer.status

    assert sorted(await asyncio.gather(*(status() for _ in range(4)))) == [200, 401, 401, 401]


async def test_a_place_made_up_by_hand(service: HttpService, http: aiohttp.ClientSession) -> None:
    """What cannot be an id of an event is 400."""
    headers = {"Authorization": f"Bearer {somebody(service)}"}
    for last in ("1", "A" * 26, "0" * 27, "' or 1=1"):
        async with http.get(f"{service.url}/v1/events", params={"last_event_id": last}, headers=headers) as answer:
            assert answer.status == 400, last


async def test_a_patient_has_so_many_streams(service: HttpService, http: aiohttp.ClientSession) -> None:
    """One more is refused; when one of them ends there is room again."""
    token = somebody(service)
    open = [event_stream(http, service.url, token=token) for _ in range(events.STREAMS_A_PATIENT)]
    streams = [await stream.__aenter__() for stream in open]
    for stream in streams:
        await ready(stream)
    headers = {"Authorization": f"Bearer {token}"}
    async with http.get(f"{service.url}/v1/events", headers=headers) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "30")
    await open[0].__aexit__(None, None, None)
    async with asyncio.timeout(10):
        while True:
            async with http.get(f"{service.url}/v1/events", headers=headers) as answer:
                if answer.status == 200:
                    break
    for stream in open[1:]:
        await stream.__aexit__(None, None, None)


async def test_a_blocked_account_hears_no_more(service: HttpService, http: aiohttp.ClientSession) -> None:
    """A block ends the streams that are open, at the next heartbeat at the latest."""
    number = secrets.token_hex(6)
    token = service.token(number)
    await asyncio.to_thread(post, service, token)
    async with event_stream(http, service.url, token=token) as stream:
        await ready(stream)
        assert service.send("POST", "/v1/account/misuse-reports", token=token).status == 200
        assert await stream.next() is None
    async with http.get(f"{service.url}/v1/events", headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 403


def test_a_client_that_never_reads_is_cut_off(service: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it does not read is kept for it nowhere: it is hung up on."""
    monkeypatch.setattr(events, "_WRITE_SECONDS", 0.3)
    token, kind, many = somebody(service), "x" * 200_000, 100
    id = post(service, token)
    thread = service.run(service.parts.threads.thread(id))
    assert thread is not None
    service.run(fill_feed(service, thread, kind, many))
    request = f"GET /v1/events?last_event_id=start HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    monkeypatch.setattr(events, "STREAMS_A_PATIENT", 1)
    with socket.create_connection(("127.0.0.1", service.port), timeout=15) as deaf:
        deaf.sendall(request.encode())
        until(lambda: b"event: ready" in deaf.recv(65_536, socket.MSG_PEEK))
        until(lambda: service.raw(request.encode(), b"\r\n").startswith(b"HTTP/1.1 200"))
        heard = 0
        with suppress(ConnectionError):
            while more := deaf.recv(65_536):
                heard += len(more)
    assert heard < many * len(kind) / 2


async def fill_feed(service: HttpService, thread: StoredThread, kind: str, many: int) -> None:
    """Events in the feed of the thread's patient."""
    feed = make_feed(service.parts)
    about = {"tenant": thread.tenant, "type": kind, "message": thread.id, "thread": thread.id}
    for number in range(many):
        await feed.add(thread.patient, str(number), **about, at=0, now=0)


async def test_a_page_of_the_hospital_may_ask(service: HttpService, http: aiohttp.ClientSession) -> None:
    """CORS: the hospital's own site may, before and with the token; another's may not, nor the other hospital's."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with http.options(f"{service.url}/v1/messages", headers={"Origin": SITE, **asked}) as answer:
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, SITE)
        assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
    token = somebody(service)
    for origin, allowed in ((SITE, SITE), ("https://portal.sein.example", None), ("https://evil.example", None)):
        headers = {"Origin": origin, "Authorization": f"Bearer {token}"}
        for path in ("/v1/threads", "/v1/messages/nothing", "/v1/events"):
            async with http.get(f"{service.url}{path}", headers=headers) as answer:
                assert answer.headers.get("Access-Control-Allow-Origin") == allowed, (origin, path)
                assert answer.headers["Vary"] == "Origin"
    async with http.options(
        f"{service.url}/v1/messages", headers={"Origin": "https://evil.example", **asked}
    ) as answer:
        assert answer.status == 405


async def test_who_leaves_is_noticed_at_once(service: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that is loaded again and again does not use up its patient's streams until the next heartbeat."""
    monkeypatch.setattr(events, "STREAMS_A_PATIENT", 1)
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 1_000.0)
    token = somebody(service)

    def opens() -> bool:
        request = f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        return service.raw(request.encode(), until=b"\r\n").startswith(b"HTTP/1.1 200")

    for _ in range(3):
        await asyncio.to_thread(until, opens)


async def test_who_is_blocked_is_told_nothing_more(service: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is open ends before the next event, not only at a heartbeat (terms article 2.6)."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 1_000.0)
    number, parts = secrets.token_hex(6), service.parts
    token = service.token(number)
    id = await asyncio.to_thread(post, service, token)
    async with aiohttp.ClientSession() as http, event_stream(http, service.url, token=token) as stream:
        await ready(stream)
        await asyncio.to_thread(service.send, "POST", "/v1/account/misuse-reports", token=token)
        patient = await asyncio.to_thread(
            service.run, parts.patients.find("spijkenisse", (Identifier("local", number),))
        )
        names = {"tenant": "spijkenisse", "type": "message.filed", "message": id, "thread": id}
        told = make_feed(parts).add(str(patient), "x", **names, at=1, now=parts.clock())
        await asyncio.to_thread(service.run, told)
        assert await stream.next() is None
