"""/v1/alarms: those that nobody acknowledged, acknowledging one, and opening the urgent message that it is about."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from messaging_service.application.break_glass import Opened
from messaging_service.application.escalate import StoredAlarm
from messaging_service.domain.roles import Scope
from messaging_service.gateway.account import answer
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, id_in_path, require
from messaging_service.gateway.messages import instant

_SHOWN = 200


class Opening(msgspec.Struct, forbid_unknown_fields=True):
    """The body: why the message must be opened outside the EPD."""

    reason: Annotated[str, Meta(pattern=r"\S", min_length=5, max_length=500)]


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    router.add_get("/v1/alarms", get_alarms)
    router.add_post("/v1/alarms/{id}/acknowledgement", post_acknowledgement)
    router.add_post("/v1/alarms/{id}/opening", open_alarm)


async def get_alarms(request: web.Request) -> web.Response:
    """The oldest alarms that nobody acknowledged."""
    staff = await require(request, Scope.ACKNOWLEDGE_ALARMS)
    found = await request.app[CONTEXT].alarms.open(staff.tenant.id, _SHOWN)
    return answer({"alarms": [_alarm_json(alarm) for alarm in found]})


async def post_acknowledgement(request: web.Request) -> web.Response:
    """Somebody has the alarm in hand: it climbs no further. Doing it twice changes nothing."""
    staff = await require(request, Scope.ACKNOWLEDGE_ALARMS)
    context = request.app[CONTEXT]
    by = context.administer.by(staff)
    return answer(_alarm_json(await context.alarms.acknowledge(staff.tenant.id, id_in_path(request), by)))


async def open_alarm(request: web.Request) -> web.Response:
    """The one message, and whose it is, so that they can be called."""
    staff = await require(request, Scope.OPEN_ALARMS)
    id = id_in_path(request)
    opening = await read_body(request, Opening)
    opened = await request.app[CONTEXT].break_glass(staff, id, opening.reason)
    return web.Response(
        body=msgspec.json.encode(_opened_json(opened)),
        headers={"Cache-Control": "no-store"},
        content_type="application/json",
    )


def _alarm_json(alarm: StoredAlarm) -> dict[str, Any]:
    return {
        "thread": alarm.id,
        "message": alarm.messages[0],
        "messages": alarm.counted,
        "state": alarm.state,
        "raised_at": instant(alarm.raised_at),
        "rungs_told": alarm.climbed,
        **({"acknowledged_at": instant(alarm.acknowledged_at)} if alarm.acknowledged_at else {}),
    }


def _opened_json(opened: Opened) -> dict[str, Any]:
    submission = opened.submission
    return {
        "id": opened.id,
        "thread": opened.thread,
        "status": opened.state or "refused",
        "accepted_at": instant(opened.accepted_at),
        "patient": {
            "name": submission.patient_name,
            "numbers": [{"system": one.system, "value": one.value} for one in submission.identifiers],
        },
        "written_by": submission.author.role,
        "writer": submission.author.name,
        "topics": submission.triage.topics,
        "subject": submission.content.subject,
        "body": submission.content.clean,
        "format": submission.content.clean_format,
        "language": submission.content.language,
    }
