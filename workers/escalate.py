"""The escalate step: on-call is told of urgent messages."""

from __future__ import annotations

from messaging_service.application.escalate import Escalate
from messaging_service.application.topology import escalate_queue
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.alarming import make_duties
from workers.runner import Station

_AT_ONCE = 8
_LONGEST_PAUSE = 5.0


def stations(parts: Parts) -> list[Station]:
    """A station per tenant: an on-call that cannot be reached delays nobody else's."""
    escalate = Escalate(duties=make_duties(parts), store=parts.store, clock=parts.clock)
    return [
        Station(escalate_queue(id), escalate, _AT_ONCE, _nothing_to_ask, id, longest_pause=_LONGEST_PAUSE)
        for id in parts.tenants
    ]


async def _nothing_to_ask() -> None:
    """On-call is not to be rung for a probe: the next alarm itself is the trial."""
