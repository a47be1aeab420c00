"""A worker process: the stations of one step or of several, until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from messaging_service.bootstrap import Parts
from messaging_service.domain.message import Step
from workers import escalate, file, notify, park, persist
from workers.runner import Runner, Station

STEPS: dict[Step, Callable[[Parts], list[Station]]] = {
    Step.PERSIST: persist.stations,
    Step.FILE: file.stations,
    Step.ESCALATE: escalate.stations,
    Step.NOTIFY: notify.stations,
    Step.PARK: park.stations,
}


async def run_steps(parts: Parts, steps: Sequence[Step], stop: asyncio.Event) -> None:
    """Run these steps until `stop` is set and all that is in hand is done. One that fails stops the others."""
    stations = [station for step in steps for station in STEPS[step](parts)]
    async with asyncio.TaskGroup() as running:
        for station in stations:
            runner = Runner(
                station,
                broker=parts.broker,
                alerts=parts.alerts,
                meter=parts.metrics,
                ladder_ms=parts.settings.ladder_ms,
                stop=stop,
                traces=parts.traces,
            )
            running.create_task(runner.run(), name=station.queue)
