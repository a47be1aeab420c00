"""What a message takes of its writer's and its portal's allowances, once, and never because it is urgent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from messaging_service.application.submit import AfterReading
from messaging_service.domain.refusals import TooMany
from messaging_service.tenants.limits import ClientLimits, Limits
from tests.parts.patient import URGENT
from tests.parts.portal import Portal
from tests.parts.service import Service

NO_CLIENT = ClientLimits(messages_per_minute=10**6, bytes_per_minute=10**9, urgent_per_minute=10**6)


@pytest.fixture
async def portal(service: Service) -> Portal:
    """A gateway; the patient has an account."""
    portal = Portal(service)
    await portal.account()
    return portal


def limited(portal: Portal, **limits: object) -> None:
    """The hospital's limits from now on."""
    tenant = msgspec.structs.replace(portal.tenant, limits=msgspec.convert({"client": NO_CLIENT, **limits}, Limits))
    portal.service.tenants[portal.id] = tenant


async def policy_that_refuses(portal: Portal, body: str = "Mag ik sporten?", client: str = "", **members: Any) -> str:
    """The policy that has nothing left for one more message; "" where it is accepted."""
    try:
        await portal.post(replace(portal.patient(), client=client), body, **members)
    except AfterReading as problem:
        return used_up(problem)
    return ""


def used_up(problem: AfterReading) -> str:
    """The policy of a TooMany."""
    assert isinstance(problem.cause, TooMany), problem.cause
    assert problem.cause.allowance is not None
    return problem.cause.allowance.quota.name


async def test_messages_of_a_patient(portal: Portal) -> None:
    """So many an hour; an hour later again; another patient has their own."""
    limited(portal, messages_per_hour=3)
    assert [await policy_that_refuses(portal) for _ in range(4)] == ["", "", "", "messages"]
    portal.service.clock.minutes(60)
    assert await policy_that_refuses(portal) == ""


async def test_bytes_of_a_patient(portal: Portal) -> None:
    """Long messages are fewer; what was refused for its length has not cost a message."""
    limited(portal, messages_per_hour=4, bytes_per_hour=65_536)
    long = "a" * 16_000
    assert [await policy_that_refuses(portal, long) for _ in range(5)] == ["", "", "", "", "messages"]
    portal.service.clock.minutes(60)
    limited(portal, messages_per_hour=6, bytes_per_hour=65_536)
    assert [await policy_that_refuses(portal, long) for _ in range(5)] == ["", "", "", "", "bytes"]
    assert [await policy_that_refuses(portal) for _ in range(3)] == ["", "", "messages"]


async def test_a_portal_has_its_own(portal: Portal) -> None:
    """One portal's flood refuses its own, and not another portal's at the same hospital."""
    limited(portal, client=msgspec.structs.replace(NO_CLIENT, messages_per_minute=2))
    assert [await policy_that_refuses(portal, client="app") for _ in range(3)] == ["", "", "client-messages"]
    assert await policy_that_refuses(portal, client="website") == ""
    limited(portal, client=msgspec.structs.replace(NO_CLIENT, bytes_per_minute=65_536))
    told = [await policy_that_refuses(portal, "a" * 16_000, client="tablet") for _ in range(5)]
    assert told == ["", "", "", "", "client-bytes"]


async def test_urgent_messages_never_count_against_their_writer(portal: Portal) -> None:
    """They are accepted when nothing is left, and take nothing; a flood ends at the portal's hard ceiling."""
    ceiling = msgspec.structs.replace(NO_CLIENT, urgent_per_minute=20)
    limited(portal, messages_per_hour=1, requests_per_minute=20, client=ceiling)
    assert [await policy_that_refuses(portal) for _ in range(2)] == ["", "messages"]
    assert [await policy_that_refuses(portal, URGENT) for _ in range(20)] == [""] * 20
    with pytest.raises(AfterReading) as refusal:
        await portal.post(portal.patient(), URGENT)
    assert (refusal.value.triage.urgent, used_up(refusal.value)) == (True, "client-urgent")
    portal.service.clock.minutes(1)
    assert await policy_that_refuses(portal, URGENT) == ""


async def test_a_retry_counts_once(portal: Portal) -> None:
    """Ten retries of one key and text cost one message; another text under that key is another one."""
    limited(portal, messages_per_hour=2)
    for _ in range(10):
        assert await policy_that_refuses(portal, idempotency_key="draft-1") == ""
    assert await policy_that_refuses(portal, "Iets anders", idempotency_key="draft-1") == ""
    assert await policy_that_refuses(portal, "Nog iets", idempotency_key="draft-1") == "messages"


async def test_a_retry_at_another_gateway(portal: Portal) -> None:
    """A message that is stored is answered again, though nothing is left and this gateway never saw it."""
    limited(portal, messages_per_hour=2)
    first = await portal.stored(portal.patient(), idempotency_key="draft-1")
    another = portal.another()
    assert await policy_that_refuses(another, "Iets anders") == ""
    assert await policy_that_refuses(another, "Nog iets") == "messages"
    again = await another.post(another.patient(), idempotency_key="draft-1")
    assert (again.message, again.allowances) == (first.message, ())
