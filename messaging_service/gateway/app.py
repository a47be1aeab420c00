"""The gateway's routes and the one place where an error becomes an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from messaging_service.application.submit import AfterReading
from messaging_service.domain.refusals import TooMany
from messaging_service.gateway import (
    access_log,
    account,
    accounts,
    acknowledging,
    alarms,
    care_team_threads,
    events,
    export,
    handling,
    health,
    logins,
    mending,
    messages,
    notices,
    notifications,
    operations,
    ops_page,
    personal_data,
    recipients,
    terms,
    threads,
)
from messaging_service.gateway.context import CONTEXT, LEFT, TENANT, Context, language_of
from messaging_service.gateway.origins import Origins
from messaging_service.gateway.problems import kind_of, problem_response
from messaging_service.gateway.rate_limits import say_what_is_left
from messaging_service.gateway.tracing import traced

log = structlog.get_logger()

_HEADERS_BYTES = 16_384
_JSON_OVERHEAD = 8


def build_app(context: Context) -> web.Application:
    """The application, with nothing connected and nothing started."""
    origins = Origins(context.tenants)
    watching = [traced(context.traces)] if context.traces is not None else []
    app = web.Application(
        middlewares=[*watching, origins.preflight, _answer_problems],
        client_max_size=context.max_body * _JSON_OVERHEAD + _HEADERS_BYTES,
    )
    app[CONTEXT] = context
    for resource in (
        messages,
        personal_data,
        threads,
        care_team_threads,
        recipients,
        notices,
        terms,
        account,
        notifications,
        accounts,
        alarms,
        logins,
        handling,
        export,
        mending,
        acknowledging,
        access_log,
    ):
        resource.add_routes(app.router)
    operations.add_routes(app)
    events.add_routes(app)
    app.on_response_prepare.append(origins.mark)
    app.on_response_prepare.append(say_what_is_left)
    ops_page.add_routes(app.router, context.tenants.values())
    health.add_routes(app, context.checks)
    return app


@web.middleware
async def _answer_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every failure is an RFC 9457 problem that carries a 112 notice, whatever failed."""
    try:
        return await handler(request)
    except Exception as error:
        cause = error.cause if isinstance(error, AfterReading) else error
        kind = kind_of(cause)
        if isinstance(cause, TooMany) and cause.allowance:
            request.setdefault(LEFT, []).append(cause.allowance)
        request.app[CONTEXT].metrics.refused(kind.name)
        if kind.status == 500:
            log.exception("request_failed", route=str(request.match_info.route.resource), problem=kind.name)
        elif kind.status == 503:
            log.warning("request_refused", problem=kind.name, error=type(cause).__name__)
        return problem_response(error, request.get(TENANT), language_of(request))
