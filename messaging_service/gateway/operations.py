"""/v1/ops: what operations see. How it does now and did in a day, the messages behind a number, a message's journey."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import web

from messaging_service.application.behind import Asked, Behind, Number
from messaging_service.application.callers import Staff
from messaging_service.application.journey import Journey
from messaging_service.application.mend import Operator
from messaging_service.application.overview import QueueNow, View
from messaging_service.application.processes import SeenProcess
from messaging_service.application.samples import Day
from messaging_service.application.topology import SHARED_QUEUES, queues_of, step_of
from messaging_service.domain.errors import ServerFault
from messaging_service.domain.message import Lane, Step
from messaging_service.domain.refusals import Malformed
from messaging_service.domain.roles import Scope
from messaging_service.gateway.account import answer
from messaging_service.gateway.context import CONTEXT, id_in_path, require
from messaging_service.gateway.messages import instant

STREAM_SECONDS = 55.0
"""How long one answer of the event stream lasts; whoever still looks asks again, with a token that still holds."""

_STOPPING = web.AppKey("operations_stopping", asyncio.Event)
_BETWEEN_SECONDS = 2.0
_SHOWN = 200
_NARROWED = {"lane": Lane, "step": Step}
_CURSOR = re.compile(r"[0-9]{15}(\.[!-~]{1,80})?")


def add_routes(app: web.Application) -> None:
    """The routes of this resource."""

    async def stop(app: web.Application) -> None:
        app[_STOPPING].set()

    app[_STOPPING] = asyncio.Event()
    app.on_shutdown.append(stop)
    router = app.router
    router.add_get("/v1/ops/overview", get_overview)
    router.add_get("/v1/ops/events", get_events, allow_head=False)
    router.add_get("/v1/ops/day", get_day)
    router.add_get("/v1/ops/messages", get_messages)
    router.add_get("/v1/ops/messages/{id}", get_journey)


async def get_overview(request: web.Request) -> web.Response:
    """How the service does now, for the tenant of who asks."""
    staff = await require(request, Scope.READ_OPERATIONS)
    return answer(_overview_json(await request.app[CONTEXT].operations.overview(staff.tenant.id), staff))


async def get_events(request: web.Request) -> web.StreamResponse:
    """The same again and again, as server-sent events, for as long as one answer lasts."""
    staff = await require(request, Scope.READ_OPERATIONS)
    overview = request.app[CONTEXT].operations.overview
    view = await overview(staff.tenant.id)  # a fault is a problem as long as nothing was sent
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    ends = asyncio.get_running_loop().time() + STREAM_SECONDS
    with suppress(ConnectionError, ServerFault):  # whoever still looks asks again, and is then answered with the fault
        while await _sent(response, _overview_json(view, staff)) and await _pause(request.app, ends):
            view = await overview(staff.tenant.id)
    return response


async def _sent(response: web.StreamResponse, members: dict[str, Any]) -> bool:
    await response.write(b"event: overview\ndata: " + msgspec.json.encode(members) + b"\n\n")
    return True


async def _pause(app: web.Application, ends: float) -> bool:
    """Whether the stream goes on after a pause: not when its time is over or the gateway stops."""
    left = ends - asyncio.get_running_loop().time()
    if left <= 0:
        return False
    with suppress(TimeoutError):
        await asyncio.wait_for(app[_STOPPING].wait(), min(left, _BETWEEN_SECONDS))
    return not app[_STOPPING].is_set()


async def get_day(request: web.Request) -> web.Response:
    """The last 24 hours of every queue."""
    staff = await require(request, Scope.READ_OPERATIONS)
    return answer(_day_json(await request.app[CONTEXT].operations.samples.day(staff.tenant.id)))


async def get_messages(request: web.Request) -> web.Response:
    """The messages behind a number; `next` of one answer is `after` of the next request."""
    staff = await require(request, Scope.READ_OPERATIONS)
    number, after = _one_of(request, "stage", Number), request.query.get("after", "")
    if after and not _CURSOR.fullmatch(after):
        raise Malformed("after is the `next` of an earlier answer")
    lane, step = (_one_of(request, name, kind) if name in request.query else None for name, kind in _NARROWED.items())
    asked = Asked(Number(number), staff.tenant.id, Lane(lane) if lane else None, Step(step) if step else None, after)
    found, last = await request.app[CONTEXT].operations.behind(asked, _SHOWN)
    members: dict[str, Any] = {"messages": [_behind_json(one) for one in found]}
    if last:
        members["next"] = last
    return answer(members)


async def get_journey(request: web.Request) -> web.Response:
    """One message's journey; that it was looked at is written down."""
    staff = await require(request, Scope.READ_OPERATIONS)
    by = operator(request, staff)
    return answer(_journey_json(await request.app[CONTEXT].operations.journeys(id_in_path(request), by)))


