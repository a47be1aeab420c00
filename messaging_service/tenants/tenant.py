"""One hospital organisation: the tables of its file together."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from messaging_service.tenants.care import ReplyTarget, Routing
from messaging_service.tenants.detection import Detection
from messaging_service.tenants.epd import Epd
from messaging_service.tenants.identity import Identity
from messaging_service.tenants.limits import Due, Limits
from messaging_service.tenants.outward import OnCall, Portal
from messaging_service.tenants.tables import Code, Table


class Tenant(Table, frozen=True, kw_only=True):
    """One hospital organisation."""

    id: Code
    name: str
    languages: tuple[str, ...] = ("nl", "en")
    time_zone: str = "Europe/Amsterdam"
    telephone: str
    identity: Identity
    reply: ReplyTarget
    routing: Routing
    epd: Epd
    on_call: OnCall
    portal: Portal | None = None
    limits: Limits = Limits()
    due: Due = Due()
    notices: Mapping[str, str] = {}
    detection: Detection = Detection()

    def __post_init__(self) -> None:
        """The time zone exists, and so do the teams that the EPD's codes stand for."""
        for code in self.epd.staff.values():
            if self.routing.team(code) is None and self.routing.department(code) is None:
                raise ValueError(f"[epd.staff] names {code!r}, which is neither a care team nor a department")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
            raise ValueError(f"time_zone {self.time_zone!r} is not known; write it as in Europe/Amsterdam") from problem

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which people of this tenant read times."""
        return ZoneInfo(self.time_zone)
