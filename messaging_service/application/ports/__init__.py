"""What the use cases need from outside, as small as it can be. Adapters implement these.

Every adapter of a port passes the same suite in tests/contract.
"""

from messaging_service.application.ports.access import Access, AccessLog, AccessPoint, Actor
from messaging_service.application.ports.broker import Broker, Delivery, Depth, Envelope, QueueDeclaration, Topology
from messaging_service.application.ports.outward import (
    Alarm,
    AtTurn,
    CareTeams,
    Clock,
    Epd,
    Meter,
    OnCall,
    Operations,
    PatientMail,
    PortalWebhook,
    Waiting,
    WorkingDays,
)
from messaging_service.application.ports.store import Collection, Document, DocumentStore, Index
from messaging_service.application.ports.tracing import Span, SpanKind, Traces

__all__ = [
    "Access",
    "AccessLog",
    "AccessPoint",
    "Actor",
    "Alarm",
    "AtTurn",
    "Broker",
    "CareTeams",
    "Clock",
    "Collection",
    "Delivery",
    "Depth",
    "Document",
    "DocumentStore",
    "Envelope",
    "Epd",
    "Index",
    "Meter",
    "OnCall",
    "Operations",
    "PatientMail",
    "PortalWebhook",
    "QueueDeclaration",
    "Span",
    "SpanKind",
    "Topology",
    "Traces",
    "Waiting",
    "WorkingDays",
]
