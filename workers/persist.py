"""The persist step: accepted messages into the store, routed."""

from __future__ import annotations

from messaging_service.application.persist import Persist
from messaging_service.application.topology import deferrals_for_opener, persist_queue
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.conversing import make_awaited
from messaging_service.domain.message import Lane
from workers.runner import Station

_AT_ONCE = {Lane.URGENT: 16, Lane.NORMAL: 64}
_LONGEST_PAUSE = {Lane.URGENT: 5.0, Lane.NORMAL: 30.0}


def stations(parts: Parts) -> list[Station]:
    """A station per lane, so that an urgent message has its own share of the worker."""
    persist = Persist(
        tenants=parts.tenants,
        keyring=parts.keyring,
        patients=parts.patients,
        accounts=parts.accounts,
        relations=parts.relations,
        threads=parts.threads,
        awaited=make_awaited(parts),
        access_log=parts.access_log,
        clock=parts.clock,
        opener_deferrals=deferrals_for_opener(parts.settings.ladder_ms),
    )
    return [
        Station(persist_queue(lane), persist, _AT_ONCE[lane], parts.store.ping, longest_pause=_LONGEST_PAUSE[lane])
        for lane in Lane
    ]
