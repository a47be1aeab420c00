"""The queues as RabbitMQ needs them declared, right on 3.10 and on 4.x alike."""

from __future__ import annotations

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelPreconditionFailed
from pamqp.common import FieldTable

from messaging_service.application.ports import QueueDeclaration, Topology
from messaging_service.domain.errors import TopologyMismatch

DEFAULT_EXCHANGE = ""

NEVER = 1_000_000_000
"""Delivery limit without a dead letter queue: unset, 4.x drops after 20; -1 on 3.10 drops after one."""

DURABLE: FieldTable = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}

DEAD_LETTERING: FieldTable = {
    **DURABLE,
    "x-dead-letter-strategy": "at-least-once",
    "x-dead-letter-exchange": DEFAULT_EXCHANGE,
}
"""It takes quorum, reject-publish and a dead letter exchange: one missing, it is silently at most once."""


def delay_rung(delay_ms: int) -> str:
    """The name of a rung's exchange and of its queue."""
    return f"delay.{delay_ms}"


def queue_arguments(queue: QueueDeclaration) -> FieldTable:
    """What a queue is declared with; RabbitMQ never changes these afterwards."""
    if queue.dead_letter is None:
        arguments: FieldTable = {**DURABLE, "x-delivery-limit": NEVER}
    else:
        arguments = {
            **DEAD_LETTERING,
            "x-dead-letter-routing-key": queue.dead_letter,
            "x-delivery-limit": queue.delivery_limit,
        }
    if queue.max_length is not None:
        arguments["x-max-length"] = queue.max_length
    return arguments


async def declare(channel: AbstractChannel, topology: Topology) -> None:
    """Declare every queue and rung.

    Raises:
        TopologyMismatch: one exists with other arguments; names it and the first argument that differs.
    """
    for queue in topology.queues:
        await _declare_queue(channel, queue.name, queue_arguments(queue))
    for delay_ms in topology.delays:
        await _declare_rung(channel, delay_ms)


async def _declare_rung(channel: AbstractChannel, delay_ms: int) -> None:
    """What expires in the rung goes to the default exchange under the key it came with: its own queue."""
    name = delay_rung(delay_ms)
    wire = await channel.get_underlay_channel()
    await _declare_queue(channel, name, {**DEAD_LETTERING, "x-message-ttl": delay_ms, "x-delivery-limit": NEVER})
    try:
        await wire.exchange_declare(name, exchange_type="fanout", durable=True)
    except ChannelPreconditionFailed as error:
        raise TopologyMismatch(f"exchange {name}: {error}") from error
    await wire.queue_bind(name, name)


async def _declare_queue(channel: AbstractChannel, name: str, arguments: FieldTable) -> None:
    wire = await channel.get_underlay_channel()
    try:
        await wire.queue_declare(name, durable=True, arguments=arguments)
    except ChannelPreconditionFailed as error:
        raise TopologyMismatch(f"queue {name}: {error}") from error
