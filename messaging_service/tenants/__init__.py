"""A tenant is a hospital organisation; each is one TOML file of this shape (deploy/tenants)."""

from messaging_service.tenants.accounts import AccountRules, RepresentativeRules, TermsVersion
from messaging_service.tenants.care import CareTeam, Department, ReplyTarget, Routing
from messaging_service.tenants.detection import Detection, Statement
from messaging_service.tenants.email_notice import EmailNotice, Wording
from messaging_service.tenants.epd import Epd, Listener
from messaging_service.tenants.identity import Assurance, Identity, Issuer, StaffIssuer
from messaging_service.tenants.limits import Due, Limits
from messaging_service.tenants.outward import OnCall, Portal, Rung
from messaging_service.tenants.receipts import Receipts
from messaging_service.tenants.retention import Retention
from messaging_service.tenants.tables import Code
from messaging_service.tenants.tenant import Tenant

__all__ = [
    "AccountRules",
    "Assurance",
    "CareTeam",
    "Code",
    "Department",
    "Detection",
    "Due",
    "EmailNotice",
    "Epd",
    "Identity",
    "Issuer",
    "Limits",
    "Listener",
    "OnCall",
    "Portal",
    "Receipts",
    "ReplyTarget",
    "RepresentativeRules",
    "Retention",
    "Routing",
    "Rung",
    "StaffIssuer",
    "Statement",
    "Tenant",
    "TermsVersion",
    "Wording",
]
