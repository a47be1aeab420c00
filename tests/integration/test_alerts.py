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


async def test_one_post_fails(service: Service) -> None:
    """The webhook answers 500 once: who keeps the alert alive tells it again, once; then its end is told."""
    service.operations.down = True
    await service.alerts.begin(KEY, "down")
    service.operations.down = False
    for _ in range(60):
        service.clock.minutes(1)
        await service.alerts.begin(KEY, "down")
    await service.alerts.end(KEY, "back")
    assert service.operations.told == [(KEY, "down"), (KEY, "back")]


async def test_another_process_tells_what_nobody_repeats(service: Service) -> None:
    """Begun once, by a process that died since, and not taken: the look of another tells it, and tells it once."""
    service.operations.down = True
    await service.another().alerts.begin(KEY, "down")
    service.operations.down = False
    for _ in range(3):
        service.clock.minutes(1)
        await asyncio.gather(*(service.another().alerts.retell() for _ in range(5)))
    assert service.operations.told == [(KEY, "down")]


async def test_telling_again_is_bounded(service: Service) -> None:
    """The channel takes nothing for two days: many tell it ever more seldom, and give it up a day after the begin."""
    service.operations.down = True
    processes = [service.another().alerts for _ in range(3)]
    await processes[0].begin(KEY, "down")
    for _ in range(30):
        service.clock.minutes(1)
        for alerts in processes:
            await alerts.retell()
    assert service.operations.refused == 6  # after 0, 1, 3, 7, 15 and 30 minutes
    service.clock.minutes(24 * 60)
    await processes[1].retell()
    assert await service.store.get(ALERTS, KEY) is None
    assert service.operations.refused == 6


async def test_the_end_of_what_nobody_heard_of(service: Service) -> None:
    """It was over before any post was taken: neither is told, nor is it told again later."""
    service.operations.down = True
    await service.alerts.begin(KEY, "down")
    service.operations.down = False
    await service.another().alerts.end(KEY, "back")
    service.clock.minutes(20)
    await service.alerts.retell()
    assert service.operations.told == []
    assert await service.store.get(ALERTS, KEY) is None


async def test_the_post_of_an_end_fails(service: Service) -> None:
    """The end is told again as well, unless it has begun anew before that: then that is told."""
    await service.alerts.begin(KEY, "down")
    service.operations.down = True
    await service.alerts.end(KEY, "back")
    service.clock.minutes(1)
    await service.alerts.begin(KEY, "down again")
    service.operations.down = False
    await service.alerts.retell()
    assert service.operations.told == [(KEY, "down")]
    service.clock.minutes(1)
    await service.alerts.begin(KEY, "down again")
    service.operations.down = True
    await service.alerts.end(KEY, "back")
    service.operations.down = False
    service.clock.minutes(1)
    await service.another().alerts.retell()
    assert service.operations.told == [(KEY, "down"), (KEY, "down again"), (KEY, "back")]


@pytest.mark.parametrize("taken", [True, False])
async def test_it_ends_while_its_begin_is_posted(service: Service, taken: bool) -> None:
    """Another process sees the end meanwhile: told at the next look where the begin was taken, and else never."""
    other = service.another().alerts

    class Slow:
        """A channel during whose post the other process ends the alert."""

        async def tell(self, key: str, text: str) -> bool:
            await other.end(key, "back")
            return taken

    await Alerts(service.store, Slow(), service.clock).begin(KEY, "down")
    await service.alerts.retell()
    assert service.operations.told == ([(KEY, "back")] if taken else [])
    assert await service.store.get(ALERTS, KEY) is None


async def test_without_the_store_it_is_told_again(service: Service) -> None:
    """The store and the channel are down together: the process tells it by itself once the channel takes it."""
    service.store.down = service.operations.down = True
    await service.alerts.begin("store-down", "down")
    service.operations.down = False
    for _ in range(3):
        service.clock.minutes(1)
        await service.alerts.begin("store-down", "down")
    service.store.down = False
    await service.alerts.end("store-down", "back")
    assert service.operations.told == [("store-down", "down"), ("store-down", "back")]


async def test_what_an_older_release_wrote(service: Service) -> None:
    """An alert that stands in the form of 0.1.0 is taken for told: kept alive, and ended once."""
    await service.store.insert(ALERTS, [{"id": KEY, "at": service.clock()}])
    await service.alerts.begin(KEY, "down")
    await service.alerts.retell()
    await service.alerts.end(KEY, "back")
    assert service.operations.told == [(KEY, "back")]
