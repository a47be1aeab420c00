"""After an old store was restored: what the EPD has meanwhile is filed, and all else is on its way again.

The queues and the EPD have gone on, the store has not. What it holds as not filed may have been filed since, and its
event is then in no queue any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from messaging_service.application.codec import outgoing
from messaging_service.application.ports import Broker, Clock, DocumentStore
from messaging_service.application.reconcile import ProveFiled, filings_in
from messaging_service.application.threads import Threads
from messaging_service.application.topology import file_queue
from messaging_service.domain.events import ChangeOrdered, MessagePersisted
from messaging_service.domain.filing import OPEN_STATES, Filing, FilingState, changed_message, is_change
from messaging_service.domain.message import Lane
from messaging_service.tenants import Tenant

_PAGE = 500
_OURS = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}([.][1-9][0-9]{0,2})?")


@dataclass(frozen=True, slots=True)
class Restoration:
    """Ids by what became of them.

    `filed`: the EPD lists them, nothing is sent. `again`: on the file step's queue once more, under the ids they had.
    `not_here`: the EPD has them and this store does not; what they were is lost here, and stands there.
    """

    listed: int = 0
    filed: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    not_here: list[str] = field(default_factory=list)


class Restored:
    """The use case behind `messaging-service restored`. Repeating it changes nothing."""

    def __init__(self, *, store: DocumentStore, broker: Broker, threads: Threads, clock: Clock) -> None:
        self._store = store
        self._broker = broker
        self._threads = threads
        self._clock = clock
        self._prove = ProveFiled(threads, broker, clock)

    async def __call__(self, tenant: Tenant, numbers: Iterable[str]) -> Restoration:
        """`numbers`: every TXA-12 (of results OBR-3) that the EPD took of us since some time before the backup.

        One that it has and that is not in `numbers` is sent again, under the same number and control id.
        """
        listed = {number.strip() for number in numbers} - {""}
        done = Restoration(listed=len(listed))
        for state in (*OPEN_STATES, FilingState.PARKED):
            async for filing in filings_in(self._store, tenant, state, self._clock() + 1):
                if filing.id in listed:
                    if await self._prove(filing):
                        done.filed.append(filing.id)
                elif state is not FilingState.PARKED:
                    await self._send_again(filing, done)
        done.not_here.extend(await self._not_here(listed))
        return done

    async def _send_again(self, filing: Filing, done: Restoration) -> None:
        message = await self._threads.message(changed_message(filing.id))
        if message is None:
            return  # destroyed
        kind, lane = ChangeOrdered if is_change(filing.id) else MessagePersisted, Lane(filing.lane)
        event = kind(filing.id, filing.tenant, message.thread, lane, filing.accepted_at)
        follows = outgoing(file_queue(filing.tenant, lane), event)
        await self._broker.publish(follows.queue, follows.envelope)
        done.again.append(filing.id)

    async def _not_here(self, listed: Iterable[str]) -> list[str]:
        ours, missing = sorted(number for number in listed if _OURS.fullmatch(number)), []
        for start in range(0, len(ours), _PAGE):
            page = ours[start : start + _PAGE]
            here = await self._threads.filings(page)
            missing += [number for number in page if number not in here]
        return missing
