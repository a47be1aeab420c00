"""How much, and until when."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from messaging_service.tenants.tables import Table

_Count = Annotated[int, Meta(ge=1)]
_Bytes = Annotated[int, Meta(ge=65_536)]
"""At least one message of the longest length, whatever its characters."""


class ClientLimits(Table, frozen=True, kw_only=True):
    """How much one portal (the token's `azp` or `client_id`) may send for all its patients together.

    `urgent_per_minute` is the hard ceiling of urgent messages, which count towards nothing else.
    """

    messages_per_minute: _Count = 3_000
    bytes_per_minute: _Bytes = 20_000_000
    urgent_per_minute: _Count = 600


class Limits(Table, frozen=True, kw_only=True):
    """How much one patient may send, and one portal. An urgent message never counts against its writer."""

    messages_per_hour: _Count = 60
    bytes_per_hour: _Bytes = 500_000
    requests_per_minute: _Count = 300
    client: ClientLimits = ClientLimits()

    def __post_init__(self) -> None:
        """One who may ask so much cannot use up what a whole portal has for emergencies."""
        if self.client.urgent_per_minute < self.requests_per_minute:
            raise ValueError("limits client urgent_per_minute is below requests_per_minute: one alone could use it up")


class Due(Table, frozen=True, kw_only=True):
    """After how many minutes an accepted message that is not filed is past its limit (the ledger's alarm).

    `proven_hours`: after how many hours so is one that an interface engine took and nobody saw in the EPD.
    """

    urgent_minutes: int = 5
    normal_minutes: int = 24 * 60
    proven_hours: int = 72
