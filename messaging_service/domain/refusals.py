"""Why a request is refused. Each class is one problem type of the HTTP API (gateway/problems.py)."""

from __future__ import annotations

from dataclasses import dataclass

from messaging_service.domain.errors import MessagingError
from messaging_service.domain.quota import Allowance


class Refusal(MessagingError):
    """The request was refused."""


class Malformed(Refusal):
    """The request cannot be read. Compare it with the API's description."""


class TooLarge(Refusal):
    """The message is longer than this hospital accepts. Shorten it, or send it as two messages."""


class UnsupportedMedia(Refusal):
    """Only application/json is accepted; attachments cannot be sent yet."""


class Unauthenticated(Refusal):
    """No valid access token came with the request. Log in again at the portal."""


class Forbidden(Refusal):
    """This account may not do this."""


class AuthenticationTooWeak(Forbidden):
    """The login was not as strong as this hospital asks. Log in again, the stronger way."""

    def __init__(self, acr_values: tuple[str, ...]) -> None:
        """`acr_values` are the levels that would do, the least first (RFC 9470 §3)."""
        super().__init__()
        self.acr_values = acr_values


class ScopeMissing(Forbidden):
    """The token does not allow this; it lacks the scope, or its role never has it."""

    def __init__(self, scope: str) -> None:
        """`scope` is the one that is needed."""
        super().__init__(scope)
        self.scope = scope


class AccountBlocked(Forbidden):
    """This account is blocked. Call the hospital."""


class AccountClosed(Forbidden):
    """This account is closed. Call the hospital."""


class AccountNotOpened(Forbidden):
    """The hospital has not opened an account here for you. Call the hospital."""


class NotRepresentative(Forbidden):
    """You may not act for this patient here, or not any more. Call the hospital."""


class TooYoung(Forbidden):
    """Under 12 a parent or guardian writes for the patient."""


class NoTreatmentRelation(Forbidden):
    """No care team here treats you or treated you before, and this hospital takes no first contact here. Call it."""


class TermsNotAccepted(Forbidden):
    """The terms of use must be accepted first."""

    def __init__(self, version: str) -> None:
        """`version` is the one to accept."""
        super().__init__(f"version {version}")
        self.version = version


class TermsUnknown(Refusal):
    """These terms cannot be accepted: there is no such version in force, or not in that language."""


class IdentifierUnknown(Refusal):
    """The hospital does not know patients by such a number, or the one that it knows them by is missing."""


class RepresentativesFull(Refusal):
    """The patient has as many representatives as this hospital allows. End one first."""


class RepresentativeUnfit(Refusal):
    """This person cannot be the patient's representative."""


class NotFound(Refusal):
    """There is nothing here, or it is not yours."""


class ThreadClosed(Refusal):
    """This conversation is closed. Begin a new one."""


class DepartmentUnknown(Refusal):
    """The hospital has no such department to write to. Leave it out to reach the team that treats you."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of the submitted `field`; start and end count UTF-16 code units of it, as browsers do."""

    field: str
    start: int
    end: int


class Prohibited(Refusal):
    """The message holds text that the terms of use forbid (article 3.2). Change it and send it again."""

    def __init__(self, category: str, span: Span) -> None:
        super().__init__()
        self.category = category
        self.span = span


class CodeWrong(Refusal):
    """This is not the code, or it does not hold any more. Ask for a new one."""


class TooMany(Refusal):
    """Too many messages in a short time. Wait and send it again."""

    def __init__(self, retry_after: int, allowance: Allowance | None = None) -> None:
        """`retry_after` in seconds; `allowance` is the one that has not enough left."""
        super().__init__(allowance.quota.name if allowance else None)
        self.retry_after = retry_after
        self.allowance = allowance
