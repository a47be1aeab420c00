"""The file step: persisted messages into the EPD, with the acknowledgement as proof."""

from __future__ import annotations

from messaging_service.application.compose import Compose
from messaging_service.application.file import EpdLine, File
from messaging_service.application.topology import file_queue
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.receiving import make_epd_lines
from messaging_service.domain.message import Lane
from workers.runner import Station

_URGENT_AT_ONCE = 4
_URGENT_PAUSE = 5.0
_AT_LEAST_AT_ONCE = 32
_AT_ONCE_PER_CONNECTION = 4


def stations(parts: Parts) -> list[Station]:
    """A station per tenant and lane: an EPD that is slow or down slows nobody else."""
    lines = make_epd_lines(parts)
    file = File(
        lines=lines,
        compose=Compose(parts.patients, parts.threads),
        threads=parts.threads,
        changes=parts.changes,
        access_log=parts.access_log,
        alerts=parts.alerts,
        meter=parts.metrics,
        clock=parts.clock,
    )
    return [_station(parts, file, line, lane) for line in lines.values() for lane in Lane]


def _station(parts: Parts, file: File, line: EpdLine, lane: Lane) -> Station:
    async def probe() -> None:
        await parts.store.ping()
        await line.epd.probe()

    queue, tenant = file_queue(line.tenant.id, lane), line.tenant
    if lane is Lane.URGENT:
        return Station(queue, file, _URGENT_AT_ONCE, probe, tenant.id, longest_pause=_URGENT_PAUSE)
    return Station(queue, file, at_once(tenant.epd.connections), probe, tenant.id)


def at_once(connections: int) -> int:
    """How many messages of the normal lane are in hand.

    While one of a connection waits for its acknowledgement, others are read, rendered and recorded; and the more of
    them there are, the more share a commit.
    """
    return max(_AT_LEAST_AT_ONCE, _AT_ONCE_PER_CONNECTION * connections)
