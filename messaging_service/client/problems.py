"""Every problem of the API as an exception (RFC 9457). Each carries the notice that must be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from messaging_service.client.models import Notice, Span

PREFIX = "urn:messaging-service:problem:"


class Problem(Exception):
    """The service refused a request. Show `notice` to the patient whatever else you do: it tells when to call 112.

    `kind` is the last part of the problem's type, `detail` is for you and `retry_after` in seconds, 0: not by itself.
    A kind that this version does not know is a plain Problem.
    """

    def __init__(self, status: int, members: Mapping[str, Any], retry_after: int = 0) -> None:
        self.kind = str(members.get("type", "about:blank")).removeprefix(PREFIX)
        self.status = status
        self.title = str(members.get("title", ""))
        self.detail = str(members.get("detail", ""))
        self.retry_after = retry_after
        self.notice = msgspec.convert(members["notice"], Notice) if "notice" in members else None
        self.members = members
        super().__init__(f"{status} {self.kind}: {self.title}")


class Malformed(Problem):
    """The request is not as the API's description has it: a fault of the portal's."""


class Unauthenticated(Problem):
    """The token is missing, expired or not of a known issuer. Log in again."""


class Forbidden(Problem):
    """Whoever asks may not do this."""


class LoginTooWeak(Forbidden):
    """The login was not strong enough: ask for one of `acr_values`, the least first (RFC 9470)."""

    @property
    def acr_values(self) -> tuple[str, ...]:
        """The levels that would do."""
        return tuple(self.members.get("acr_values", ()))


class AccountBlocked(Forbidden):
    """The account is blocked; the patient calls the hospital."""


class AccountClosed(Forbidden):
    """The account is closed; the patient calls the hospital."""


class AccountNotOpened(Forbidden):
    """The hospital has opened no account for this patient."""


class NotRepresentative(Forbidden):
    """Whoever acts for this patient is not registered, or suspended."""


class TooYoung(Forbidden):
    """At this age a parent writes."""


class NoTreatmentRelation(Forbidden):
    """No care team here treats this patient, who may not begin a thread."""


class TermsNotAccepted(Forbidden):
    """The terms of use are to be accepted first: `Patient.terms`, then `Patient.accept`."""

    @property
    def version(self) -> str:
        """The version in force."""
        return str(self.members["terms"]["version"])


class NotFound(Problem):
    """It does not exist, or not for this person."""


class ThreadClosed(Problem):
    """The conversation takes no more messages; begin another."""


class Conflict(Problem):
    """Somebody else changed the same thing at that moment. Look again."""


class TooLarge(Problem):
    """The text is longer than this hospital takes."""


class Prohibited(Problem):
    """The text holds what the terms of use prohibit: `category` says what, `span` where."""

    @property
    def category(self) -> str:
        """One of the categories of the terms."""
        return str(self.members["category"])

    @property
    def span(self) -> Span:
        """What to mark in the compose screen."""
        return msgspec.convert(self.members["span"], Span)


class DepartmentUnknown(Problem):
    """The hospital has no department of that code."""


class TermsUnknown(Problem):
    """There is no such version to accept."""


class CodeWrong(Problem):
    """Not the code that came by e-mail, or it is too old or was tried too often; ask for a new one."""


class TooMany(Problem):
    """Too many messages or requests; `retry_after` says when to go on. Urgent messages never count."""


class Unavailable(Problem):
    """Not now. Send the same again, under the same idempotency key."""


class Unreachable(Exception):
    """No answer came, however often it was tried: the message may have been taken or not.

    Send it again with `idempotency_key`, now or later: it counts once. Show the patient that it is not known to have
    been sent, and the general notice.
    """

    def __init__(self, idempotency_key: str | None) -> None:
        super().__init__("the messaging service did not answer")
        self.idempotency_key = idempotency_key


PROBLEMS: Mapping[str, type[Problem]] = {
    "malformed": Malformed,
    "unsupported-media-type": Malformed,
    "method-not-allowed": Malformed,
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "insufficient-scope": Forbidden,
    "insufficient-user-authentication": LoginTooWeak,
    "account-blocked": AccountBlocked,
    "account-closed": AccountClosed,
    "account-not-opened": AccountNotOpened,
    "not-representative": NotRepresentative,
    "too-young": TooYoung,
    "no-treatment-relation": NoTreatmentRelation,
    "terms-not-accepted": TermsNotAccepted,
    "not-found": NotFound,
    "thread-closed": ThreadClosed,
    "conflict": Conflict,
    "too-large": TooLarge,
    "prohibited": Prohibited,
    "department-unknown": DepartmentUnknown,
    "terms-unknown": TermsUnknown,
    "code-wrong": CodeWrong,
    "too-many": TooMany,
    "queue-full": Unavailable,
    "unavailable": Unavailable,
    "internal": Unavailable,
}
"""By the last part of the problem's type."""


def problem_of(status: int, members: Mapping[str, Any], retry_after: int) -> Problem:
    """The exception for an answer."""
    kind = str(members.get("type", "")).removeprefix(PREFIX)
    return PROBLEMS.get(kind, Problem)(status, members, retry_after)
