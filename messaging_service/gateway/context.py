"""What every handler is given, and what a request carries with it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from messaging_service.adapters.export_pdf import PdfExport
from messaging_service.adapters.metrics import Metrics
from messaging_service.application.accept_terms import AcceptTerms
from messaging_service.application.administer import Administer
from messaging_service.application.alarms import Alarms
from messaging_service.application.allowances import Allowances
from messaging_service.application.behind import BehindNumbers
from messaging_service.application.break_glass import BreakGlass
from messaging_service.application.callers import Caller, Staff, Writer
from messaging_service.application.converse import Converse
from messaging_service.application.email_notices import EmailNotices
from messaging_service.application.event_tickets import EventTickets
from messaging_service.application.export import Export
from messaging_service.application.follow import Follow, Signs
from messaging_service.application.journey import Journeys
from messaging_service.application.logins import Logins
from messaging_service.application.mark_handled import MarkHandled
from messaging_service.application.mend import Mend
from messaging_service.application.overview import Recent
from messaging_service.application.personal_data import PersonalData
from messaging_service.application.ports import Clock, Traces
from messaging_service.application.ports.tracing import TRACEPARENT, valid_traceparent
from messaging_service.application.read import Reader
from messaging_service.application.read_access_log import ReadAccessLog
from messaging_service.application.recipients import Recipients
from messaging_service.application.represent import Represent
from messaging_service.application.samples import Samples
from messaging_service.application.submit import Submit
from messaging_service.domain.quota import Allowance, Quota
from messaging_service.domain.refusals import Forbidden, NotFound, Unauthenticated
from messaging_service.domain.roles import Scope
from messaging_service.gateway.cursors import Cursors
from messaging_service.gateway.health import Checks
from messaging_service.tenants import Tenant


class Verifier(Protocol):
    """Checks access tokens."""

    async def verify(self, token: str) -> Caller:
        """Whom the token speaks for. Raises Unauthenticated or Forbidden."""


@dataclass(frozen=True, slots=True)
class Operations:
    """What the operations page asks."""

    overview: Recent
    samples: Samples
    journeys: Journeys
    behind: BehindNumbers
    mend: Mend


@dataclass(frozen=True, slots=True)
class Context:
    """The running parts that the handlers use."""

    submit: Submit
    reader: Reader
    converse: Converse
    recipients: Recipients
    cursors: Cursors
    break_glass: BreakGlass
    alarms: Alarms
    mark_handled: MarkHandled
    export: Export
    pdf: PdfExport
    operations: Operations
    follow: Follow
    signs: Signs
    event_tickets: EventTickets
    administer: Administer
    personal_data: PersonalData
    email_notices: EmailNotices
    represent: Represent
    accept_terms: AcceptTerms
    read_access_log: ReadAccessLog
    logins: Logins
    verifier: Verifier
    tenants: Mapping[str, Tenant]
    checks: Checks
    metrics: Metrics
    allowances: Allowances
    max_body: int
    public_url: str
    clock: Clock
    traces: Traces | None = None


CONTEXT = web.AppKey("context", Context)
TENANT = web.RequestKey("tenant", Tenant)
LEFT = web.RequestKey("left", list[Allowance])
"""What the caller may still do, for the RateLimit headers of the answer."""
LANGUAGE = web.RequestKey("language", str)
TRACE = web.RequestKey("trace", str)
"""The traceparent of the span that holds the request, where requests are traced."""

REQUESTS, POSTS = "requests", "posts"
"""The policies of what one caller may ask, and of how many messages one may try to post."""

ID_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{26}\Z"
"""Message and thread ids: Crockford base32, upper case."""

_ID = re.compile(ID_PATTERN)


async def authenticate(request: web.Request) -> Writer:
    """The patient, or who acts for one, whose login is as strong as the tenant asks.

    Raises:
        Unauthenticated: no token, or not a valid one.
        AuthenticationTooWeak: a valid one of a login that is too weak.
        Forbidden: a valid one of somebody else's.
        TooMany: the caller's hard ceiling, urgent or not.
    """
    writer = await identify(request)
    writer.require_assured()
    return writer


async def identify(request: web.Request, counted_as: str = REQUESTS) -> Writer:
    """As `authenticate`, however weak the login: for what must raise the alarm all the same.

    `counted_as` is the policy of the hard ceiling: a page that asks too often must not use up that of messages.
    """
    caller = await _caller(request)
    if not isinstance(caller, Writer):
        raise Forbidden("this is for patients and those who act for them")
    await _take_one(request, caller.tenant, caller.author.subject, counted_as)
    return caller


async def require(request: web.Request, scope: Scope) -> Staff:
    """Staff or a system of the hospital that may do this: the one `scope` that contracts/openapi.yaml names.

    Raises:
        Unauthenticated: no token, or not a valid one.
        AuthenticationTooWeak: a valid one of a login that is too weak.
        ScopeMissing: the token lacks the scope, or its role never has it.
        Forbidden: a valid one of a patient's.
        TooMany: the caller's hard ceiling.
    """
    caller = await _caller(request)
    if not isinstance(caller, Staff):
        raise Forbidden("this is for the hospital's staff")
    await _take_one(request, caller.tenant, f"staff {caller.subject}", REQUESTS)
    return caller.using(scope)


async def _caller(request: web.Request) -> Caller:
    """Whom the bearer token speaks for; the tenant is kept on the request for the notice's wording."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated
    caller = await request.app[CONTEXT].verifier.verify(token.strip())
    request[TENANT] = caller.tenant
    return caller


async def _take_one(request: web.Request, tenant: Tenant, who: str, policy: str) -> None:
    quota = Quota(policy, tenant.limits.requests_per_minute, 60)
    request[LEFT] = [await request.app[CONTEXT].allowances.take(tenant.id, who, quota)]


def id_in_path(request: web.Request) -> str:
    """The id that the path names; what cannot be one is looked up nowhere.

    Raises:
        NotFound: it has not the shape of an id.
    """
    id = request.match_info["id"]
    if not _ID.fullmatch(id):
        raise NotFound
    return id


def language_of(request: web.Request) -> str:
    """The language for notices: what the message says, else what the browser prefers, else Dutch."""
    said: str | None = request.get(LANGUAGE)
    if said:
        return said
    accepted = request.headers.get("Accept-Language", "")[:100]
    first = accepted.split(",")[0].split(";")[0].strip()
    return first or "nl"


def traceparent_of(request: web.Request) -> str:
    """What this request's work goes on with: its span, else the caller's trace (W3C Trace Context), else a new one."""
    given = request.get(TRACE) or valid_traceparent(request.headers.get(TRACEPARENT))
    return given or f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
