"""A start waits for its servers and says so once; a stop finishes what is in hand, or gives it back in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from messaging_service.application.alerts import OWED, Alert
from messaging_service.application.codec import outgoing, to_document
from messaging_service.application.collections import ALERTS
from messaging_service.bootstrap import open_parts
from messaging_service.config import Settings
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.filing import FilingState
from messaging_service.domain.message import Step
from messaging_service.serving import end_in_time, serve_app
from tests.parts.filing import Hospital, hospital
from tests.parts.hospitals import write_tenants
from tests.parts.service import LADDER_MS, PATIENCE, Service, eventually, persisted_event
from tests.parts.system import free_port
from workers.clock import again_and_again
from workers.process import run_steps
from workers.runner import Runner, Station
from workers.vitals import keep_vitals

QUEUE = "file.spijkenisse.normal"
QUEUES = ["file.sein.normal", "file.sein.urgent", QUEUE, "file.spijkenisse.urgent"]


async def broken_off(work: Callable[[asyncio.Event], object], begun: Callable[[], bool], seconds: float) -> list[str]:
    """Run work until it has begun, tell it to stop, and wait: the events that were logged."""
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        running = asyncio.create_task(end_in_time(work(stop), stop, seconds))  # type: ignore[arg-type]
        await eventually(begun)
        stop.set()
        await asyncio.wait_for(running, PATIENCE)
    return [line["event"] for line in lines if line["event"].startswith("stop")]


@asynccontextmanager
async def filing(service: Service, mode: str) -> AsyncIterator[tuple[Hospital, str]]:
    """A message on the queue of the file step, whose EPD takes its time."""
    async with hospital(service, mode, ack_timeout=60.0) as at:
        at.epd.slow_seconds = 0.3
        message = await service.persisted()
        follows = outgoing(QUEUE, persisted_event(message))
        await service.broker.publish(follows.queue, follows.envelope)
        yield at, message.id


def runner(service: Service, at: Hospital, stop: asyncio.Event) -> Runner:
    """The file step."""
    station = Station(QUEUE, at.file, 4, service.store.ping, "spijkenisse")
    return Runner(
        station, broker=service.broker, alerts=service.alerts, meter=service.meter, ladder_ms=LADDER_MS, stop=stop
    )


async def test_a_message_that_is_being_sent_is_finished(service: Service) -> None:
    """Stopped while the EPD takes its time: the answer is awaited, kept as proof, and the delivery acknowledged."""
    async with filing(service, "slow") as (at, id):
        said = await broken_off(lambda stop: runner(service, at, stop).run(), lambda: bool(at.epd.frames), PATIENCE)
        assert said == ["stopping"]
        assert [attempt.code for attempt in (await at.filing(id)).attempts] == ["AA"]
        assert await service.queued(QUEUE) == []


async def test_a_message_that_takes_too_long_goes_back(service: Service) -> None:
    """The EPD never answers: in time the step ends, the message is in its queue, and is filed under its ids later."""
    async with filing(service, "hang") as (at, id):
        said = await broken_off(lambda stop: runner(service, at, stop).run(), lambda: bool(at.epd.frames), 0.2)
        assert said == ["stopping", "stop_broke_off"]
        assert (await at.filing(id)).state is FilingState.SENDING
        assert [each.message_id for each in await service.queued(QUEUE)] == [id]
        await at.epd.set_mode("normal")
        service.clock.minutes(2)
        await at.carry_out(1)
        assert (await at.filing(id)).state is FilingState.FILED
        assert len(set(at.epd.inbox[id].control_ids)) == 1


async def test_work_of_the_clock_is_broken_off(service: Service) -> None:
    """What the clock asked for and hangs is ended; it is done in a later round."""
    begun = asyncio.Event()

    async def hangs() -> None:
        begun.set()
        await asyncio.Event().wait()

    said = await broken_off(lambda stop: again_and_again("retain", hangs, stop), begun.is_set, 0.1)
    assert said == ["stopping", "stop_broke_off"]


async def test_a_gateway_answers_what_it_has_begun(settings: Settings) -> None:
    """Stopped in the middle of a request: nobody else gets in, and this one has its answer."""
    begun, may_end, stop = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(_request: web.Request) -> web.Response:
        begun.set()
        await may_end.wait()
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/", handle)
    url = f"http://{settings.listen}"

    async def shut() -> bool:
        try:
            async with aiohttp.ClientSession() as another, another.get(url):
                return False
        except aiohttp.ClientConnectorError:
            return True

    async with aiohttp.ClientSession() as http:
        serving = asyncio.create_task(end_in_time(serve_app(app, settings, settings.listen, stop), stop, PATIENCE))
        asked = asyncio.create_task(_post(http, url))
        await asyncio.wait_for(begun.wait(), PATIENCE)
        stop.set()
        await eventually(shut)
        may_end.set()
        assert await asyncio.wait_for(asked, PATIENCE) == 202
        await asyncio.wait_for(serving, PATIENCE)


async def _post(http: aiohttp.ClientSession, url: str) -> int:
    while True:
        try:
            async with http.post(url) as answer:
                return answer.status
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.01)  # it does not listen yet


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a service whose store and broker are not there."""
    for name in ("EPD", "ON_CALL", "ISSUER", "JWKS", "STAFF_ISSUER", "STAFF_JWKS", "ON_CALL_SECRET"):
        for tenant in write_tenants(tmp_path / "tenants"):
            monkeypatch.setenv(f"{tenant.upper()}_{name}", "mllp://127.0.0.1:9" if name == "EPD" else "file:/nowhere")
    monkeypatch.setenv("PORTAL", "http://127.0.0.1:9/events")
    Keyring.create(tmp_path / "keyring.json", ["spijkenisse", "sein"])
    return Settings(
        broker=f"amqp://127.0.0.1:{free_port()}/",
        store=f"mongodb://127.0.0.1:{free_port()}/x",
        keyring=tmp_path / "keyring.json",
        tenants=tmp_path / "tenants",
        listen=f"127.0.0.1:{free_port()}",
    )


