"""Publishing to RabbitMQ: every publish ends in time, with a confirm or with what is known of the outcome."""

from __future__ import annotations

import asyncio
import itertools

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq import Channel as Wire
from aiormq import spec

from messaging_service.adapters.rabbitmq_link import Link
from messaging_service.adapters.rabbitmq_outbox import Outbox
from messaging_service.application.ports import Envelope
from messaging_service.domain.errors import BrokerDown, PublishUnknown, QueueMissing, QueueRefused

PERSISTENT = 2

RENEW_SECONDS = 1.0
"""A channel that was refused is replaced at most this often."""


class Publisher:
    """Publishes over one channel of `link`, confirms pipelined."""

    def __init__(self, link: Link, timeout: float) -> None:
        """`timeout` in seconds, for one publish, connecting included."""
        self._link = link
        self._timeout = timeout
        self._channel: AbstractChannel | None = None
        self._outbox: Outbox | None = None
        self._opening = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._renew_due = 0.0

    async def publish(self, exchange: str, routing_key: str, envelope: Envelope) -> None:
        """One persistent, mandatory publish; raises as `Broker.publish` says."""
        deadline = asyncio.get_running_loop().time() + self._timeout
        outbox = self._outbox if self._outbox is not None and not self._outbox.is_closed else await self.open()
        if self._link.blocked():
            raise QueueRefused("the broker has a memory or disk alarm")
        try:
            async with asyncio.timeout_at(deadline):
                await outbox.publish(exchange, routing_key, envelope.body, self._properties(envelope))
        except PublishError as error:
            raise QueueMissing(routing_key) from error
        except DeliveryError as error:
            self._renew_channel(outbox)
            raise QueueRefused(routing_key) from error
        except TimeoutError as error:
            self._retire(outbox)
            raise PublishUnknown(f"no confirm within {self._timeout} s") from error

    async def open(self) -> Outbox:
        """Have a channel ready; the first caller opens it, the others find it.

        Raises:
            BrokerDown: no connection, or no answer within the connect time-out.
        """
        try:
            async with asyncio.timeout(self._link.connect_timeout), self._opening:
                if self._outbox is None or self._outbox.is_closed:
                    self._channel = await self._link.channel()
                    wire = await self._channel.get_underlay_channel()
                    assert isinstance(wire, Wire)
                    self._outbox = Outbox(wire)
                return self._outbox
        except TimeoutError as error:
            raise BrokerDown(f"no channel within {self._link.connect_timeout} s") from error

    def _properties(self, envelope: Envelope) -> spec.Basic.Properties:
        """`correlation_id` is the message's id; `message_id` is this publish's own.

        The driver finds the publish that was returned by `message_id`: were it shared by two publishes of
        one message, the return of the one would fall on the other, and the lost one would count as confirmed.
        """
        return spec.Basic.Properties(
            message_id=f"{envelope.message_id}.{next(self._numbers)}",
            correlation_id=envelope.message_id,
            message_type=envelope.kind,
            headers=dict(envelope.headers),
            delivery_mode=PERSISTENT,
        )

    def _renew_channel(self, outbox: Outbox) -> None:
        """After a refusal go on over a new channel.

        RabbitMQ refuses on the old one for ever, when the limit that was reached is raised or cleared: a full
        quorum queue tells its publishers to stop, and tells them to go on only when it is drained below that limit.
        """
        now = asyncio.get_running_loop().time()
        if outbox is self._outbox and self._channel is not None and now >= self._renew_due:
            self._renew_due = now + RENEW_SECONDS
            self._link.retire_channel(self._channel, grace=self._timeout)
            self._channel = self._outbox = None

    def _retire(self, outbox: Outbox) -> None:
        """After a time-out go on over a new connection, lest every later publish wait as long for a dead one.

        Not while the broker blocks publishers: a new connection would only learn that again.
        """
        if outbox is self._outbox and not self._link.blocked():
            self._channel = self._outbox = None
            self._link.retire(grace=self._timeout)
