"""A tenant is a hospital organisation; each is one TOML file of this shape (deploy/tenants)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from messaging_service.epd.policy import AckPolicy
from messaging_service.epd.profile import EpdProfile

Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
"""Codes name queues, headers and files, hence the narrow alphabet."""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the TOML file; a misspelt key is an error, not a silent default."""


class Identity(_Table, frozen=True, kw_only=True):
    """Who says who a patient is: an OpenID Connect issuer (terms articles 2.1–2.3).

    `jwks` is an https URL or `file:PATH`. `identifiers` maps an identifier system to the claim that holds it, the
    first being the one patients are known by.
    """

    issuer: str
    audience: str
    jwks: str
    identifiers: Mapping[str, str]
    name_claim: str = "name"
    algorithms: tuple[Literal["RS256", "PS256", "ES256", "EdDSA"], ...] = ("RS256", "ES256")
    leeway_seconds: int = 30


class ReplyTarget(_Table, frozen=True, kw_only=True):
    """Within how many days an answer is aimed at (terms article 3.5); no rights follow from it.

    `holidays` is a country; `working_holidays` names, in English, those of its holidays on which the hospital works.
    """

    days: Annotated[int, Meta(ge=1, le=30)]
    count: Literal["working", "calendar"]
    holidays: str = "NL"
    working_holidays: tuple[str, ...] = ("Good Friday",)
    closed_on: tuple[str, ...] = ()


class CareTeam(_Table, frozen=True, kw_only=True):
    """A team that reads messages; `cover` names the team that reads them while it is absent."""

    code: Code
    name: str
    department: Code
    absent: bool = False
    cover: Code | None = None


class Department(_Table, frozen=True, kw_only=True):
    """A department a patient may ask for; `care_team` reads what is addressed to it."""

    code: Code
    name: str
    care_team: Code


class Routing(_Table, frozen=True, kw_only=True):
    """Care teams, departments, and the desk that reads what belongs to nobody else."""

    triage_desk: Code
    care_teams: tuple[CareTeam, ...]
    departments: tuple[Department, ...]

    def __post_init__(self) -> None:
        """Every team that is referred to exists."""
        teams = {team.code for team in self.care_teams}
        departments = {department.code for department in self.departments}
        asked = [self.triage_desk, *(d.care_team for d in self.departments)]
        asked += [team.cover for team in self.care_teams if team.cover]
        for code in asked:
            if code not in teams:
                raise ValueError(f"care team {code!r} is referred to but not listed in [[routing.care_teams]]")
        for team in self.care_teams:
            if team.department not in departments:
                raise ValueError(f"care team {team.code!r} is of department {team.department!r}, not listed")

    def team(self, code: str) -> CareTeam | None:
        """The care team of that code."""
        return next((team for team in self.care_teams if team.code == code), None)

    def department(self, code: str) -> Department | None:
        """The department of that code."""
        return next((department for department in self.departments if department.code == code), None)


class Listener(_Table, frozen=True, kw_only=True):
    """Where the EPD sends to: `listen` is host:port. Sizes in bytes, times in seconds.

    With `certificate` and `key` it speaks TLS, and with `ca_file` only to clients whose certificate that vouches for.
    Without, it listens on loopback only, unless `unencrypted` (a network of its own). `placer` is the field of an
    ORU^R01 that gives back our message id.
    """

    listen: str
    certificate: str | None = None
    key: str | None = None
    ca_file: str | None = None
    unencrypted: bool = False
    max_frame: Annotated[int, Meta(ge=1_024, le=16_777_216)] = 1_048_576
    connections: Annotated[int, Meta(ge=1, le=1_024)] = 32
    idle_timeout: Annotated[float, Meta(gt=0)] = 3_600.0
    frame_timeout: Annotated[float, Meta(gt=0)] = 30.0
    placer: Literal["ORC-2", "OBR-2"] = "OBR-2"


class Epd(_Table, frozen=True, kw_only=True):
    """Where and how to file. `address` is mllp://host:port or mllps://host:port; times in seconds.

    `unencrypted` lets mllp:// leave this machine, for an EPD that knows no TLS on a network of its own.
    `acknowledged_by` says whose answers come: an interface engine's prove that a message is delivered, only the EPD's
    own that it is filed. In enhanced mode the application acknowledgement comes on the same connection or, as a message
    of its own, to the listener (`application_ack_on`).

    `listener` is where the EPD sends to, `staff` maps its codes of practitioners and wards to our care teams or
    departments. `end_of_care` are its codes in PV1-36 of a discharge (A03) with which care here is over; a discharge
    alone never says so.
    """

    address: str
    profile: EpdProfile
    policy: AckPolicy = AckPolicy()
    acknowledged_by: Literal["epd", "engine"] = "epd"
    application_ack_on: Literal["connection", "listener"] = "connection"
    unencrypted: bool = False
    connections: Annotated[int, Meta(ge=1, le=64)] = 4
    connect_timeout: float = 5.0
    ack_timeout: float = 30.0
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    listener: Listener | None = None
    staff: Mapping[str, Code] = {}
    end_of_care: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """The address can be connected to."""
        parts = urlsplit(self.address)
        if parts.scheme not in ("mllp", "mllps") or not parts.hostname or not parts.port:
            raise ValueError(f"address {self.address!r} must be mllp://host:port or mllps://host:port")
        if self.profile.answers_twice and self.application_ack_on == "listener" and self.listener is None:
            raise ValueError("application_ack_on is the listener, but there is no [epd.listener]")

    @property
    def answers_twice_here(self) -> bool:
        """Whether a second answer is waited for on the connection itself."""
        return self.profile.answers_twice and self.application_ack_on == "connection"


class OnCall(_Table, frozen=True, kw_only=True):
    """Who is told of an urgent message: a webhook, e-mail addresses, or both. `secret` signs the webhook."""

    webhook: str | None = None
    secret: str | None = None
    email: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Somebody can be told."""
        if not self.webhook and not self.email:
            raise ValueError("on_call needs a webhook, e-mail addresses, or both")


class Portal(_Table, frozen=True, kw_only=True):
    """The portal's webhook (Standard Webhooks); `secret` is `whsec_…` or `file:PATH`."""

    webhook: str
    secret: str


class Limits(_Table, frozen=True, kw_only=True):
    """How much one patient may send. An urgent message never counts."""

    messages_per_hour: Annotated[int, Meta(ge=1)] = 60
    requests_per_minute: Annotated[int, Meta(ge=1)] = 300


class Due(_Table, frozen=True, kw_only=True):
    """After how many minutes an accepted message that is not filed is past its limit (the ledger's alarm).

    `proven_hours`: after how many hours so is one that an interface engine took and nobody saw in the EPD.
    """

    urgent_minutes: int = 5
    normal_minutes: int = 24 * 60
    proven_hours: int = 72


class Statement(_Table, frozen=True, kw_only=True):
    """What urgency detection is for, and what device class that makes it (MDR rule 11): said, named and dated."""

    intended_purpose: Annotated[str, Meta(min_length=20)]
    classification: Annotated[str, Meta(min_length=3)]
    by: Annotated[str, Meta(min_length=3)]
    on: date


class Detection(_Table, frozen=True, kw_only=True):
    """Whether urgency is detected; the general 112 notice stays when it is not.

    `messaging-service tenants check` asks for the statement.
    """

    urgency: bool = True
    statement: Statement | None = None


class Tenant(_Table, frozen=True, kw_only=True):
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
