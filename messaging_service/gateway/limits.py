"""How much one patient and one caller may send, per gateway: token buckets with bounded memory."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

from messaging_service.domain.refusals import TooMany

_BUCKETS = 50_000


class RateLimit:
    """`amount` in `seconds`, as a bucket that fills evenly. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, amount: int, seconds: float) -> None:
        """Take one from the bucket of `key`.

        Raises:
            TooMany: it is empty; says in how many seconds it holds one again.
        """
        now, rate = self._monotonic(), amount / seconds
        level, at = self._levels.pop(key, (float(amount), now))
        level = min(float(amount), level + (now - at) * rate)
        self._levels[key] = (max(level - 1, 0) if level >= 1 else level, now)
        if len(self._levels) > _BUCKETS:
            self._levels.popitem(last=False)
        if level < 1:
            raise TooMany(math.ceil((1 - level) / rate))
