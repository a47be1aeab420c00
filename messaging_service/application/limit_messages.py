"""What a message takes of its writer's and its portal's allowances: of how many there are, never of what is in it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from messaging_service.application.allowances import Allowances
from messaging_service.application.callers import Writer
from messaging_service.application.threads import Threads
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.quota import Allowance, Quota
from messaging_service.domain.refusals import TooMany

_REMEMBERED = 50_000
_BYTES = "content-bytes"


@dataclass(frozen=True, slots=True)
class Counted:
    """A message as it counts: `patient` is the keyed digest of whose it is, `size` in bytes of UTF-8."""

    writer: Writer
    patient: str
    message: str
    size: int
    urgent: bool


class LimitMessages:
    """Takes each message once. A retry is known by its id: that of the same key, patient and text is the same."""

    def __init__(self, allowances: Allowances, threads: Threads) -> None:
        self._allowances = allowances
        self._threads = threads
        self._taken: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, counted: Counted) -> tuple[Allowance, ...]:
        """Take it, and say what is left. An urgent message counts towards its portal's hard ceiling alone.

        Raises:
            TooMany: there is no room for it, and it is not stored already.
        """
        if counted.message in self._taken:
            return ()
        try:
            allowances = await self._take_all(counted)
        except TooMany:
            if await self._is_stored(counted.message):
                return ()  # a retry by way of another gateway
            raise
        self._taken[counted.message] = None
        if len(self._taken) > _REMEMBERED:
            self._taken.popitem(last=False)
        return allowances

    async def _take_all(self, counted: Counted) -> tuple[Allowance, ...]:
        tenant, wanted = counted.writer.tenant.id, _quotas(counted)
        taken: list[Allowance] = []
        try:
            for who, quota, amount in wanted:
                taken.append(await self._allowances.take(tenant, who, quota, amount))
        except TooMany:
            for who, quota, amount in wanted[: len(taken)]:
                self._allowances.give_back(tenant, who, quota, amount)
            raise
        return tuple(taken)

    async def _is_stored(self, message: str) -> bool:
        try:
            return await self._threads.message(message) is not None
        except StoreDown:
            return False  # then it is not known to be


def _quotas(counted: Counted) -> list[tuple[str, Quota, int]]:
    limits, client = counted.writer.tenant.limits, f"client {counted.writer.client}"
    if counted.urgent:
        return [(client, Quota("client-urgent", limits.client.urgent_per_minute, 60), 1)]
    return [
        (counted.patient, Quota("messages", limits.messages_per_hour, 3600), 1),
        (counted.patient, Quota("bytes", limits.bytes_per_hour, 3600, _BYTES), counted.size),
        (client, Quota("client-messages", limits.client.messages_per_minute, 60), 1),
        (client, Quota("client-bytes", limits.client.bytes_per_minute, 60, _BYTES), counted.size),
    ]
