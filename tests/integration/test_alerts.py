"""Alerts: once when it begins, once when it ends, whoever notices and whatever the store does."""

from __future__ import annotations

import asyncio

import pytest

from messaging_service.application.alerts import Alerts
from messaging_service.application.collections import ALERTS
from tests.parts.service import Service

KEY = "epd-down sein"


async def test_many_notice_one_is_told(service: Service) -> None:
    """Ten processes see the same server go and come: one alert, one all-clear."""
    processes = [Alerts(service.store, service.operations, service.clock) for _ in range(10)]
    await asyncio.gather(*(alerts.begin(KEY, "down") for alerts in processes))
    await asyncio.gather(*(alerts.end(KEY, "back") for alerts in processes))
    assert service.operations.told == [(KEY, "down"), (KEY, "back")]


async def test_a_later_outage_is_told_again(service: Service) -> None:
    """Down, back, down: three times told."""
    for text, call in (("down", service.alerts.begin), ("back", service.alerts.end), ("again", service.alerts.begin)):
        await call(KEY, text)
    assert [text for _, text in service.operations.told] == ["down", "back", "again"]


async def test_keys_are_told_apart(service: Service) -> None:
    """One tenant's EPD says nothing of another's."""
    await service.alerts.begin(KEY, "down")
    await service.alerts.begin("epd-down spijkenisse", "down")
    await service.alerts.end(KEY, "back")
    assert service.operations.keys == [KEY, "epd-down spijkenisse", KEY]


async def test_the_store_is_what_is_down(service: Service) -> None:
    """Without the store the alert is told by this process, once; and the all-clear too, though nothing was kept."""
    service.store.down = True
    await service.alerts.begin("store-down", "down")
    service.clock.minutes(2)
    await service.alerts.begin("store-down", "down")
    service.store.down = False
    await service.alerts.end("store-down", "back")
    assert service.operations.told == [("store-down", "down"), ("store-down", "back")]


async def test_the_store_comes_back_first(service: Service) -> None:
    """Told while the store was down, kept alive once it is back: not told a second time, and ended once."""
    service.store.down = True
    await service.alerts.begin(KEY, "down")
    service.store.down = False
    service.clock.minutes(2)
    await service.alerts.begin(KEY, "down")
    await service.alerts.end(KEY, "back")
    assert service.operations.told == [(KEY, "down"), (KEY, "back")]


async def test_the_store_goes_meanwhile(service: Service) -> None:
    """The store fails before the end: who raised the alert tells that it is over."""
    await service.alerts.begin(KEY, "down")
    service.store.down = True
    await service.alerts.end(KEY, "back")
    assert [text for _, text in service.operations.told] == ["down", "back"]


@pytest.mark.parametrize(("minutes", "told"), [(5, 1), (11, 2)])
async def test_an_alert_of_a_dead_process_is_forgotten(service: Service, minutes: int, told: int) -> None:
    """A process died with its alert standing: it silences the next one for ten minutes, and no longer."""
    await service.another().alerts.begin(KEY, "down")
    service.clock.minutes(minutes)
    await service.alerts.begin(KEY, "down")
    assert len(service.operations.told) == told


async def test_an_alert_that_is_kept_alive_stays_one(service: Service) -> None:
    """Hours of outage with a process that waits: told once, also by one that starts meanwhile."""
    for _ in range(60):
        await service.alerts.begin(KEY, "down")
        service.clock.minutes(2)
    await service.another().alerts.begin(KEY, "down")
    assert len(service.operations.told) == 1


async def test_ending_what_never_began_is_silent(service: Service) -> None:
    """Nobody is told of an end without a beginning."""
    await service.alerts.end(KEY, "back")
    assert service.operations.told == []
    assert await service.store.get(ALERTS, KEY) is None
