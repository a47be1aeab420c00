"""The notify step: portals are told of progress."""

from __future__ import annotations

from messaging_service.application.topology import notify_queue
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.telling import make_notify
from messaging_service.tenants import Tenant
from workers.runner import Station

_AT_ONCE = 64
_POSTS_AT_ONCE = 16
"""A portal that is told by webhook has at most so many to take at a time."""


def stations(parts: Parts) -> list[Station]:
    """A station per tenant: a portal that hangs delays nobody else's."""
    notify = make_notify(parts)

    async def both_answer() -> None:
        await parts.broker.ping()
        await parts.store.ping()

    return [
        Station(notify_queue(tenant.id), notify, _at_once(tenant), both_answer, tenant.id)
        for tenant in parts.tenants.values()
    ]


def _at_once(tenant: Tenant) -> int:
    is_posted = tenant.portal is not None and tenant.portal.webhook is not None
    return _POSTS_AT_ONCE if is_posted else _AT_ONCE
