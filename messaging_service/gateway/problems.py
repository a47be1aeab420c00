"""One table: error → HTTP problem (RFC 9457). Every answer carries a 112 notice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from messaging_service.application.journey import JourneyNotFound
from messaging_service.application.mend import ParkedNotFound
from messaging_service.application.submit import AfterReading
from messaging_service.domain import errors, refusals
from messaging_service.domain.message import Triage
from messaging_service.screening.notices import Notice, general_notice, notice_for
from messaging_service.tenants import Tenant

TYPE_PREFIX = "urn:messaging-service:problem:"
CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """A problem type: its name, status, title, and when to try again (seconds, 0: not by itself)."""

    name: str
    status: int
    title: str
    retry_after: int = 0


_KINDS: dict[type[Exception], Kind] = {
    refusals.Malformed: Kind("malformed", 400, "The request cannot be read"),
    refusals.Unauthenticated: Kind("unauthenticated", 401, "No valid access token"),
    refusals.AccountBlocked: Kind("account-blocked", 403, "This account is blocked"),
    refusals.AuthenticationTooWeak: Kind("insufficient-user-authentication", 403, "The login is not strong enough"),
    refusals.ScopeMissing: Kind("insufficient-scope", 403, "The token does not allow this"),
    refusals.AccountClosed: Kind("account-closed", 403, "This account is closed"),
    refusals.AccountNotOpened: Kind("account-not-opened", 403, "No account here"),
    refusals.NotRepresentative: Kind("not-representative", 403, "Not a representative of this patient"),
    refusals.TooYoung: Kind("too-young", 403, "A parent writes for this patient"),
    refusals.NoTreatmentRelation: Kind("no-treatment-relation", 403, "No care team treats this patient"),
    refusals.TermsNotAccepted: Kind("terms-not-accepted", 403, "The terms of use are not accepted"),
    refusals.Forbidden: Kind("forbidden", 403, "This account may not do this"),
    refusals.NotFound: Kind("not-found", 404, "Not found"),
    refusals.ThreadClosed: Kind("thread-closed", 409, "This conversation is closed"),
    refusals.TooLarge: Kind("too-large", 413, "The message is too long"),
    refusals.UnsupportedMedia: Kind("unsupported-media-type", 415, "Only application/json is accepted"),
    refusals.Prohibited: Kind("prohibited", 422, "The message holds prohibited text"),
    refusals.DepartmentUnknown: Kind("department-unknown", 422, "No such department"),
    refusals.TermsUnknown: Kind("terms-unknown", 422, "No such terms to accept"),
    refusals.IdentifierUnknown: Kind("identifier-unknown", 422, "No such kind of number"),
    refusals.RepresentativeUnfit: Kind("representative-unfit", 422, "Cannot be a representative"),
    refusals.RepresentativesFull: Kind("representatives-full", 409, "No more representatives"),
    refusals.CodeWrong: Kind("code-wrong", 422, "Not the code"),
    refusals.TooMany: Kind("too-many", 429, "Too many messages"),
    errors.Conflict: Kind("conflict", 409, "Changed meanwhile"),
    ParkedNotFound: Kind("not-found", 404, "Not found"),
    JourneyNotFound: Kind("not-found", 404, "Not found"),
    errors.QueueRefused: Kind("queue-full", 503, "Not available now", 30),
    errors.ServerFault: Kind("unavailable", 503, "Not available now", 5),
}
_METHOD = Kind("method-not-allowed", 405, "This method is not allowed here")
_EXPECTATION = Kind("malformed", 400, "The request cannot be read")
_INTERNAL = Kind("internal", 500, "Something went wrong here")


def kind_of(error: BaseException) -> Kind:
    """The problem type of an error; what nobody foresaw is `internal`."""
    for ancestor in type(error).__mro__:
        if ancestor in _KINDS:
            return _KINDS[ancestor]
    if isinstance(error, web.HTTPException):
        return _of_http(error)
    return _INTERNAL


def _of_http(error: web.HTTPException) -> Kind:
    by_status: dict[int, type[Exception]] = {
        404: refusals.NotFound,
        413: refusals.TooLarge,
        415: refusals.UnsupportedMedia,
    }
    if error.status in by_status:
        return _KINDS[by_status[error.status]]
    return _METHOD if error.status == 405 else _EXPECTATION


def problem_response(error: BaseException, tenant: Tenant | None, language: str) -> web.Response:
    """The answer to a request that failed; the fitting notice where the text was read and is urgent."""
    triage: Triage | None = None
    if isinstance(error, AfterReading):
        triage, error = error.triage, error.cause
    kind = kind_of(error)
    members: dict[str, Any] = {
        "type": TYPE_PREFIX + kind.name,
        "title": kind.title,
        "status": kind.status,
        "detail": _detail(error, kind),
        "notice": notice_json(_notice(triage, tenant, language)),
        **_extra(error),
    }
    headers = _headers(error, kind)
    return web.Response(
        body=msgspec.json.encode(members), status=kind.status, headers=headers, content_type=CONTENT_TYPE
    )


def _detail(error: BaseException, kind: Kind) -> str:
    """Only a refusal's own words go out: they are written for the caller and hold no content."""
    if isinstance(error, refusals.Refusal):
        return str(error)
    if isinstance(error, errors.ServerFault):
        return "Try again. A message that is sent again under the same Idempotency-Key counts once."
    return kind.title


def _notice(triage: Triage | None, tenant: Tenant | None, language: str) -> Notice:
    wording = tenant.notices if tenant else {}
    if triage is not None and triage.urgent:
        return notice_for(triage.topics, language, wording)
    return general_notice(language, wording)


def notice_json(notice: Notice) -> dict[str, Any]:
    """A notice as the API shows it."""
    return {"text": notice.text, "language": notice.language, "telephone": list(notice.numbers)}


def _extra(error: BaseException) -> dict[str, Any]:
    if isinstance(error, refusals.Prohibited):
        span = error.span
        return {
            "category": error.category,
            "span": {"field": span.field, "start": span.start, "end": span.end},
        }
    if isinstance(error, refusals.AuthenticationTooWeak):
        return {"acr_values": error.acr_values}
    if isinstance(error, refusals.TermsNotAccepted):
        return {"terms": {"version": error.version, "accept_at": "/v1/terms"}}
    return {}


def _headers(error: BaseException, kind: Kind) -> Mapping[str, str]:
    headers = {"Cache-Control": "no-store"}
    retry_after = error.retry_after if isinstance(error, refusals.TooMany) else kind.retry_after
    if retry_after:
        headers["Retry-After"] = str(retry_after)
    if (challenge := _challenge(error)) is not None:
        headers["WWW-Authenticate"] = f"Bearer {challenge}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        headers["Allow"] = ", ".join(sorted(error.allowed_methods))
    return headers


def _challenge(error: BaseException) -> str | None:
    """What another token must be like (RFC 6750 §3.1, RFC 9470 §3), where that would help."""
    if isinstance(error, refusals.Unauthenticated):
        return 'error="invalid_token"'
    if isinstance(error, refusals.ScopeMissing):
        return f'error="insufficient_scope", scope="{error.scope}"'
    if isinstance(error, refusals.AuthenticationTooWeak):
        wanted = f', acr_values="{" ".join(error.acr_values)}"' if error.acr_values else ""
        return f'error="insufficient_user_authentication"{wanted}'
    return None
