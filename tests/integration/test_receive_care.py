"""ADT and SIU: treatment relations, identity, death and the end of care kept true, in whatever order it is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.collections import (
    ACCESS_LOG,
    ACCOUNTS,
    ALL,
    CARE,
    CARE_EVENTS,
    IDENTIFIERS,
    PATIENTS,
    RELATIONS,
)
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.message import Identifier
from messaging_service.domain.refusals import NotFound
from messaging_service.tenants import AccountRules
from tests.parts.epd_sender import LOCAL, admission, appointment, code, document, place
from tests.parts.faulty import FaultyStore
from tests.parts.receiving import Receiving
from tests.parts.service import Service, numbers

OTHER, THIRD = "5678^^^ZKH^PI", "9012^^^ZKH^PI"
DAYS = [f"202605{day:02}120000+0200" for day in range(1, 29)]
STAFF = {"CARD": "cardiology", "INT": "internal", "77": "gynaecology"}


@pytest.fixture
def receiving(service: Service) -> Receiving:
    """The receive step of Spijkenisse, with its codes of wards and practitioners mapped."""
    tenant = service.tenants["spijkenisse"]
    epd = msgspec.structs.replace(tenant.epd, staff=STAFF, end_of_care=("EC",))
    service.tenants["spijkenisse"] = msgspec.structs.replace(tenant, epd=epd)
    return Receiving(service)


@pytest.fixture
async def fresh(
    service: Service, receiving: Receiving, tmp_path: Path
) -> AsyncIterator[Callable[[], Awaitable[Receiving]]]:
    """Makes the same step over an empty store."""
    stores = []

    async def make() -> Receiving:
        store = FaultyStore(SqliteDocuments(tmp_path / "other.sqlite"))
        stores.append(store)
        await store.open(ALL)
        return Receiving(Service(store, service.broker, service.tenants, service.keyring, service.clock))

    yield make
    for store in stores:
        await store.close()


async def teams(service: Service, patient: str = "1234") -> dict[str, bool]:
    """Care teams that treat or treated the patient, and whether they do now."""
    id = await service.patients.find("spijkenisse", numbers(patient))
    return {relation.care_team: relation.ended_at == 0 for relation in await service.relations.of(id or "")}


async def care(service: Service, patient: str = "1234") -> dict[str, Any]:
    """What is stored for the closing clock."""
    id = await service.patients.find("spijkenisse", numbers(patient))
    found = await service.store.get(CARE, id or "")
    assert found is not None
    return {key: found[key] for key in ("deceased_at", "care_ended_at", "next_appointment")}


async def test_a_visit_begins_and_ends_relations_that_route(service: Service, receiving: Receiving) -> None:
    """Admitted: ward and practitioner treat, and a message goes there; discharged: they no longer do."""
    await receiving.taken(admission("A01", attending="77^Vries", at=DAYS[0]))
    assert await teams(service) == {"cardiology": True, "gynaecology": True}
    asked = await service.persisted()
    assert (asked.care_team, asked.routed_by) == ("cardiology", "relation")
    await receiving.taken(admission("A03", control="A2", at=DAYS[1]))
    assert await teams(service) == {"cardiology": False, "gynaecology": False}
    assert await care(service) == {"deceased_at": 0, "care_ended_at": 0, "next_appointment": 0}


async def test_a_change_of_team_and_an_older_change(service: Service, receiving: Receiving) -> None:
    """A08 moves the patient to another ward; an A08 from before that, coming late, changes nothing and is AA."""
    await receiving.taken(
        admission("A01", at=DAYS[0]),
        admission("A08", control="A3", ward="INT", name="Jansen^Anna Maria", at=DAYS[2]),
        admission("A08", control="A2", ward="CARD", name="Jansen^Ana", at=DAYS[1]),
    )
    assert await teams(service) == {"cardiology": False, "internal": True}
    id = await service.patients.find("spijkenisse", numbers("1234"))
    assert (await service.patients.identity(id or ""))[1] == "Anna Maria Jansen"


async def test_two_visits_of_one_team(service: Service, receiving: Receiving) -> None:
    """The team treats until the last of its visits is over."""
    await receiving.taken(
        admission("A01", at=DAYS[0]),
        admission("A04", control="A2", visit="V2", at=DAYS[1]),
        admission("A03", control="A3", visit="V1", at=DAYS[2]),
    )
    assert await teams(service) == {"cardiology": True}


async def test_what_starts_the_closing_clock(service: Service, receiving: Receiving) -> None:
    """Death, and taken back; an end of care by the tenant's own code, undone by a new visit; appointments."""
    await receiving.taken(admission("A31", visit="", ward="", died="20260502", at=DAYS[1]))
    assert (await care(service))["deceased_at"] == 1_777_672_800_000
    await receiving.taken(admission("A31", control="A2", visit="", ward="", dead="N", at=DAYS[2]))
    await receiving.taken(admission("A03", control="A3", discharged_to="EC", at=DAYS[3]))
    assert await care(service) == {"deceased_at": 0, "care_ended_at": 1_777_888_800_000, "next_appointment": 0}
    await receiving.taken(admission("A04", control="A4", visit="V2", at=DAYS[4]))
    await receiving.taken(
        appointment("S12", "202607011000", at=DAYS[5]),
        appointment("S13", "202607021000", control="S2", at=DAYS[6]),
        appointment("S12", "202607031000", control="S3", number="AFS2", at=DAYS[6]),
        appointment("S15", "", control="S4", number="AFS2", at=DAYS[7]),
    )
    assert await care(service) == {"deceased_at": 0, "care_ended_at": 0, "next_appointment": 1_782_979_200_000}


