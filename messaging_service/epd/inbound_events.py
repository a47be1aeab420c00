"""What an EPD tells us, read: a clinician's reply, or who a patient is and who treats them. Times in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from typing import Literal

from messaging_service.domain.care import CareChange
from messaging_service.domain.message import Identifier
from messaging_service.epd.profile import Authority


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed with an EPD on what it sends.

    `charset` holds where MSH-18 is empty; `zone` where a time has no offset. `placer` is the field of an ORU^R01
    that holds our message id. `handled` are the codes in TXA-17 with which a message of ours is done with, `read` those
    with which a clinician has read it; without any no MDM^T04 is understood. `authorities` tells the identifiers in
    PID-3 apart.
    """

    authorities: Mapping[str, Authority]
    charset: str
    processing_id: str
    zone: tzinfo
    placer: Literal["ORC-2", "OBR-2"] = "OBR-2"
    handled: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, repr=False)
class Person:
    """Whom a message is about: known identifiers, at least one, and the name in full."""

    identifiers: tuple[Identifier, ...]
    name: str


class Told(StrEnum):
    """What a reply message says about its document."""

    WRITTEN = "written"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, repr=False)
class ClinicianWrote:
    """A document of a clinician, new, changed or withdrawn.

    `document` is its number at the sender and `replaces` that of the one whose place it takes (T10); `parent` the
    message or document it answers, `placer` a message by the site's own field. `addressed` are codes of wards,
    departments and practitioners, the likeliest first.
    """

    told: Told
    document: str
    replaces: str
    parent: str
    placer: str
    at: int
    written_at: int
    person: Person
    addressed: tuple[str, ...]
    clinician: str
    name: str
    role: str
    subject: str
    text: str
    is_html: bool


@dataclass(frozen=True, slots=True, repr=False)
class DocumentHandled:
    """A document, by its number, is done with without a written answer."""

    document: str
    at: int
    person: Person


@dataclass(frozen=True, slots=True)
class DocumentRead:
    """A document, by its number, was read by a clinician."""

    document: str
    at: int
    person: Person


@dataclass(frozen=True, slots=True)
class NothingSaid:
    """A message that is understood and means nothing here."""


@dataclass(frozen=True, slots=True, repr=False)
class PatientChanged:
    """What an ADT or SIU says of a patient.

    `visit` is PV1-19, "" when the message is about none; `treating` are the codes of ward and practitioners, None when
    it does not say. `deceased_at`: None not said, 0 alive. `discharged_to` is PV1-36. `appointment` is planned for
    `starts_at`. `visit_was_of` is the record that the visit belonged to before (A45).
    """

    told: CareChange
    at: int
    person: Person
    visit: str = ""
    treating: tuple[str, ...] | None = None
    deceased_at: int | None = None
    discharged_to: str = ""
    appointment: str = ""
    starts_at: int = 0
    visit_was_of: Person | None = None


@dataclass(frozen=True, slots=True, repr=False)
class RecordsJoined:
    """Two records were one person's: `loser` goes on as `survivor` (A40, and A47 for a number that changed)."""

    at: int
    survivor: Person
    loser: Person


@dataclass(frozen=True, slots=True, repr=False)
class RecordsParted:
    """Two records were not one person's after all (A37)."""

    at: int
    one: Person
    other: Person


Inbound = ClinicianWrote | DocumentHandled | DocumentRead | NothingSaid | PatientChanged | RecordsJoined | RecordsParted
