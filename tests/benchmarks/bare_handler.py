"""What the gateway is measured against: an aiohttp handler that publishes the body it got, confirmed, and no more.

`python -m tests.benchmarks.bare_handler AMQP_URL QUEUE [--wire]` prints one JSON line with the port. It publishes as
aio-pika's guide does; with `--wire` on the driver below it, as the service does.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import uuid

import aio_pika
import uvloop
from aio_pika import DeliveryMode, Message
from aiohttp import web
from aiormq import Channel, spec


async def main(url: str, queue: str) -> None:
    """Serve until SIGTERM."""
    connection = await aio_pika.connect(url)
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    wire = await channel.get_underlay_channel()
    assert isinstance(wire, Channel)
    await wire.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})

    async def guide(request: web.Request) -> web.Response:
        message = Message(await request.read(), delivery_mode=DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key=queue, mandatory=True)
        return _accepted()

    async def bare_wire(request: web.Request) -> web.Response:
        properties = spec.Basic.Properties(delivery_mode=2, message_id=uuid.uuid4().hex)
        body = await request.read()
        await wire.basic_publish(body, routing_key=queue, properties=properties, mandatory=True, wait=False)
        return _accepted()

    app = web.Application()
    app.add_routes([web.post("/v1/messages", bare_wire if "--wire" in sys.argv else guide)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await stop.wait()
    await runner.cleanup()
    await connection.close()


def _accepted() -> web.Response:
    return web.Response(body=b'{"status":"accepted"}', status=202, content_type="application/json")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2]))
