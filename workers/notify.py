"""The notify step: portals are told of progress."""

from __future__ import annotations

from messaging_service.application.topology import notify_queue
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.telling import make_notify
from workers.runner import Station

_AT_ONCE = 16


def stations(parts: Parts) -> list[Station]:
    """A station per tenant: a portal that hangs delays nobody else's."""
    notify = make_notify(parts)

    async def both_answer() -> None:
        await parts.broker.ping()
        await parts.store.ping()

    return [Station(notify_queue(id), notify, _AT_ONCE, both_answer, id) for id in parts.tenants]
