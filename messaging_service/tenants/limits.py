"""How much, and until when."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from messaging_service.tenants.tables import Table


class Limits(Table, frozen=True, kw_only=True):
    """How much one patient may send. An urgent message never counts."""

    messages_per_hour: Annotated[int, Meta(ge=1)] = 60
    requests_per_minute: Annotated[int, Meta(ge=1)] = 300


class Due(Table, frozen=True, kw_only=True):
    """After how many minutes an accepted message that is not filed is past its limit (the ledger's alarm).

    `proven_hours`: after how many hours so is one that an interface engine took and nobody saw in the EPD.
    """

    urgent_minutes: int = 5
    normal_minutes: int = 24 * 60
    proven_hours: int = 72
