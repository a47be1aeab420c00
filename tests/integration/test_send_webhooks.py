"""What a portal did not take: kept, posted again over a day by one worker at a time, given up, and replayed."""

from __future__ import annotations

import asyncio

import pytest

from messaging_service.application.collections import WEBHOOKS
from messaging_service.application.feed import Feed
from messaging_service.application.notify import Notify
from messaging_service.application.ports import PortalWebhook
from messaging_service.application.send_webhooks import PAUSES_MINUTES, OwedWebhooks
from messaging_service.domain.errors import WebhookDown
from messaging_service.domain.events import MessageFiled
from tests.parts.email import email_notices
from tests.parts.portal import Portal
from tests.parts.service import Service, enveloped

TENANT = "spijkenisse"


class Answers(PortalWebhook):
    """A portal's webhook that takes events or, while it is down, counts how often it was asked."""

    def __init__(self) -> None:
        self.down = True
        self.asked = 0
        self.took: list[tuple[str, bytes]] = []

    async def post(self, event_id: str, body: bytes) -> None:
        """Take it, or not."""
        self.asked += 1
        if self.down:
            raise WebhookDown("it answered 500")
        self.took.append((event_id, body))


class Hospital:
    """The notify step and what posts again, of two workers over one store."""

    def __init__(self, service: Service) -> None:
        self.service, self.portal, self.feed = service, Answers(), Feed(service.store)
        self.owed, self.other = self._owed(service), self._owed(service.another())
        self.notify = Notify(
            webhooks={TENANT: self.portal},
            threads=service.threads,
            patients=service.patients,
            feed=self.feed,
            owed=self.owed,
            email_notices=email_notices(service),
            clock=service.clock,
        )

    def _owed(self, service: Service) -> OwedWebhooks:
        return OwedWebhooks(
            webhooks={TENANT: self.portal},
            store=service.store,
            feed=Feed(service.store),
            threads=service.threads,
            alerts=service.alerts,
            clock=service.clock,
        )

    async def filed(self) -> str:
        """The id of a message that is told to be filed."""
        portal = Portal(self.service)
        accepted = await portal.stored(portal.patient())
        told = MessageFiled(accepted.message, TENANT, accepted.thread, self.service.clock())
        assert await self.notify(enveloped(told)) == []
        return accepted.message

    async def kept(self, state: str = "due") -> int:
        """How many are kept."""
        return len(await self.service.all(WEBHOOKS, "by_due", tenant=TENANT, state=state))


@pytest.fixture
def hospital(service: Service) -> Hospital:
    """One hospital, whose portal is down."""
    return Hospital(service)


async def test_a_day_of_500(hospital: Hospital) -> None:
    """The first waits for nobody: the second is kept without being tried. After a day both are given up, and told."""
    ids = [await hospital.filed() for _ in range(2)]
    assert (hospital.portal.asked, await hospital.kept()) == (1, 2)
    assert [event.message for event in await hospital.feed.after(await Portal(hospital.service).account(), 0)] == ids
    for _ in range(40):  # an hour each
        hospital.service.clock.minutes(60)
        assert await hospital.owed() == 0
    assert sum(PAUSES_MINUTES) == 24 * 60
    assert (await hospital.kept(), await hospital.kept("given_up")) == (0, 2)
    assert set(hospital.service.operations.keys) == {f"webhook-given-up {TENANT}"}
    hospital.portal.down = False
    assert await hospital.owed() == 0
    assert await hospital.owed.replay(TENANT, hospital.service.clock()) == 2
    assert await hospital.owed() == 2
    assert {event for event, _ in hospital.portal.took} == {f"message.filed.{id}" for id in ids}
    assert [text for _, text in hospital.service.operations.told if "takes events again" in text] == [
        hospital.service.operations.told[-1][1]
    ]


async def test_it_is_back(hospital: Hospital) -> None:
    """Two workers look at once: each event is posted once, under the id and with the body of the first try."""
    hospital.portal.down = False
    await hospital.filed()
    taken = list(hospital.portal.took)
    hospital.portal.down = True
    hospital.service.clock.minutes(1)
    for _ in range(20):
        await hospital.filed()
    hospital.portal.down = False
    assert (await hospital.owed(), hospital.portal.took) != (0, taken)  # those that were never tried are due at once
    hospital.service.clock.minutes(1)
    await asyncio.gather(hospital.owed(), hospital.other())
    assert await hospital.kept() == 0
    events = [event for event, _ in hospital.portal.took]
    assert len(events) == len(set(events)) == 21


async def test_replay(hospital: Hospital) -> None:
    """What was taken is told again from a moment on, the same bytes under the same id; what was before is not."""
    hospital.portal.down = False
    before, after = await hospital.filed(), ""
    hospital.service.clock.minutes(1)
    since = hospital.service.clock()
    hospital.service.clock.minutes(1)
    after = await hospital.filed()
    assert await hospital.owed.replay(TENANT, since) == 1
    assert await hospital.owed() == 1
    assert hospital.portal.took[1] == hospital.portal.took[2]
    assert [event for event, _ in hospital.portal.took] == [f"message.filed.{id}" for id in (before, after, after)]
