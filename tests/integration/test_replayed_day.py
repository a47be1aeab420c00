"""A day of an EPD and its patients, in any order and with faults: it ends as the day in order ends.

pytest tests/integration/test_replayed_day.py              a small day
pytest tests/integration/test_replayed_day.py --whole-day  5,000 ADT, 2,000 messages and replies: some minutes
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.collections import (
    ACCESS_LOG,
    ALL,
    CARE,
    CARE_EVENTS,
    FILINGS,
    IDENTIFIERS,
    MESSAGES,
    PATIENTS,
    RECEIVED,
    RELATIONS,
    REPLY_VERSIONS,
    THREADS,
)
from messaging_service.domain.errors import Conflict, Deferred, StoreDown
from messaging_service.domain.events import MessageAccepted
from tests.parts.epd_sender import admission, code, document
from tests.parts.faulty import FaultyStore
from tests.parts.receiving import Receiving
from tests.parts.service import Service, enveloped

FAULTS_IN_A_HUNDRED = 2
_WRITES = [
    (operation, collection)
    for operation, collections in (
        (
            "insert",
            (CARE_EVENTS, CARE, RELATIONS, PATIENTS, IDENTIFIERS, THREADS, MESSAGES, FILINGS, RECEIVED, ACCESS_LOG),
        ),
        ("replace", (CARE, RELATIONS, PATIENTS, RECEIVED)),
        ("insert", (REPLY_VERSIONS,)),
    )
    for collection in collections
]


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens in a day."""

    patients: int
    admissions: int
    messages: int


SMALL, WHOLE = Size(8, 80, 20), Size(400, 5_000, 1_000)


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happens: a message of the EPD's, or one of a patient's."""

    from_epd: str = ""
    from_patient: MessageAccepted | None = None


def a_day(chance: random.Random, service: Service, size: Size) -> tuple[list[Moment], list[tuple[Moment, Moment]]]:
    """What the EPD says of its patients; and messages, each with the reply that a clinician writes to it."""
    numbers = [str(10_000 + number) for number in range(size.patients)]
    adt = []
    for number in range(size.admissions):
        patient = chance.choice(numbers)
        adt.append(
            Moment(
                admission(
                    chance.choice(["A01", "A04", "A08", "A08", "A03", "A31"]),
                    control=f"A{number}",
                    patient=f"{patient}^^^ZKH^PI",
                    visit=f"V{chance.randrange(3)}{patient}",
                    ward=chance.choice(["CARD", "INT"]),
                    name=f"Jansen^{number}",
                    at=f"20260527{number * 24 // size.admissions:02}{number % 60:02}{number // 60 % 60:02}+0200",
                )
            )
        )
    pairs = []
    for number in range(size.messages):
        patient = chance.choice(numbers)
        asked = service.accepted(patient)
        reply = document(
            f"Antwoord {number}",
            control=f"R{number}",
            number=f"D{number}",
            parent=asked.message,
            patient=f"{patient}^^^ZKH^PI",
        )
        pairs.append((Moment(from_patient=asked), Moment(reply)))
    return adt, pairs


async def happens(receiving: Receiving, moment: Moment) -> None:
    """As often as it takes: the EPD sends what was not AA again, the queue what was not acknowledged."""
    async with asyncio.timeout(30):
        while not await _done(receiving, moment):
            pass


async def _done(receiving: Receiving, moment: Moment) -> bool:
    if moment.from_patient is None:
        return code(await receiving.ack(moment.from_epd)) == "AA"
    try:
        await receiving.service.persist(enveloped(moment.from_patient))
    except (StoreDown, Conflict, Deferred):
        return False
    return True


async def end(receiving: Receiving, day: Sequence[Moment], size: Size) -> dict[str, Any]:
    """Who is treated by whom, under which name, and the conversations, patient by patient."""
    for moment in day:
        await happens(receiving, moment)
    service, found = receiving.service, {}
    for patient in (str(10_000 + number) for number in range(size.patients)):
        id = await service.patients.find("spijkenisse", receiving.writer(patient).identifiers)
        if id is None:
            continue
        threads = {thread.id: await receiving.texts(thread.id, patient) for thread in await receiving.threads(patient)}
        relations = await service.relations.of(id)
        name = (await service.patients.identity(id))[1]
        found[patient] = (sorted((r.care_team, r.began_at, r.ended_at) for r in relations), name, threads)
    return found


@pytest.mark.timeout(3_600)
async def test_a_day_in_any_order_with_faults_ends_as_in_order(
    request: pytest.FixtureRequest, service: Service, tmp_path: Path
) -> None:
    """Two in a hundred writes fail, some after they were done; a reply comes after its message, all else anyhow."""
    whole: bool = request.config.getoption("--whole-day")
    size, chance = (WHOLE if whole else SMALL), random.Random(20260527)
    adt, pairs = a_day(chance, service, size)
    in_order = [*adt, *(moment for pair in pairs for moment in pair)]
    expected = await end(Receiving(service), in_order, size)
    assert sum(len(conversations) for _, _, conversations in expected.values()) == size.messages

    store = FaultyStore(SqliteDocuments(tmp_path / "shuffled.sqlite"))
    await store.open(ALL)
    try:
        other = Receiving(Service(store, service.broker, service.tenants, service.keyring, service.clock))
        shuffled = [(chance.random(), moment) for moment in adt]
        for asked, reply in pairs:
            when = chance.random()
            shuffled += [(when, asked), (when + chance.random() * (1 - when), reply)]
        day = [moment for _, moment in sorted(shuffled, key=lambda each: each[0])]
        for _ in range(len(day) * FAULTS_IN_A_HUNDRED // 100 + len(_WRITES)):
            operation, collection = chance.choice(_WRITES)
            store.fail(operation, collection, done=chance.random() < 0.5, passing=chance.randrange(len(day)))
        assert await end(other, day, size) == expected
    finally:
        await store.close()
