"""Events, tickets and counts of the past are dropped."""

from __future__ import annotations

from messaging_service.application.allowances import ForgetAllowances
from messaging_service.application.event_tickets import EventTickets
from messaging_service.application.feed import Feed
from messaging_service.application.ports import Clock

KEPT_DAYS = 7
"""How long an event is kept at least; who was away for longer is told to look again at everything (`reset`)."""
_LOOKED_BACK_DAYS = 30
"""So far back days are looked at that should be empty by now: nobody may have dropped any for a while."""
_DAY_MS = 86_400_000


class ForgetEvents:
    """Drops the events of more than `KEPT_DAYS` ago, and tickets and counts that are no good any more."""

    def __init__(self, *, feed: Feed, tickets: EventTickets, allowances: ForgetAllowances, clock: Clock) -> None:
        self._allowances = allowances
        self._feed = feed
        self._tickets = tickets
        self._clock = clock

    async def __call__(self) -> int:
        """How many events were dropped. Raises StoreDown or Conflict; what is left is dropped the next time."""
        await self._tickets.forget()
        await self._allowances()
        kept_from = self._clock() // _DAY_MS - KEPT_DAYS
        return sum([await self._feed.forget(day) for day in range(kept_from - _LOOKED_BACK_DAYS, kept_from)])
