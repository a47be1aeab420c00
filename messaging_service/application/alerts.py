"""One alert when a server goes down and one when it is back, however many workers notice; told until it is taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import ALERTS
from messaging_service.application.ports import Clock, DocumentStore, Operations
from messaging_service.domain.errors import StoreDown

OWED, TOLD = "owed", "told"

_MINUTE_MS = 60_000
_KEPT_ALIVE_MS = _MINUTE_MS
_FORGOTTEN_AFTER_MS = 10 * _MINUTE_MS
_POST_MS = 30_000
"""A post takes 5 s at most. One that is under way for longer is of a process that died."""

_LONGEST_PAUSE_MS = 15 * _MINUTE_MS
_GIVEN_UP_AFTER_MS = 24 * 60 * _MINUTE_MS
_AT_ONCE = 20
_TRIES = 16


@dataclass(frozen=True, slots=True)
class Alert:
    """One that stands; or that is over (`ended`) while its end is still to be told.

    `at` is when it was last kept alive. `owed` is the text that the channel has not taken, `due_at` when it is tried
    again; `posting`: until then somebody is telling it. All in milliseconds.
    """

    id: str
    at: int
    began_at: int = 0
    state: str = TOLD
    owed: str = ""
    ended: bool = False
    posting: bool = False
    tries: int = 0
    due_at: int = 0
    version: int = 1

    def claimed(self, now: int) -> Alert:
        """Told by whoever writes this."""
        return replace(self, state=OWED, posting=True, tries=self.tries + 1, due_at=now + _POST_MS)

    def after(self, told: Alert, taken: bool, now: int) -> Alert | None:
        """What it is once the post of `told` was taken or was not; None: nothing is left to be told."""
        if self.ended and taken == told.ended:
            return None  # its end was taken; or it ended before its begin was, and neither is told
        if taken and not self.ended:
            return replace(self, state=TOLD, owed="", posting=False, tries=0)
        pause = 0 if taken else min(_MINUTE_MS << (self.tries - 1), _LONGEST_PAUSE_MS)
        return replace(self, posting=False, due_at=now + pause)


class Alerts:
    """Tells operations, once for all processes while the store answers, else once for this process.

    Whoever waits for the server calls `begin` again and again; that keeps the alert alive. One that nobody keeps
    alive is of processes that died, and does not silence the next. What the channel does not take is told again,
    by any process, until it does or nobody has spoken of it for a day.
    """

    def __init__(self, store: DocumentStore, operations: Operations, clock: Clock) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._kept_at: dict[str, int] = {}
        self._told_alone: set[str] = set()
        self._untold: set[str] = set()
        self._looked_at: dict[str, int] = {}

    async def begin(self, key: str, text: str) -> None:
        """Something is wrong; told unless it was told already."""
        now = self._clock()
        known = self._kept_at.get(key)
        if known is not None and now - known < _KEPT_ALIVE_MS:
            return
        self._kept_at[key] = now
        try:
            claimed = await self._claim(key, text, now)
        except StoreDown:
            if known is None or key in self._untold:
                await self._tell_alone(key, text)
            return
        told, self._untold = key in self._told_alone, self._untold - {key}
        self._told_alone.discard(key)
        if claimed and told:
            await self._settle(claimed, taken=True)
        elif claimed:
            await self._tell(claimed)

    async def _claim(self, key: str, text: str, now: int) -> Alert | None:
        """Write that the alert stands; the alert when the caller is to tell it."""
        fresh = Alert(key, now, now, owed=text).claimed(now)
        if (await self._store.insert(ALERTS, [to_document(fresh)]))[0]:
            return fresh
        known = await self._standing(key)
        if known is None or (known.ended and now < known.due_at):
            self._kept_at.pop(key, None)  # its end is told this moment; the next call claims it
            return None
        if known.ended or now - known.at > _FORGOTTEN_AFTER_MS:
            kept = replace(fresh, version=known.version)
        elif known.state == OWED and now >= known.due_at:
            kept = replace(known, at=now, owed=text).claimed(now)
        else:
            await self._store.replace(ALERTS, to_document(replace(known, at=now)))
            return None
        return kept if await self._store.replace(ALERTS, to_document(kept)) else None

    async def stands(self, key: str, *, since: int) -> bool:
        """Whether it stands, of whatever process, and began at `since` (ms) or later. Raises StoreDown."""
        known = await self._standing(key)
        return known is not None and not known.ended and (known.began_at or known.at) >= since

    async def end(self, key: str, text: str) -> None:
        """It is right again; told by whoever notices first, unless nobody was told that it was wrong."""
        known, alone, untold = self._kept_at.pop(key, None), key in self._told_alone, key in self._untold
        self._told_alone.discard(key)
        self._untold.discard(key)
        try:
            ending = await self._claim_end(key, text, alone)
        except StoreDown:
            if known is not None and not untold:
                await self._operations.tell(key, text)
            return
        if ending:
            await self._tell(ending)

    async def over(self, key: str, text: str) -> None:
        """As `end`, for where it is right with every message: what others began is looked for once a minute."""
        now = self._clock()
        if key in self._kept_at or now - self._looked_at.get(key, -_MINUTE_MS) >= _MINUTE_MS:
            self._looked_at[key] = now
            await self.end(key, text)

    async def _claim_end(self, key: str, text: str, alone: bool) -> Alert | None:
        """Write that it is over; the alert when the caller is to tell so."""
        now = self._clock()
        for _ in range(_TRIES):
            known = await self._standing(key)
            if known is None:
                fresh = Alert(key, now, now, owed=text, ended=True).claimed(now)
                return fresh if alone and (await self._store.insert(ALERTS, [to_document(fresh)]))[0] else None
            if known.ended:
                return None
            over = replace(known, owed=text, ended=True, tries=0)
            if known.state == TOLD or alone:
                if await self._store.replace(ALERTS, to_document(over.claimed(now))):
                    return over.claimed(now)
            elif known.posting and now < known.due_at:  # whether its begin is taken decides: see Alert.after
                if await self._store.replace(ALERTS, to_document(replace(over, tries=known.tries))):
                    return None
            elif await self._store.replace(ALERTS, to_document(replace(over, state=TOLD))):
                await self._store.delete(ALERTS, key)
                return None
        return None

    async def retell(self) -> None:
        """One look at what the channel has not taken and nobody is telling. Raises StoreDown."""
        now = self._clock()
        for document in await self._store.find(ALERTS, "by_state", {"state": OWED}, below=now + 1, limit=_AT_ONCE):
            known = from_document(document, Alert)
            if now - known.at > _GIVEN_UP_AFTER_MS:
                await self._store.delete(ALERTS, known.id)
                continue
            claimed = known.claimed(now)
            if await self._store.replace(ALERTS, to_document(claimed)) and not await self._tell(claimed):
                return  # the channel is down; the next look tries the next one

    async def _tell(self, alert: Alert) -> bool:
        taken = await self._operations.tell(alert.id, alert.owed)
        if not taken and not alert.ended:
            self._untold.add(alert.id)
        await self._settle(alert, taken=taken)
        return taken

    async def _tell_alone(self, key: str, text: str) -> None:
        taken = await self._operations.tell(key, text)
        (self._told_alone if taken else self._untold).add(key)
        (self._untold if taken else self._told_alone).discard(key)

    async def _settle(self, told: Alert, *, taken: bool) -> None:
        """Write down whether it was taken. Without the store this process remembers."""
        try:
            for _ in range(_TRIES):
                known = await self._standing(told.id)
                if known is None or known.began_at != told.began_at:
                    return
                after = known.after(told, taken, self._clock())
                if after is None:
                    await self._store.delete(ALERTS, told.id)
                    return
                if await self._store.replace(ALERTS, to_document(after)):
                    return
        except StoreDown:
            if taken and not told.ended:
                self._told_alone.add(told.id)

    async def _standing(self, key: str) -> Alert | None:
        document = await self._store.get(ALERTS, key)
        return from_document(document, Alert) if document else None
