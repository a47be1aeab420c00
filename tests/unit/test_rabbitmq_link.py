"""The connection to RabbitMQ: what an attempt that failed leaves."""

from __future__ import annotations

import asyncio
import gc
import warnings

from messaging_service.adapters.rabbitmq_link import Link
from messaging_service.domain.errors import BrokerDown
from tests.parts.system import free_port


def test_an_attempt_that_failed_leaves_nothing_to_close() -> None:
    """Another thread collects what is left of it, where the driver's own closing would never be awaited."""

    def collect(kept: list[BrokerDown]) -> None:
        kept.clear()
        gc.collect()

    async def work() -> None:
        kept: list[BrokerDown] = []
        link = Link(f"amqp://127.0.0.1:{free_port()}/", "test", 5.0, None)
        try:
            await link.channel()
        except BrokerDown as fault:
            kept.append(fault)
        await link.close()
        assert kept
        await asyncio.to_thread(collect, kept)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.disable()
        try:
            asyncio.run(work())
        finally:
            gc.enable()
    assert [str(each.message) for each in warned if "never awaited" in str(each.message)] == []
