"""One hospital organisation: the tables of its file together."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from messaging_service.domain.account import Rules
from messaging_service.tenants.access_log import AccessLogRules
from messaging_service.tenants.accounts import AccountRules, RepresentativeRules, TermsVersion
from messaging_service.tenants.care import ReplyTarget, Routing
from messaging_service.tenants.detection import Detection
from messaging_service.tenants.email_notice import EmailNotice
from messaging_service.tenants.epd import Epd
from messaging_service.tenants.identity import Identity
from messaging_service.tenants.limits import Due, Limits
from messaging_service.tenants.outward import OnCall, Portal
from messaging_service.tenants.receipts import Receipts
from messaging_service.tenants.retention import Retention
from messaging_service.tenants.tables import Code, Mistakes, Table


class Tenant(Table, frozen=True, kw_only=True):
    """One hospital organisation."""

    id: Code
    name: str
    languages: tuple[str, ...] = ("nl", "en")
    time_zone: str = "Europe/Amsterdam"
    telephone: str
    identity: Identity
    accounts: AccountRules = AccountRules()
    representatives: RepresentativeRules = RepresentativeRules()
    access_log: AccessLogRules = AccessLogRules()
    terms: tuple[TermsVersion, ...] = ()
    reply: ReplyTarget
    routing: Routing
    epd: Epd
    on_call: OnCall
    portal: Portal | None = None
    limits: Limits = Limits()
    email_notice: EmailNotice | None = None
    retention: Retention = Retention()
    due: Due = Due()
    receipts: Receipts = Receipts()
    notices: Mapping[str, str] = {}
    detection: Detection = Detection()

    def __post_init__(self) -> None:
        """The time zone exists, and so do the teams that the EPD's codes stand for; versions of the terms differ."""
        found: list[tuple[tuple[str | int, ...], str]] = []
        for key in ("version", "since"):
            known = [getattr(each, key) for each in self.terms]
            twice = [n for n, value in enumerate(known) if value in known[:n]]
            found += [(("terms", n, key), f"two [[terms]] have the same {key}") for n in twice]
        for name, code in self.epd.staff.items():
            if self.routing.team(code) is None and self.routing.department(code) is None:
                said = f"[epd.staff] names {code!r}, which is neither a care team nor a department"
                found.append((("epd", "staff", name), said))
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            said = f"time_zone {self.time_zone!r} is not known; write it as in Europe/Amsterdam"
            found.append((("time_zone",), said))
        Mistakes.refuse(found)

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which people of this tenant read times."""
        return ZoneInfo(self.time_zone)

    @property
    def account_rules(self) -> Rules:
        """What the domain needs to judge an account."""
        accounts, representatives = self.accounts, self.representatives
        return Rules(accounts.closing_days, self.zone, representatives.most, representatives.must_sign_care_plan)
