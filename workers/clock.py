"""Work that the clock asks for: done again and again in small steps, in as many processes as like to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import structlog

from messaging_service.bootstrap import Parts
from messaging_service.bootstrap.administering import make_close_accounts, make_end_quiet_care
from messaging_service.bootstrap.alarming import make_climb
from messaging_service.bootstrap.conversing import make_remind
from messaging_service.bootstrap.keeping import make_retain
from messaging_service.bootstrap.operating import make_watch_ledger
from messaging_service.bootstrap.telling import (
    make_forget_events,
    make_owed_email_notices,
    make_owed_webhooks,
    make_patient_mail,
    make_webhooks,
)
from messaging_service.domain.errors import Conflict, ServerFault

log = structlog.get_logger()

CLOSE_ACCOUNTS = "close_accounts"
END_QUIET_CARE = "end_quiet_care"
FORGET_EVENTS = "forget_events"
RETAIN = "retain"
REMIND = "remind"
SEND_WEBHOOKS = "send_webhooks"
SEND_EMAIL_NOTICES = "send_email_notices"
WATCH_LEDGER = "watch_ledger"
CLIMB_ALARMS = "climb_alarms"
SECONDS_BETWEEN = 60.0
_WORK: Mapping[str, Callable[[Parts], Callable[[], Awaitable[object]]]] = {
    CLOSE_ACCOUNTS: make_close_accounts,
    END_QUIET_CARE: make_end_quiet_care,
    FORGET_EVENTS: make_forget_events,
    RETAIN: make_retain,
    REMIND: make_remind,
    SEND_WEBHOOKS: lambda parts: make_owed_webhooks(parts, make_webhooks(parts)),
    SEND_EMAIL_NOTICES: lambda parts: make_owed_email_notices(parts, make_patient_mail(parts)),
    CLIMB_ALARMS: make_climb,
    WATCH_LEDGER: make_watch_ledger,
}
CLOCKWORK = tuple(_WORK)
"""The names of what the clock asks for, as `messaging-service worker` knows them."""


async def run_clockwork(parts: Parts, names: Sequence[str], stop: asyncio.Event) -> None:
    """Run these until `stop`. A server that is down is waited for: the next round does what this one could not."""
    async with asyncio.TaskGroup() as running:
        for name in names:
            running.create_task(again_and_again(name, _WORK[name](parts), stop), name=name)


async def again_and_again(name: str, work: Callable[[], Awaitable[object]], stop: asyncio.Event) -> None:
    """Do it once a minute until `stop`; what a server that is down hinders is done in a later round."""
    while not stop.is_set():
        try:
            await work()
        except (ServerFault, Conflict) as problem:
            log.warning("clockwork_waits", step=name, error=type(problem).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SECONDS_BETWEEN)