def operator(request: web.Request, staff: Staff) -> Operator:
    """Who looks or mends, as the access log names them."""
    return Operator(request.app[CONTEXT].administer.by(staff), staff.tenant.id)


def _one_of(request: web.Request, name: str, allowed: Any) -> str:
    given = request.query.getall(name, [])
    values = [str(one) for one in allowed]
    if len(given) != 1 or given[0] not in values:
        raise Malformed(f"{name} must be one of {', '.join(values)}")
    return given[0]


def _overview_json(view: View, staff: Staff) -> dict[str, Any]:
    own = {*SHARED_QUEUES, *queues_of(view.tenant)}
    members: dict[str, Any] = {
        "at": instant(view.at),
        "tenant": view.tenant,
        "name": staff.tenant.name,
        "queues": [_queue_json(queue) for queue in view.queues],
        "down": list(view.down),
        "processes": [_process_json(process, view.tenant, own) for process in view.processes],
        "parked": [
            {"step": kind.step, "reason": kind.reason, "count": kind.count, "oldest_at": instant(kind.oldest_at)}
            for kind in view.parked
        ],
        "alarms": {
            "open": view.open_alarms,
            "oldest": [
                {"message": alarm.messages[0], "raised_at": instant(alarm.raised_at), "messages": alarm.counted}
                for alarm in view.alarms
            ],
        },
    }
    members["reply_dates"] = {
        "passed": view.open_overdue,
        "oldest": [{"message": one.id, "reply_by": one.reply_by, "care_team": one.care_team} for one in view.overdue],
    }
    if view.ledger is not None:
        members["ledger"] = {
            "at": instant(view.ledger.at),
            "ok": view.ledger.ok,
            "counts": view.ledger.counts,
            "findings": view.ledger.findings,
        }
    return members


def _queue_json(queue: QueueNow) -> dict[str, Any]:
    step, lane = step_of(queue.queue), queue.queue.rpartition(".")[2]
    members: dict[str, Any] = {
        "queue": queue.queue,
        "step": step,
        "shared": queue.shared,
        "consumers": queue.consumers,
        "put_a_minute": queue.put_a_minute,
        "done_a_minute": queue.done_a_minute,
    }
    if lane in list(Lane):
        members["lane"] = lane
    if queue.depth is not None:
        members["depth"] = queue.depth
    if queue.oldest_ms is not None:
        members["oldest_seconds"] = max(0, queue.oldest_ms // 1000)
    return members


def _process_json(process: SeenProcess, tenant: str, own: set[str]) -> dict[str, Any]:
    members: dict[str, Any] = {
        "name": process.name,
        "started_at": instant(process.started_at),
        "seen_at": instant(process.seen_at),
        "circuits": [queue for queue in process.circuits if queue in own],
    }
    if tenant in process.connections:
        open_now, most = process.connections[tenant]
        members["epd_connections"] = {"open": open_now, "most": most}
    return members


def _day_json(day: Day) -> dict[str, Any]:
    return {
        "begins_at": instant(day.begins_at),
        "minutes": day.minutes,
        "queues": [
            {
                "queue": one.queue,
                "depth": one.depth,
                "oldest_seconds": one.oldest,
                "put": one.put,
                "done": one.done,
                "failed": one.failed,
            }
            for one in day.series
        ],
    }


def _behind_json(one: Behind) -> dict[str, Any]:
    members = {"lane": one.lane, "step": one.step, "about": one.about, "at": instant(one.at) if one.at else ""}
    return {
        "id": one.message,
        "state": one.state,
        "attempts": one.attempts,
        **{name: value for name, value in members.items() if value},
    }


def _journey_json(journey: Journey) -> dict[str, Any]:
    members = {
        "id": journey.message,
        "thread": journey.thread,
        "kind": journey.kind,
        "lane": journey.lane,
        "state": journey.state,
        "care_team": journey.care_team,
        "routed_by": journey.routed_by,
    }
    return {
        **{name: value for name, value in members.items() if value},
        "moments": [
            {"at": instant(one.at), "what": one.what, "document": one.document, "facts": one.facts}
            for one in journey.moments
        ],
        "parked": [one.id for one in journey.parked if one.state == "parked"],
    }
