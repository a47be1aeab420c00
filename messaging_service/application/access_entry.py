"""An entry of the access log as it is stored, with the fields that NEN 7513 asks for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from messaging_service.application.ports import Access, AccessPoint, Document

BREAK_GLASS = "break-glass"
THE_LOG = "access_log"
"""The object of whoever reads the access log itself."""

_UNCHAINED = ("digest", "version")
_HEALTH = ("message", "thread", "threads", "reply", "opening")


class Event(StrEnum):
    """What happened, as DICOM PS3.16 codes it (CID 400 and 401), which NEN 7513 takes over."""

    LOG_USED = "DCM:110101"
    EXPORT = "DCM:110106"
    IMPORT = "DCM:110107"
    PATIENT_RECORD = "DCM:110110"
    QUERY = "DCM:110112"
    EMERGENCY = "DCM:110127"


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry. Times in milliseconds; `order` sorts the entries of all runs by time, and no two have the same.

    `id` is run and number: the event's own. `name` is the user's, sealed under the patient's key. `sensitivity` is a
    code of HL7 Confidentiality (N normal, R restricted). `source` is the process that wrote it. `confirmed`: all
    entries of the run up to that number were durable when this one was linked.
    """

    id: str
    tenant: str
    run: str
    number: int
    confirmed: int
    order: str
    at: int
    event: Event
    action: str
    outcome: str
    actor: str
    name: bytes = field(repr=False)
    role: str
    point: AccessPoint
    purpose: str
    basis: str
    authorisation: str
    patient: str
    object_kind: str
    object: str
    sensitivity: str
    source: str
    previous: str
    digest: str = ""
    version: int = 1


def event_of(access: Access) -> Event:
    """The type of an access."""
    if access.object_kind == THE_LOG:
        return Event.LOG_USED
    if access.by.basis == BREAK_GLASS:
        return Event.EMERGENCY
    if access.by.point is AccessPoint.EPD:
        return Event.EXPORT if access.action == "read" else Event.IMPORT
    return Event.QUERY if access.object_kind == "threads" else Event.PATIENT_RECORD


def sensitivity_of(access: Access) -> str:
    """Restricted for what says something of somebody's health."""
    return "R" if access.object_kind in _HEALTH else "N"


def order_of(at: int, run: str, number: int) -> str:
    """Sorts by time, then by run and number."""
    return f"{at:014d}-{run}-{number:010d}"


def order_at(at: int) -> str:
    """Just before every entry of that millisecond."""
    return f"{at:014d}"


def entry_digest(document: Document) -> str:
    """SHA-256 over an entry's fields except its own digest and the store's version, in hex."""
    chained = {key: value for key, value in document.items() if key not in _UNCHAINED}
    return hashlib.sha256(msgspec.json.encode(chained, order="sorted")).hexdigest()
