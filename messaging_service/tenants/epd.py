"""Where and how the EPD is reached, and where it reaches us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from messaging_service.epd.policy import AckPolicy
from messaging_service.epd.profile import EpdProfile
from messaging_service.tenants.tables import Code, Table


class Listener(Table, frozen=True, kw_only=True):
    """Where the EPD sends to: `listen` is host:port. Sizes in bytes, times in seconds.

    With `certificate` and `key` it speaks TLS, and with `ca_file` only to clients whose certificate that vouches for.
    Without, it listens on loopback only, unless `unencrypted` (a network of its own). `placer` is the field of an
    ORU^R01 that gives back our message id. For `remember_days` a message that is sent again is known as such.
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
    remember_days: Annotated[int, Meta(ge=1, le=3_650)] = 30
    placer: Literal["ORC-2", "OBR-2"] = "OBR-2"


class Epd(Table, frozen=True, kw_only=True):
    """Where and how to file. `address` is mllp://host:port or mllps://host:port; times in seconds.

    `unencrypted` lets mllp:// leave this machine, for an EPD that knows no TLS on a network of its own.
    `acknowledged_by` says whose answers come: an interface engine's prove that a message is delivered, only the EPD's
    own that it is filed. In enhanced mode the application acknowledgement comes on the same connection or, as a message
    of its own, to the listener (`application_ack_on`).

    `listener` is where the EPD sends to, `staff` maps its codes of practitioners and wards to our care teams or
    departments. `end_of_care` are its codes in PV1-36 of a discharge (A03) with which care here is over; a discharge
    alone never says so. `handled` are its codes in TXA-17 of an MDM^T04 with which a message of ours is done with,
    without a written answer; `read` those with which a clinician has read it, which the patient is shown where
    `[receipts] of_care_team` says so.
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
    handled: tuple[str, ...] = ()
    read: tuple[str, ...] = ()

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
