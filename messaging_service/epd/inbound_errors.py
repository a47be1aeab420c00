"""Why a message that came in is not understood: code of HL7 table 0357, segment and field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from messaging_service.domain.errors import MessagingError


class Error(StrEnum):
    """HL7 v2.5.1 table 0357, as far as it is used."""

    SEGMENTS = "100"
    MISSING = "101"
    DATA_TYPE = "102"
    TABLE_VALUE = "103"
    MESSAGE_TYPE = "200"
    EVENT = "201"
    PROCESSING_ID = "202"
    VERSION = "203"
    UNKNOWN_KEY = "204"
    DUPLICATE_KEY = "205"
    INTERNAL = "207"


TEXTS = {
    Error.SEGMENTS: "Segment sequence error",
    Error.MISSING: "Required field missing",
    Error.DATA_TYPE: "Data type error",
    Error.TABLE_VALUE: "Table value not found",
    Error.MESSAGE_TYPE: "Unsupported message type",
    Error.EVENT: "Unsupported event code",
    Error.PROCESSING_ID: "Unsupported processing id",
    Error.VERSION: "Unsupported version id",
    Error.UNKNOWN_KEY: "Unknown key identifier",
    Error.DUPLICATE_KEY: "Duplicate key identifier",
    Error.INTERNAL: "Application internal error",
}


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a message: segment, its how-manieth of that name (from 1), field (0: the segment itself)."""

    segment: str
    field: int = 0
    sequence: int = 1


class NotUnderstood(MessagingError):
    """A message of the EPD cannot be understood. Show its integrator the code, segment and field named here."""

    def __init__(self, error: Error, where: Where) -> None:
        super().__init__(f"{error} at {where.segment}-{where.field}")
        self.error = error
        self.where = where