def test_a_stop_while_the_broker_is_down_says_one_line(
    settings: Settings, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """No broker from first to last: waited for once, a circuit a queue, one `stopping`; nothing by libraries."""
    ours = msgspec.structs.replace(settings, store=f"sqlite:{tmp_path}/documents.sqlite")

    async def work() -> None:
        stop = asyncio.Event()
        async with open_parts(ours, "test", wait=True) as parts:
            working = asyncio.create_task(end_in_time(run_steps(parts, [Step.FILE], stop), stop, PATIENCE))
            await eventually(lambda: [line["event"] for line in lines].count("circuit_open") == len(QUEUES))
            stop.set()
            await asyncio.wait_for(working, PATIENCE)

    with structlog.testing.capture_logs() as lines:
        asyncio.run(work())
    said = [line["event"] for line in lines if line["event"] != "operations_told"]
    assert said == ["waiting_for_server", *["circuit_open"] * len(QUEUES), "stopping"]
    assert [record.name for record in caplog.records] == []


async def test_a_process_tells_alerts_again(settings: Settings, tmp_path: Path) -> None:
    """What another process could not tell is posted by one that starts, though the broker is not there."""
    posts = []

    async def take(request: web.Request) -> web.Response:
        posts.append((await request.json())["key"])
        return web.Response()

    app, stop = web.Application(), asyncio.Event()
    app.router.add_post("/", take)
    async with TestServer(app, host="127.0.0.1") as channel:
        ours = msgspec.structs.replace(
            settings, store=f"sqlite:{tmp_path}/documents.sqlite", ops_webhook=str(channel.make_url("/"))
        )
        async with open_parts(ours, "test", wait=True) as parts:
            alert = Alert("epd-down sein", parts.clock(), state=OWED, owed="down")
            await parts.store.insert(ALERTS, [to_document(alert)])
            vitals = asyncio.create_task(keep_vitals(parts, stop))
            await eventually(lambda: posts == ["epd-down sein"])
            stop.set()
            await asyncio.wait_for(vitals, PATIENCE)


async def test_servers_that_are_not_there_are_waited_for(settings: Settings) -> None:
    """Neither store nor broker: one line each, naming the setting, no stack trace; meanwhile the process works."""
    with structlog.testing.capture_logs() as lines:
        async with open_parts(settings, "test", wait=True) as parts:
            assert parts.tenants
    assert [line["setting"] for line in lines] == ["MESSAGING_STORE", "MESSAGING_BROKER"]
    assert {line["event"] for line in lines} == {"waiting_for_server"}
    assert not any("exc_info" in line for line in lines)
