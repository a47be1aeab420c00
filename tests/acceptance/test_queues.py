"""A queue that is missing, full, or declared otherwise: start-up or publish says so plainly, and no 202."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aiormq.abc import AbstractChannel

from tests.parts.hospitals import write_tenants
from tests.parts.patient import URGENT, accepted_again
from tests.parts.rabbit import RabbitNode
from tests.parts.system import System
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@asynccontextmanager
async def wire(system: System) -> AsyncIterator[AbstractChannel]:
    """A channel of an operator's own."""
    async with (
        await aio_pika.connect(system.children.environment["MESSAGING_BROKER"]) as connection,
        connection.channel() as channel,
    ):
        yield await channel.get_underlay_channel()


@asynccontextmanager
async def policy(node: RabbitNode, system: System, queue: str, definition: str) -> AsyncIterator[None]:
    """An operator's policy on one queue, for a while."""
    host = system.children.environment["MESSAGING_BROKER"].rpartition("/")[2]
    pattern = f"^{queue.replace('.', '[.]')}$"
    await asyncio.to_thread(node.ctl, "set_policy", "-p", host, "test", pattern, definition, "--apply-to", "queues")
    try:
        yield
    finally:
        await asyncio.to_thread(node.ctl, "clear_policy", "-p", host, "test")


async def test_a_missing_queue_is_no_202(system: System, number: str) -> None:
    """503 and a log line that says which kind of fault; declared again, the retry is filed."""
    patient = system.patient("sein", number)
    async with wire(system) as channel:
        await channel.queue_delete("persist.normal")
    answer = await patient.post("Vraag", "Is de wachtrij er?", key="missing")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "112" in answer.body["notice"]["telephone"]
    assert "QueueMissing" in system.children.log("gateway")
    assert "persist.normal" in (await system.children.command("queues")).err
    declared = await system.children.command("queues", "declare")
    assert declared.status == 0, declared.err
    again = await patient.post("Vraag", "Is de wachtrij er?", key="missing")
    await patient.until_is(again.id, "filed", 60)
    assert system.filed("sein", again.id).count == 1


async def test_a_missing_alarm_queue_is_no_202_for_an_urgent_message(system: System, number: str) -> None:
    """An urgent message is claimed only when the alarm is queued as well; the retry raises it, filed once."""
    client = system.patient("sein", number)
    async with wire(system) as channel:
        await channel.queue_delete("escalate.sein")
    answer = await client.post("Pijn op de borst", URGENT, key="no-alarm")
    assert answer.status == 503
    assert "112" in answer.body["notice"]["telephone"]
    declared = await system.children.command("queues", "declare")
    assert declared.status == 0, declared.err
    again = await client.post("Pijn op de borst", URGENT, key="no-alarm")
    await until(lambda: system.told.alarms_of(again.id), "on-call is told")
    await client.until_is(again.id, "filed")
    assert system.filed("sein", again.id).count == 1
    await system.ledger()


async def test_a_full_queue_is_no_202(system: System, rabbit_node: RabbitNode, number: str) -> None:
    """Past its limit it refuses: 503 queue-full with Retry-After, until the limit is lifted; what it took is filed."""
    patient = system.patient("spijkenisse", number)
    system.children.freeze("persist")
    try:
        async with policy(rabbit_node, system, "persist.normal", '{"max-length": 3}'):
            answers = [await patient.post("Vraag", f"Past dit er nog bij? {n}", key=f"full-{n}") for n in range(80)]
        room_again = await accepted_again(patient, "Is er weer plaats?", key="room-again")
        answers.append(room_again)
    finally:
        system.children.thaw("persist")
    refused = [answer for answer in answers if answer.status != 202]
    assert refused, "the queue took everything"
    for answer in refused:
        assert answer.status == 503
        assert answer.body["type"].endswith("queue-full")
        assert int(answer.headers["Retry-After"]) > 0
    accepted = [answer for answer in answers if answer.status == 202]
    for answer in accepted:
        await patient.until_is(answer.id, "filed", 60)
    inbox = system.epds["spijkenisse"].inbox
    assert {id for id in inbox if f"{number}^^^ZKH^PI" in inbox[id].patient_ids} == {answer.id for answer in accepted}


async def test_a_broker_short_of_memory_or_disk_takes_nothing(
    system: System, rabbit_node: RabbitNode, number: str
) -> None:
    """Under either alarm 503 with the notice, soon without waiting for the broker; then the retry is filed once."""
    patient = system.patient("spijkenisse", number)

    async def full() -> bool:
        answer = await patient.post("Vraag", "Past dit nog?", key="alarm")
        assert (answer.status, int(answer.headers["Retry-After"]) > 0) == (503, True)
        assert "112" in answer.body["notice"]["telephone"]
        return bool(answer.body["type"].endswith("queue-full"))

    async def refused() -> None:
        await until(full, "the gateway knows of the alarm")
        urgent = await patient.post("Pijn op de borst", URGENT, key="alarm-urgent")
        assert (urgent.status, urgent.body["type"].endswith("queue-full")) == (503, True)

    try:
        await asyncio.to_thread(rabbit_node.raise_memory_alarm)
        await refused()
        await asyncio.to_thread(rabbit_node.raise_disk_alarm)
        await asyncio.to_thread(rabbit_node.clear_memory_alarm)
        await refused()
    finally:
        await asyncio.to_thread(rabbit_node.clear_disk_alarm)
        await asyncio.to_thread(rabbit_node.clear_memory_alarm)
    for body, key in (("Past dit nog?", "alarm"), (URGENT, "alarm-urgent")):
        answer = await accepted_again(patient, body, key=key)
        await patient.until_is(answer.id, "filed", 60)
        assert system.filed("spijkenisse", answer.id).count == 1


async def test_a_queue_with_other_arguments_stops_the_start(system: System) -> None:
    """A queue that was declared otherwise: gateway and worker end at once, naming the queue and the remedy."""
    tenants = system.folder / "tenants-and-one-more"
    write_tenants(tenants)
    one_more = (tenants / "sein.toml").read_text().replace('"sein"', '"other"').replace("login.sein", "login.other")
    (tenants / "other.toml").write_text(one_more)
    environment = {**system.children.environment, "MESSAGING_TENANTS": str(tenants)}
    async with wire(system) as channel:
        await channel.queue_declare("notify.other", durable=True)
        try:
            for command in (("gateway",), ("worker", "notify"), ("queues", "declare")):
                done = await system.children.command(*command, environment=environment)
                assert done.status == 2, done.err
                assert "notify.other" in done.err
                assert "queues declare" in done.err
        finally:
            for queue in ("file.other.urgent", "file.other.normal", "escalate.other", "notify.other"):
                await channel.queue_delete(queue)