async def test_care_that_nobody_goes_on_with(service: Service, receiving: Receiving) -> None:
    """No open relation and no appointment for the hospital's period starts the closing clock; new care stops it."""
    rules = AccountRules(quiet_days=365)
    receiving.tenant = service.tenants["spijkenisse"] = msgspec.structs.replace(receiving.tenant, accounts=rules)
    day = 24 * 60
    account = await service.account()
    await receiving.taken(admission("A01", at=DAYS[0]), appointment("S12", "202607021000", at=DAYS[0]))
    service.clock.minutes(500 * day)
    assert await service.end_quiet_care() == 0  # the team still treats
    await receiving.taken(admission("A03", control="A2", at=DAYS[1]))
    appointed = 1_782_979_200_000
    service.clock.now = appointed + 365 * day * 60_000 - 1
    assert await service.end_quiet_care() == 0  # a year after the appointment, not after the discharge
    service.clock.now += 1
    assert await service.end_quiet_care() == 1
    over_at = service.clock.now
    assert await service.accounts.care_over_at(account) == over_at
    await receiving.taken(admission("A31", control="A3", visit="", ward="", at=DAYS[2]))
    service.clock.minutes(day)
    assert await service.end_quiet_care() == 0
    stored = await service.accounts.get(receiving.tenant, account)
    assert stored is not None
    assert stored.care_over_at == over_at  # a change of address is no care, and nothing is begun twice
    await receiving.taken(admission("A04", control="A4", visit="V2", at="20270710"))
    assert await service.accounts.care_over_at(account) == 0
    stored = await service.accounts.get(receiving.tenant, account)
    assert stored is not None
    assert stored.care_over_at == 0


async def test_quiet_care_is_ended_after_a_fault_as_well(service: Service, receiving: Receiving) -> None:
    """The look that failed half-way is made good by the next; a relation that was loaded goes on."""
    rules = AccountRules(quiet_days=1)
    receiving.tenant = service.tenants["spijkenisse"] = msgspec.structs.replace(receiving.tenant, accounts=rules)
    await service.account()
    other = await service.account("5678")
    await service.relations.begin(receiving.tenant, numbers("5678"), "B", "internal", 0)
    for number, patient in enumerate((LOCAL, OTHER)):
        visit = {"patient": patient, "visit": f"V{number}"}
        await receiving.taken(admission("A01", control=f"A{number}", at=DAYS[0], **visit))
        await receiving.taken(admission("A03", control=f"B{number}", at=DAYS[1], **visit))
    service.clock.minutes(365 * 24 * 60)
    service.store.fail("replace", ACCOUNTS)
    with pytest.raises(StoreDown):
        await service.end_quiet_care()
    assert await service.end_quiet_care() == 1
    assert await service.end_quiet_care() == 0
    account = await service.accounts.get(receiving.tenant, await service.account())
    assert account is not None
    assert account.care_over_at
    assert await service.accounts.care_over_at(other) == 0


async def test_merged_records_are_one_patient_and_can_be_parted(service: Service, receiving: Receiving) -> None:
    """A40: either number reads and answers both threads, replies match, relations are shared; A37 undoes it."""
    mine, other = await service.persisted(), await service.persisted(patient="5678")
    await receiving.taken(admission("A01", patient=OTHER, at=DAYS[0]))
    await receiving.taken(admission("A40", control="A2", mrg=OTHER, visit="", ward="", at=DAYS[1]))
    for number in ("1234", "5678"):
        assert {view.id for view in await receiving.threads(number)} == {mine.thread, other.thread}
        assert (await receiving.shown(other.thread, number))[0].submission is not None
    assert await teams(service) == await teams(service, "5678") == {"cardiology": True}
    added = await service.persisted(service.accepted(thread=other.thread))
    assert (added.thread, added.place) == (other.thread, 2)
    await receiving.taken(document("voor u", parent=other.id))
    assert await receiving.texts(other.thread) == ["voor u"]
    await receiving.taken(admission("A37", control="A3", more=f"PID|||{OTHER}", visit="", ward="", at=DAYS[2]))
    assert [view.id for view in await receiving.threads()] == [mine.thread]
    with pytest.raises(NotFound):
        await receiving.shown(other.thread)
    assert other.id in [view.id for view in await receiving.shown(other.thread, "5678")]
    assert (await teams(service), await teams(service, "5678")) == ({}, {"cardiology": True})


