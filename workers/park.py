"""The park step: what the others gave up on into the store, where a person mends it."""

from __future__ import annotations

from messaging_service.application.park import Park
from messaging_service.application.topology import PARK
from messaging_service.bootstrap import Parts
from workers.runner import Station

_AT_ONCE = 8


def stations(parts: Parts) -> list[Station]:
    """One station for all."""
    park = Park(tenants=parts.tenants, store=parts.store, threads=parts.threads, clock=parts.clock)
    return [Station(PARK, park, _AT_ONCE, parts.store.ping)]
