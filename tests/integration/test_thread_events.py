"""What the portal hears of a conversation besides its messages: closed, opened again, read by the care team."""

from __future__ import annotations

import msgspec
import pytest

from messaging_service.application.collections import FEED
from messaging_service.application.feed import Feed
from messaging_service.application.notify import Notify
from messaging_service.application.ports import PortalWebhook
from messaging_service.application.threads import CLOSED, OPEN
from messaging_service.application.topology import notify_queue
from messaging_service.domain.errors import BrokerDown
from messaging_service.domain.refusals import Forbidden
from messaging_service.tenants import Receipts
from tests.parts.conversation import lead, patient
from tests.parts.email import email_notices
from tests.parts.epd_sender import document
from tests.parts.receiving import Receiving
from tests.parts.service import Service

TENANT = "spijkenisse"


class Told(PortalWebhook):
    """A portal that takes everything."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.ids: list[str] = []

    async def post(self, event_id: str, body: bytes) -> None:
        """Take it."""
        self.ids.append(event_id)
        self.bodies.append(msgspec.json.decode(body))


def showing(service: Service, *, reads: tuple[str, ...] = (), shown: bool = True) -> None:
    """What the hospital shows of its teams' reading, and the EPD's codes for it."""
    known = service.tenants[TENANT]
    epd = msgspec.structs.replace(known.epd, read=reads)
    service.tenants[TENANT] = msgspec.structs.replace(known, receipts=Receipts(of_care_team=shown), epd=epd)


async def told(service: Service) -> Told:
    """Everything on the notify queue, told to the portal, some of it twice as after a crash."""
    portal = Told()
    notify = Notify(
        webhooks={TENANT: portal},
        threads=service.threads,
        patients=service.patients,
        feed=Feed(service.store),
        owed=None,  # type: ignore[arg-type]  # the portal takes everything
        email_notices=email_notices(service),
        clock=service.clock,
    )
    for envelope in 2 * await service.queued(notify_queue(TENANT)):
        await notify(envelope)
    return portal


async def test_closed_and_opened_again(service: Service) -> None:
    """Each change is one event on the feed, however often it is asked for and told; private says so to webhooks."""
    thread = (await service.persisted()).thread
    private = (await service.persisted(private=True)).thread
    for state in (OPEN, CLOSED, CLOSED, OPEN, OPEN, CLOSED):
        service.clock.minutes(1)
        await service.converse.set_status(patient(service), thread, state)
    await service.converse.set_status_by_team(lead(service), private, CLOSED)
    portal = await told(service)
    feed = await service.all(FEED, "of_patient", patient=(await service.persisted()).patient)
    assert [(each["type"], each["thread"]) for each in feed] == [
        ("thread.closed", thread),
        ("thread.reopened", thread),
        ("thread.closed", thread),
        ("thread.closed", private),
    ]
    assert len(set(portal.ids)) == 4
    assert {str(body["data"]) for body in portal.bodies} == {
        str({"message": thread, "thread": thread}),
        str({"message": private, "thread": private, "private": True}),
    }


async def test_a_broker_that_was_down_is_made_up_for(service: Service) -> None:
    """Closed while nothing could be queued: the caller is told to try again, and the repeat tells the portal."""
    thread = (await service.persisted()).thread
    service.broker.down = True
    with pytest.raises(BrokerDown):
        await service.converse.set_status(patient(service), thread, CLOSED)
    service.broker.down = False
    await service.converse.set_status(patient(service), thread, CLOSED)
    assert {body["type"] for body in (await told(service)).bodies} == {"thread.closed"}


async def test_read_in_the_epd(service: Service) -> None:
    """A status with an agreed code shows the patient that the message was read, as staff's own receipt does.

    Other codes mean nothing; a message of another patient's is refused; where nothing is shown nothing is kept.
    """
    showing(service, reads=("AU",))
    receiving = Receiving(service)
    first, second = await service.persisted(), await service.persisted()
    other = await service.persisted(patient="77")
    await receiving.taken(document(trigger="T04", number=first.id, completion="DI", control="C0"))
    assert not (await told(service)).ids
    await receiving.taken(document(trigger="T04", number=first.id, control="C1"))
    await service.converse.read_by_team(lead(service), second.thread, second.id)
    portal = await told(service)
    assert sorted(set(portal.ids)) == sorted((f"message.read.{first.id}", f"message.read.{second.id}"))
    for one in (first, second):
        view = await service.reader.thread(patient(service), one.thread)
        assert view.messages[0].read_by_team
    assert b"|AE|" in await receiving.raw(document(trigger="T04", number=other.id, control="C2"))
    showing(service, reads=("AU",), shown=False)
    third = await service.persisted()
    await Receiving(service).taken(document(trigger="T04", number=third.id, control="C3"))
    assert len(set((await told(service)).ids)) == 2
    with pytest.raises(Forbidden):
        await service.converse.read_by_team(lead(service), third.thread, third.id)
