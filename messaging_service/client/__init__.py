"""A client for portals: send messages, read threads, hear of what is new. Imports nothing else of the service.

    async with Service("https://messages.hospital.example") as service:
        accepted = await service.on_behalf_of(token).send("Vraag", "Mag ik sporten?")

deploy/guides/portal-builder.md begins with a first message in five minutes.
"""

from messaging_service.client.events import Event
from messaging_service.client.models import (
    Accepted,
    Message,
    Notice,
    Notifications,
    Recipient,
    Span,
    Terms,
    Thread,
    ThreadStatus,
)
from messaging_service.client.patient import Patient
from messaging_service.client.problems import (
    PROBLEMS,
    AccountBlocked,
    AccountClosed,
    AccountNotOpened,
    CodeWrong,
    DepartmentUnknown,
    Forbidden,
    LoginTooWeak,
    NotFound,
    NoTreatmentRelation,
    NotRepresentative,
    Problem,
    Prohibited,
    TermsNotAccepted,
    TermsUnknown,
    ThreadClosed,
    TooLarge,
    TooMany,
    TooYoung,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from messaging_service.client.service import Service
from messaging_service.client.webhooks import WebhookEvent, WebhookInvalid, read_webhook

__all__ = [
    "PROBLEMS",
    "Accepted",
    "AccountBlocked",
    "AccountClosed",
    "AccountNotOpened",
    "CodeWrong",
    "DepartmentUnknown",
    "Event",
    "Forbidden",
    "LoginTooWeak",
    "Message",
    "NoTreatmentRelation",
    "NotFound",
    "NotRepresentative",
    "Notice",
    "Notifications",
    "Patient",
    "Problem",
    "Prohibited",
    "Recipient",
    "Service",
    "Span",
    "Terms",
    "TermsNotAccepted",
    "TermsUnknown",
    "Thread",
    "ThreadClosed",
    "ThreadStatus",
    "TooLarge",
    "TooMany",
    "TooYoung",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
    "WebhookEvent",
    "WebhookInvalid",
    "read_webhook",
]
