"""The notify step: portals are told of progress."""

from __future__ import annotations

from messaging_service.application.notify import Notify
from messaging_service.application.topology import notify_queue
from messaging_service.bootstrap import Parts
from workers.runner import Station

_AT_ONCE = 16


def stations(parts: Parts) -> list[Station]:
    """A station per tenant: a portal that hangs delays nobody else's."""
    notify = Notify(parts.webhooks())
    return [Station(notify_queue(id), notify, _AT_ONCE, parts.broker.ping, id) for id in parts.tenants]
