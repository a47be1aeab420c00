"""POST /v1/event-tickets and GET /v1/events: what happens to one's messages, as it happens, as server-sent events."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections import Counter
from contextlib import suppress

import msgspec
from aiohttp import web

from messaging_service.application.accounts import Entry
from messaging_service.application.callers import Writer
from messaging_service.application.feed import FeedEvent
from messaging_service.application.follow import Place
from messaging_service.domain.errors import ServerFault
from messaging_service.domain.refusals import Malformed, Refusal, TooMany
from messaging_service.gateway.account import answer
from messaging_service.gateway.connection import when_lost
from messaging_service.gateway.context import CONTEXT, TENANT, authenticate
from messaging_service.gateway.messages import instant

STREAM_SECONDS = 3_600.0
"""How long one stream lasts at most; its reader then asks again, with a login that still holds."""
HEARTBEAT_SECONDS = 20.0
"""So often a comment is sent, the account looked at, and the feed even without a sign."""
STREAMS_A_PATIENT = 8
STREAMS_A_GATEWAY = 10_000

_WRITE_SECONDS = 10.0
_UNSENT_BYTES = 16_384
_RETRY_MS = (1_000, 5_000)
"""Told to each client at random in between, so that they do not all come back at once."""
_LAST_ID = re.compile(r"start|[0-9a-f]{26}")
_STOPPING = web.AppKey("events_stopping", asyncio.Event)
_STREAMS = web.AppKey("event_streams", Counter[str])


def add_routes(app: web.Application) -> None:
    """The routes of this resource, and what follows the feeds for all its streams."""
    app[_STOPPING], app[_STREAMS] = asyncio.Event(), Counter()

    async def follow(app: web.Application) -> None:
        app[_FOLLOWING] = asyncio.create_task(app[CONTEXT].signs.keep(app[_STOPPING]))

    async def stop(app: web.Application) -> None:
        app[_STOPPING].set()
        await app[_FOLLOWING]

    app.on_startup.append(follow)
    app.on_shutdown.append(stop)
    app.router.add_post("/v1/event-tickets", post_ticket)
    app.router.add_get("/v1/events", get_events, allow_head=False)


_FOLLOWING = web.AppKey("events_following", asyncio.Task[None])


async def post_ticket(request: web.Request) -> web.Response:
    """A ticket that opens one stream within a minute, for browsers, whose EventSource sends no Authorization header."""
    writer = await authenticate(request)
    await request.app[CONTEXT].follow.enter(writer)
    ticket, until = await request.app[CONTEXT].event_tickets.issue(writer)
    return answer({"ticket": ticket, "good_until": instant(until)}, 201)


async def get_events(request: web.Request) -> web.StreamResponse:
    """The stream: `ready`, then each event with its id; a comment as heartbeat."""
    writer = await _reader(request)
    follow = request.app[CONTEXT].follow
    entry = await follow.enter(writer)
    place = await follow.begin(writer, entry, _last_id(request))
    with _Counted(request.app[_STREAMS], entry.patient or writer.author.subject):
        return await _stream(request, writer, entry, place)


async def _reader(request: web.Request) -> Writer:
    ticket = request.query.get("ticket")
    if ticket is None:
        return await authenticate(request)
    writer = await request.app[CONTEXT].event_tickets.redeem(ticket)
    request[TENANT] = writer.tenant
    return writer


def _last_id(request: web.Request) -> str | None:
    """The browser's own header when it connects again by itself; else the query, for a new EventSource."""
    given = request.headers.get("Last-Event-ID") or request.query.get("last_event_id")
    if given is not None and not _LAST_ID.fullmatch(given):
        raise Malformed("Last-Event-ID must be the id of an event")
    return given


class _Counted:
    """Counts a stream while it lasts. Raises TooMany where a patient or this gateway has as many as it may."""

    def __init__(self, streams: Counter[str], patient: str) -> None:
        self._streams = streams
        self._patient = patient

    def __enter__(self) -> None:
        if self._streams[self._patient] >= STREAMS_A_PATIENT or self._streams.total() >= STREAMS_A_GATEWAY:
            raise TooMany(30)
        self._streams[self._patient] += 1

    def __exit__(self, *_: object) -> None:
        self._streams[self._patient] -= 1
        if not self._streams[self._patient]:
            del self._streams[self._patient]


async def _stream(request: web.Request, writer: Writer, entry: Entry, place: Place) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    if request.transport is not None:
        request.transport.set_write_buffer_limits(high=_UNSENT_BYTES)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT_BYTES)
    signs, ends = request.app[CONTEXT].signs, asyncio.get_running_loop().time() + STREAM_SECONDS
    sign = signs.await_for(entry.patient)
    when_lost(request, sign.set)
    try:
        await _write(response, _opening(place))
        with suppress(ServerFault, Refusal):  # whoever comes back is then answered with what it is
            while True:
                place = await _send_new(request, response, entry, place)
                signed = await _signed(request.app, sign, ends)
                if not _goes_on(request, ends):
                    break
                if not signed:
                    await _write(response, b": here\n\n")
                entry = await request.app[CONTEXT].follow.enter(writer)  # blocked meanwhile: nothing more is told
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()  # it does not read: nothing is kept for it
    finally:
        signs.leave(entry.patient, sign)
    return response


def _goes_on(request: web.Request, ends: float) -> bool:
    """Whether the reader is there, the gateway runs on and the stream's time is not over."""
    stopping, now = request.app[_STOPPING].is_set(), asyncio.get_running_loop().time()
    return request.transport is not None and not stopping and now < ends


async def _send_new(request: web.Request, response: web.StreamResponse, entry: Entry, place: Place) -> Place:
    while True:
        place, events, more = await request.app[CONTEXT].follow.after(entry, place)
        if events:
            await _write(response, b"".join(map(_event, events)))
        if not more:
            return place


async def _signed(app: web.Application, sign: asyncio.Event, ends: float) -> bool:
    """Whether there was a sign before the next heartbeat."""
    left = min(HEARTBEAT_SECONDS, max(0.0, ends - asyncio.get_running_loop().time()))
    waiting = {asyncio.ensure_future(sign.wait()), asyncio.ensure_future(app[_STOPPING].wait())}
    done, undone = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
    for task in undone:
        task.cancel()
    sign.clear()
    return bool(done)


async def _write(response: web.StreamResponse, data: bytes) -> None:
    """Raises TimeoutError when the other side does not read."""
    async with asyncio.timeout(_WRITE_SECONDS):
        await response.write(data)


def _opening(place: Place) -> bytes:
    retry = random.randint(*_RETRY_MS)  # noqa: S311 - spreads load, keeps no secret
    name = "reset" if place.reset else "ready"
    return f"retry: {retry}\nid: {place.id}\nevent: {name}\ndata: {{}}\n\n".encode()


def _event(event: FeedEvent) -> bytes:
    data = msgspec.json.encode({"message": event.message, "thread": event.thread, "at": instant(event.at)})
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (event.id.encode(), event.type.encode(), data)
