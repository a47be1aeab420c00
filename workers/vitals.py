"""Beside its work every process says that it runs, samples, watches the alarms' way, and tells alerts again."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from messaging_service.application.processes import BEAT_SECONDS
from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.alarming import make_watch_rehearsals
from messaging_service.bootstrap.operating import make_presence, make_sampler
from messaging_service.domain.errors import Conflict, ServerFault

log = structlog.get_logger()

_BEATS_A_SAMPLE = 6


async def keep_vitals(parts: Parts, stop: asyncio.Event) -> None:
    """Write until `stop`, and once more then. A server that is down is waited for; nothing else waits for this."""
    presence, sampler, watch = make_presence(parts), make_sampler(parts), make_watch_rehearsals(parts)
    beats = 0
    while not stop.is_set():
        try:
            await presence()
            if beats % _BEATS_A_SAMPLE == 0:
                await watch()
                await parts.alerts.retell()
                await sampler()  # last: without the broker it cannot, and alerts still go out
        except (ServerFault, Conflict) as problem:
            log.warning("vitals_wait", error=type(problem).__name__)
        beats += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), BEAT_SECONDS)
    with suppress(ServerFault, Conflict):
        await sampler()
        await presence.leave()
