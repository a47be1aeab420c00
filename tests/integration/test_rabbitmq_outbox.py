"""Publishes that leave together: whole, in order, each with its own confirm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from messaging_service.adapters.rabbitmq import RabbitBroker
from messaging_service.application.ports import Envelope, QueueDeclaration, Topology
from messaging_service.domain.errors import QueueMissing
from tests.parts.rabbit import RabbitNode

LONGER_THAN_A_FRAME = 300_000
"""The node and the driver agree on frames of 131,072 bytes."""


@pytest.fixture
async def broker(rabbit_node: RabbitNode) -> AsyncIterator[RabbitBroker]:
    """A broker on the run's node."""
    broker = RabbitBroker(rabbit_node.url)
    await broker.open()
    yield broker
    await broker.close()


@pytest.fixture
async def queue(broker: RabbitBroker) -> str:
    """A queue of its own."""
    name = f"outbox-{uuid4().hex}"
    await broker.declare(Topology((QueueDeclaration(name, dead_letter=None),), ()))
    return name


async def test_what_leaves_together_arrives_whole_and_in_order(broker: RabbitBroker, queue: str) -> None:
    """Empty, small and many-framed bodies of one turn of the loop come out as they went in."""
    sizes = [1, LONGER_THAN_A_FRAME, 0, 131_064, 131_065, 7]
    bodies = [bytes([number]) * size for number, size in enumerate(sizes)]
    envelopes = [Envelope(f"m{number}", "Kind", body, {"n": number}) for number, body in enumerate(bodies)]
    await asyncio.gather(*(broker.publish(queue, envelope) for envelope in envelopes))
    async with broker.consume(queue, len(bodies)) as deliveries:
        assert [(await anext(deliveries)).envelope for _ in bodies] == envelopes


async def test_each_confirm_finds_its_own_publish(broker: RabbitBroker, queue: str) -> None:
    """Of publishes that leave together, the ones to a queue that is not there fail, and only those."""
    targets = [queue if number % 3 else "nowhere" for number in range(30)]
    publishes = [broker.publish(target, Envelope(f"m{n}", "Kind", b"x")) for n, target in enumerate(targets)]
    outcomes = await asyncio.gather(*publishes, return_exceptions=True)
    assert [isinstance(outcome, QueueMissing) for outcome in outcomes] == [target == "nowhere" for target in targets]
    assert (await broker.depths([queue]))[queue].ready == 20


async def test_a_publisher_who_gives_up_takes_no_other_confirm(broker: RabbitBroker, queue: str) -> None:
    """A cancelled publish does not shift the confirms of those around it."""
    tasks = [asyncio.create_task(broker.publish(queue, Envelope(f"m{n}", "Kind", b"x"))) for n in range(9)]
    await asyncio.sleep(0)
    tasks[4].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        asyncio.CancelledError if n == 4 else type(None) for n in range(9)
    ]