async def test_a_number_that_changed(service: Service, receiving: Receiving) -> None:
    """A47: the new number reads what was written under the old one, and the old one still does."""
    asked = await service.persisted(patient="5678")
    await receiving.taken(admission("A47", mrg=OTHER, visit="", ward=""))
    assert [view.id for view in await receiving.threads("1234")] == [asked.thread]
    assert [view.id for view in await receiving.threads("5678")] == [asked.thread]


async def test_a_chain_of_merges_and_its_undoing(service: Service, receiving: Receiving) -> None:
    """5678 into 1234, 1234 into 9012: all is the third's; parting the second pair leaves the first pair joined."""
    asked = await service.persisted(patient="5678")
    await receiving.taken(
        admission("A40", mrg=OTHER, visit="", ward="", at=DAYS[0]),
        admission("A40", control="A2", patient=THIRD, mrg="1234^^^ZKH^PI", visit="", ward="", at=DAYS[1]),
    )
    assert [view.id for view in await receiving.threads("9012")] == [asked.thread]
    await receiving.taken(admission("A37", control="A3", more=f"PID|||{THIRD}", visit="", ward="", at=DAYS[2]))
    assert await receiving.threads("9012") == []
    assert [view.id for view in await receiving.threads("1234")] == [asked.thread]


async def test_no_record_is_merged_into_itself(service: Service, receiving: Receiving) -> None:
    """Into itself, and in a circle: AE with MRG-1, nothing changed; an older word that would close one is ignored."""
    self_merge = await receiving.ack(admission("A40", mrg="1234^^^ZKH^PI", visit="", ward=""))
    assert (code(self_merge), place(self_merge)) == ("AE", ("MRG^1^1", "205"))
    await receiving.taken(admission("A40", mrg=OTHER, visit="", ward="", at=DAYS[5]))
    circle = admission("A40", control="A2", patient=OTHER, mrg="1234^^^ZKH^PI", visit="", ward="", at=DAYS[6])
    refused = await receiving.ack(circle)
    assert (code(refused), place(refused)) == ("AE", ("MRG^1^1", "205"))
    await receiving.taken(circle.replace(DAYS[6], DAYS[4]).replace("|A2|", "|A3|"))
    assert await service.patients.find("spijkenisse", numbers("5678")) == await service.patients.find(
        "spijkenisse", numbers("1234")
    )


async def test_joined_to_each_other_at_the_same_moment(service: Service, receiving: Receiving) -> None:
    """Two processes are told opposite merges at once: never a circle; at least one is refused, or told to try again."""
    await service.persisted()
    await service.persisted(patient="5678")
    other = Receiving(service.another())
    other.tenant = receiving.tenant
    one = admission("A40", mrg=OTHER, visit="", ward="", at=DAYS[0])
    two = admission("A40", control="A2", patient=OTHER, mrg="1234^^^ZKH^PI", visit="", ward="", at=DAYS[0])
    codes = [code(ack) for ack in await asyncio.gather(receiving.ack(one), other.ack(two))]
    again = [code(await receiving.ack(each)) for each in (one, two)]
    assert sorted(again) == ["AA", "AE"], (codes, again)
    assert len({await service.patients.find("spijkenisse", numbers(each)) for each in ("1234", "5678")}) == 1


async def test_news_at_the_same_moment(service: Service, receiving: Receiving) -> None:
    """While one process writes that a visit ended, another learns that the next began: the team treats in the end."""
    await receiving.taken(admission("A01", at=DAYS[0]))
    other = Receiving(service.another())

    async def begun_meanwhile() -> None:
        await other.taken(admission("A04", control="A3", visit="V2", at=DAYS[2]))

    service.store.meanwhile("replace", RELATIONS, begun_meanwhile)
    await receiving.taken(admission("A03", control="A2", at=DAYS[1]))
    assert await teams(service) == {"cardiology": True}


