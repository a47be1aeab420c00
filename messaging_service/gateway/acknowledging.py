"""/alarms/{link}: one tap from the notification. A page with one button; only the button acknowledges.

Mail scanners and previews follow links, so that following one changes nothing. No script, no content, no token: the
link says which alarm, and that whoever has it was told.
"""

from __future__ import annotations

import html
from datetime import datetime

from aiohttp import web

from messaging_service.application.alarms import ACKNOWLEDGED
from messaging_service.application.escalate import StoredAlarm
from messaging_service.crypto.alarm_links import LinkInvalid
from messaging_service.domain.refusals import NotFound
from messaging_service.gateway.context import CONTEXT

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_PAGE = """<!doctype html>
<html lang="nl">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Alarm</title><link rel="stylesheet" href="/ops/style.css"></head>
<body><main><section class="login">{body}</section></main></body></html>
"""
_ABOUT = """<h1>Spoedalarm <span lang="en">· Urgent alarm</span></h1>
<dl><dt>{hospital}</dt><dd>{since}</dd><dt>Bericht</dt><dd><code>{message}</code></dd>
<dt>Aantal <span lang="en">/ number</span></dt><dd>{number}</dd></dl>
"""
_BUTTON = """<p>Bevestig dat u dit alarm in behandeling hebt. Het gaat dan niet verder naar de volgende in de rij.</p>
<p lang="en">Acknowledge that you have this alarm in hand. It then goes no further up the chain.</p>
<form method="post"><button class="primary">Bevestigen · <span lang="en">Acknowledge</span></button></form>
"""
_DONE = """<p class="well" role="status">Bevestigd om {at}. Open het bericht in het EPD.</p>
<p lang="en">Acknowledged at {at}. Open the message in the EPD.</p>
"""
_NOTHING = """<h1>Alarm</h1><p class="amiss">Deze link geldt niet of niet meer. Kijk in het EPD.</p>
<p lang="en">This link does not hold, or not any more. Look in the EPD.</p>
"""


def add_routes(router: web.UrlDispatcher) -> None:
    """The page, and its button."""
    router.add_get("/alarms/{link}", get_alarm)
    router.add_post("/alarms/{link}", post_alarm)


async def get_alarm(request: web.Request) -> web.Response:
    """The alarm, and the button unless somebody acknowledged it already."""
    try:
        return _page(request, await request.app[CONTEXT].alarms.of_link(request.match_info["link"]))
    except (LinkInvalid, NotFound):
        return _answer(_NOTHING, 404)


async def post_alarm(request: web.Request) -> web.Response:
    """Acknowledge it."""
    try:
        return _page(request, await request.app[CONTEXT].alarms.acknowledge_by_link(request.match_info["link"]))
    except (LinkInvalid, NotFound):
        return _answer(_NOTHING, 404)


def _page(request: web.Request, alarm: StoredAlarm) -> web.Response:
    tenant = request.app[CONTEXT].tenants[alarm.tenant]

    def at(milliseconds: int) -> str:
        return f"{datetime.fromtimestamp(milliseconds / 1000, tenant.zone):%Y-%m-%d %H:%M}"

    about = _ABOUT.format(
        hospital=html.escape(tenant.name),
        since=at(alarm.raised_at),
        message=html.escape(alarm.messages[0]),
        number=alarm.counted,
    )
    done = alarm.state == ACKNOWLEDGED
    return _answer(about + (_DONE.format(at=at(alarm.acknowledged_at)) if done else _BUTTON), 200)


def _answer(body: str, status: int) -> web.Response:
    text = _PAGE.format(body=body)
    return web.Response(text=text, status=status, headers=_HEADERS, content_type="text/html")
