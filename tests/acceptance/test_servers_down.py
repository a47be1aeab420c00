"""Broker or database down: what is claimed, what is not, and that everything goes on afterwards."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import aiohttp
import pytest

from tests.parts.mongo import MongoServer
from tests.parts.patient import URGENT, Answer, Patient, accepted_again
from tests.parts.rabbit import RabbitNode
from tests.parts.system import System
from tests.parts.waiting import until

A_BUSY_MACHINE = 0.5
"""Seconds that this machine may take for both ends of a request while other tests keep it busy."""

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def timed_post(patient: Patient, body: str, *, key: str) -> tuple[Answer, float]:
    """The answer and how many seconds it took."""
    begun = time.monotonic()
    return await patient.post("Vraag", body, key=key), time.monotonic() - begun


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_without_the_broker_nothing_is_claimed(
    system: System, rabbit_node: RabbitNode, number: str, how: str
) -> None:
    """503 within 2 s with the notice and Retry-After, urgent or not; afterwards the retries are filed once."""
    patient = system.patient("spijkenisse", number)
    filed_before = await patient.post("Vraag", "Dit is er al door.")
    await patient.until_is(filed_before.id, "filed")
    queues = [f"{system.virtual_host}_{queue}" for queue in system.queues]
    await until(lambda: rabbit_node.remembers(*queues), "the queues are on the broker's disk")
    if how == "kill":
        rabbit_node.kill()
    else:
        rabbit_node.freeze()
    try:
        posts = [timed_post(patient, "Is de broker er?", key=f"{how}-{n}") for n in range(3)]
        results = [*await asyncio.gather(*posts), await timed_post(patient, URGENT, key=f"{how}-urgent")]
        for answer, seconds in results:
            assert answer.status == 503, answer
            assert seconds < 2 + A_BUSY_MACHINE
            assert int(answer.headers["Retry-After"]) > 0
            assert "112" in answer.body["notice"]["telephone"]
        assert (await patient.get("/health/ready")).status == 503
        assert await patient.status(filed_before.id) == "filed"
    finally:
        if how == "kill":
            await rabbit_node.started()
        else:
            rabbit_node.thaw()
    answers = [await accepted_again(patient, "Is de broker er?", key=f"{how}-{n}") for n in range(3)]
    answers.append(await accepted_again(patient, URGENT, key=f"{how}-urgent"))
    for answer in answers:
        await patient.until_is(answer.id, "filed", 60)
        assert system.filed("spijkenisse", answer.id).count == 1
    await system.ledger()


async def test_without_the_store_urgent_messages_get_in(system: System, mongo: MongoServer, number: str) -> None:
    """Normal 503, urgent 202 with the notice; the alarm goes out while the store is down; filed once it is back."""
    patient, client = system.patient("spijkenisse", number), system.patient("sein", number)
    key, told = "store-down", len(system.told.alerts_of("store-down"))
    mongo.kill()
    try:
        normal = await patient.post("Vraag", "Is de database er?")
        assert normal.status == 503
        assert int(normal.headers["Retry-After"]) > 0
        urgent = [await who.post("Pijn op de borst", URGENT, key="no-store") for who in (patient, client)]
        for answer in urgent:
            assert answer.body["urgent"]
            assert "112" in answer.body["notice"]["telephone"]
            await until(partial(system.told.alarms_of, answer.id), "on-call is told while the store is down")
        assert (await patient.get(f"/v1/messages/{urgent[0].id}")).status == 503
        assert (await patient.get("/health/ready")).status == 200
        await until(lambda: len(system.told.alerts_of(key)) > told, "operations are told")
    finally:
        mongo.start()
    for who, answer in zip((patient, client), urgent, strict=True):
        await who.until_is(answer.id, "filed", 60)
        assert system.filed(who.tenant, answer.id).count == 1
    again = await patient.post("Pijn op de borst", URGENT, key="no-store")
    assert again.id == urgent[0].id
    await until(lambda: "back" in system.told.alerts_of(key)[-1], "operations are told that it is back")
    assert not [id for id in await system.parked() if id.endswith(".persist")]
    await system.ledger()


async def test_a_frozen_store_is_a_store_that_is_down(system: System, mongo: MongoServer, number: str) -> None:
    """A database that takes connections and answers nothing: 503 for normal, 202 for urgent, both in seconds."""
    patient = system.patient("spijkenisse", number)
    mongo.freeze()
    try:
        normal, waited = await timed_post(patient, "Antwoordt de database?", key="frozen")
        assert normal.status == 503
        assert waited < 6
        urgent, waited = await timed_post(patient, URGENT, key="frozen-urgent")
        assert urgent.status == 202
        assert waited < 6
        await until(lambda: system.told.alarms_of(urgent.id), "on-call is told while the store is frozen")
    finally:
        mongo.thaw()
    await patient.until_is(urgent.id, "filed", 60)


async def test_a_service_that_starts_without_the_store_takes_urgent_messages(
    system: System, mongo: MongoServer, number: str
) -> None:
    """Every process started anew while the database is down: urgent 202, alarm out; normal 503; filed afterwards."""
    patient = system.patient("sein", number)
    mongo.kill()
    try:
        for name in system.plan:
            await system.children.kill(name)
        for name in system.plan:
            await system.children.start(name)
        await until(lambda: is_ready(system), "the gateway is ready")
        urgent = await patient.post("Pijn op de borst", URGENT)
        assert urgent.status == 202
        assert (await patient.post("Vraag", "Is de database er al?")).status == 503
        await until(lambda: system.told.alarms_of(urgent.id), "on-call is told")
    finally:
        mongo.start()
    await patient.until_is(urgent.id, "filed", 60)
    assert system.filed("sein", urgent.id).count == 1


async def test_a_gateway_that_starts_without_the_broker_shows_the_notice(
    system: System, rabbit_node: RabbitNode, number: str
) -> None:
    """It listens, is not ready, and answers 503 with the 112 notice; once the broker is up the retry is filed."""
    patient = system.patient("sein", number)
    queues = [f"{system.virtual_host}_{queue}" for queue in system.queues]
    await until(lambda: rabbit_node.remembers(*queues), "the queues are on the broker's disk")
    rabbit_node.kill()
    try:
        await system.children.kill("gateway")
        await system.children.start("gateway")
        await until(lambda: answers(patient), "the gateway listens")
        refused = await patient.post("Vraag", "Is er iemand?", key="no-broker-yet")
        assert refused.status == 503
        assert "112" in refused.body["notice"]["telephone"]
        assert not await is_ready(system)
    finally:
        await rabbit_node.started()
    answer = await accepted_again(patient, "Is er iemand?", key="no-broker-yet")
    await patient.until_is(answer.id, "filed", 60)
    assert system.filed("sein", answer.id).count == 1


async def is_ready(system: System) -> bool:
    """Whether the gateway says that it takes messages."""
    try:
        async with system.http.get(f"{system.url}/health/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def answers(patient: Patient) -> bool:
    """Whether the gateway answers at all."""
    try:
        return bool((await patient.get("/health/live")).status)
    except aiohttp.ClientError:
        return False