async def test_a_moved_visit(service: Service, receiving: Receiving) -> None:
    """A45: the visit's relation is the right patient's now, and no longer the wrong one's."""
    await receiving.taken(
        admission("A01", patient=OTHER, at=DAYS[0]), admission("A45", control="A2", mrg=OTHER, at=DAYS[1])
    )
    assert (await teams(service), await teams(service, "5678")) == ({"cardiology": True}, {"cardiology": False})


async def test_loaded_relations_stay(service: Service, receiving: Receiving) -> None:
    """A relation that the hospital loaded and the EPD never names is not touched."""
    await service.relations.begin(receiving.tenant, numbers("1234"), "A", "internal", 0)
    await receiving.taken(admission("A01", at=DAYS[0]), admission("A03", control="A2", at=DAYS[1]))
    assert await teams(service) == {"cardiology": False, "internal": True}


async def test_it_is_logged_and_nothing_lies_open(service: Service, receiving: Receiving) -> None:
    """Every change of care is in the access log; neither name nor number is readable in what is stored."""
    await receiving.taken(admission("A01"))
    id = await service.patients.find("spijkenisse", (Identifier("local", "1234"),))
    assert [e["object_kind"] for e in await service.all(ACCESS_LOG, "of_patient", patient=id)] == ["care"]
    stored = await service.all(CARE_EVENTS, "of_patient", patient=id) + [await service.store.get(CARE, id or "")]
    assert "Jansen" not in str(stored)
    assert "1234^" not in str(stored)


def a_month(random: random.Random) -> list[str]:
    """Events about four patients: visits, changes, deaths, appointments, one merge, one merge undone."""
    made: list[str] = []
    for number in range(60):
        patient = f"{random.choice((1234, 5678, 9012, 3456))}^^^ZKH^PI"
        how = {
            "control": f"C{number}",
            "patient": patient,
            "at": f"202605{1 + number // 3:02}{number % 24:02}0000+0200",
        }
        trigger = random.choice(["A01", "A04", "A08", "A08", "A03", "A31", "S12", "S13", "S15"])
        if trigger.startswith("S"):
            made.append(
                appointment(trigger, f"202607{1 + number % 28:02}1000", number=f"F{number % 5}{patient}", **how)
            )
        else:
            made.append(
                admission(
                    trigger,
                    visit=f"V{number % 4}{patient[:4]}",
                    ward=random.choice(["CARD", "INT"]),
                    attending=random.choice(["", "77"]),
                    dead=random.choice(["", "", "Y", "N"]),
                    name=f"Jansen^{number}",
                    **how,
                )
            )
    late = {"visit": "", "ward": ""}
    made.append(admission("A40", control="M1", mrg=OTHER, at="20260525000000", **late))
    made.append(admission("A40", control="M2", patient=THIRD, mrg="3456^^^ZKH^PI", at="20260525010000", **late))
    made.append(admission("A37", control="M3", patient=THIRD, more="PID|||3456^^^ZKH^PI", at="20260526000000", **late))
    return made


async def told(service: Service, receiving: Receiving, messages: list[str]) -> dict[str, Any]:
    """The end state after these messages, each sent until it is AA."""
    for message in messages:
        async with asyncio.timeout(20):
            while code(await receiving.ack(message)) != "AA":
                pass
    found: dict[str, Any] = {}
    heads = {}
    for number in ("1234", "5678", "9012", "3456"):
        id = await service.patients.find("spijkenisse", numbers(number)) or ""
        heads[number] = id
        relations = await service.relations.of(id)
        name = (await service.patients.identity(id))[1]
        found[number] = (
            await care(service, number),
            sorted((r.care_team, r.began_at, r.ended_at) for r in relations),
            name,
        )
    found["same"] = (heads["1234"] == heads["5678"], heads["9012"] == heads["3456"])
    return found


FAULTS = [
    ("insert", CARE_EVENTS),
    ("insert", CARE),
    ("replace", CARE),
    ("insert", RELATIONS),
    ("replace", RELATIONS),
    ("insert", PATIENTS),
    ("replace", PATIENTS),
    ("insert", IDENTIFIERS),
    ("replace", IDENTIFIERS),
    ("insert", ACCESS_LOG),
]


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_with_faults_ends_as_in_order(
    service: Service, receiving: Receiving, fresh: Callable[[], Awaitable[Receiving]], seed: int
) -> None:
    """A month told in random order with repeats and faults ends in the same state as told in order."""
    chance = random.Random(seed)
    month = a_month(chance)
    expected = await told(service, receiving, month)
    other = await fresh()
    shuffled = [*month, *chance.sample(month, 10)]
    chance.shuffle(shuffled)
    for operation, collection in FAULTS:
        for done in (False, True):
            other.service.store.fail(operation, collection, done=done, passing=chance.randrange(20))
    assert await told(other.service, other, shuffled) == expected
