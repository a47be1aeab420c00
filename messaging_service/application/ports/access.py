"""The port of the access log: who did what with whose data."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class AccessPoint(StrEnum):
    """Where somebody came in."""

    PORTAL = "portal"
    STAFF = "staff"
    EPD = "epd"
    COMMAND = "command"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, in which role, and on what ground.

    `pseudonym` is a keyed digest of a person, or the name of a step. `basis` is the treatment relation, consent or task
    that it rests on; `authorisation` what let it in: the scope of a token, or an own account.
    """

    pseudonym: str
    role: str
    basis: str
    name: str = field(default="", repr=False)
    point: AccessPoint = AccessPoint.SERVICE
    authorisation: str = "service"


@dataclass(frozen=True, slots=True)
class Access:
    """One read or change of a patient's data; holds identifiers, never content.

    `action` is read, create, update or delete. `patient` is "" when it is about no single patient.
    """

    tenant: str
    patient: str
    by: Actor
    action: str
    object_kind: str
    object: str
    purpose: str
    outcome: str = "success"


class AccessLog(Protocol):
    """Where every read and change of patient data is written down."""

    async def record(self, access: Access) -> None:
        """Durable when it returns. Raises StoreDown."""
