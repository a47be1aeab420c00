"""What urgency detection is for, as the hospital states it."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta

from messaging_service.tenants.tables import Table


class Statement(Table, frozen=True, kw_only=True):
    """What urgency detection is for, and what device class that makes it (MDR rule 11): said, named and dated."""

    intended_purpose: Annotated[str, Meta(min_length=20)]
    classification: Annotated[str, Meta(min_length=3)]
    by: Annotated[str, Meta(min_length=3)]
    on: date


class Detection(Table, frozen=True, kw_only=True):
    """Whether urgency is detected; the general 112 notice stays when it is not.

    `messaging-service tenants check` asks for the statement.
    """

    urgency: bool = True
    statement: Statement | None = None
