"""On-call opens one urgent message: with a reason, written down first, whatever the EPD does, and never more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from messaging_service.application.break_glass import BreakGlass
from messaging_service.application.callers import Staff
from messaging_service.application.collections import ACCESS_LOG, HELD, MESSAGES, OPENINGS, PATIENTS
from messaging_service.application.escalate import Duty, Escalate
from messaging_service.application.openings import Account, Openings
from messaging_service.application.park import Park
from messaging_service.cli import main
from messaging_service.domain.errors import StoreDown
from messaging_service.domain.message import Lane, State
from messaging_service.domain.refusals import Forbidden, NotFound
from messaging_service.domain.roles import Role, Scope
from tests.contract.asking import an_alarm
from tests.contract.http_service import http_service
from tests.parts.service import SECRET_TEXT, Pager, Service, enveloped, submitted

REASON = "Het EPD is niet bereikbaar; alarm om 03:12"
HOUR_MS = 3_600_000
OnCall = Callable[..., Staff]


@pytest.fixture
def openings(service: Service) -> Openings:
    return Openings(store=service.store, patients=service.patients, access_log=service.access_log)


@pytest.fixture
def break_glass(service: Service, openings: Openings) -> BreakGlass:
    return BreakGlass(
        store=service.store,
        patients=service.patients,
        threads=service.threads,
        openings=openings,
        keyring=service.keyring,
        access_log=service.access_log,
        clock=service.clock,
    )


@pytest.fixture
def on_call(service: Service) -> OnCall:
    """Somebody on call at a tenant."""

    def staff(tenant: str = "spijkenisse") -> Staff:
        scopes = frozenset({Scope.OPEN_ALARMS})
        return Staff(service.tenants[tenant], "arts-7", "Dr. De Wit", Role.ON_CALL, scopes, assured=True)

    return staff


async def logged(service: Service) -> list[dict[str, Any]]:
    """The entries of the access log that say break-glass."""
    found = await service.store.find(ACCESS_LOG, "of_run", {}, limit=1_000)
    return [dict(entry) for entry in found if entry["basis"] == "break-glass"]


async def test_an_urgent_message(service: Service, break_glass: BreakGlass, on_call: OnCall) -> None:
    """What it says and whose it is, while nothing of it was filed; who, when and why are written down, sealed."""
    stored = await service.persisted(lane=Lane.URGENT)
    opened = await break_glass(on_call(), stored.id, REASON)
    assert (opened.id, opened.thread, opened.state) == (stored.id, stored.thread, State.PERSISTED)
    assert opened.submission.content.clean == SECRET_TEXT
    assert opened.submission.identifiers[0].value == "1234"
    (opening,) = await service.store.find(OPENINGS, "of_message", {"message": stored.id})
    assert (opening["at"], opening["patient"]) == (service.clock(), stored.patient)
    assert not any(word.encode() in msgspec.json.encode(opening) for word in (REASON, "arts-7", "De Wit"))
    (entry,) = await logged(service)
    assert (entry["action"], entry["object"], entry["patient"]) == ("read", stored.id, stored.patient)
    assert (entry["role"], entry["purpose"], entry["actor"]) == ("on-call", "emergency", opening["actor"])


async def test_who_opened_and_why(
    service: Service, break_glass: BreakGlass, openings: Openings, on_call: OnCall
) -> None:
    """On record, newest first and of this tenant alone; a look at the record is itself in the access log."""
    first, second = [await service.persisted(lane=Lane.URGENT, patient=number) for number in ("1234", "9999")]
    for message in (first, second):
        service.clock.minutes(1)
        await break_glass(on_call(), message.id, f"{REASON}, {message.patient}")
    assert await openings.last("sein", 10) == []
    found = await openings.last("spijkenisse", 10)
    assert [(one.message, one.account) for one in found] == [
        (message.id, Account(f"{REASON}, {message.patient}", "arts-7", "Dr. De Wit")) for message in (second, first)
    ]
    assert len(await openings.last("spijkenisse", 1)) == 1
    assert REASON not in repr(found)
    entries = await service.store.find(ACCESS_LOG, "of_run", {}, limit=1_000)
    assert [entry["object"] for entry in entries if entry["purpose"] == "audit"] == [
        *(o.id for o in found),
        found[0].id,
    ]


async def test_a_reason_goes_with_the_patients_key(
    service: Service, break_glass: BreakGlass, openings: Openings, on_call: OnCall
) -> None:
    """The patient's key is destroyed: that it was opened stays, why and by whom cannot be read any more."""
    stored = await service.persisted(lane=Lane.URGENT)
    await break_glass(on_call(), stored.id, REASON)
    await service.store.delete(PATIENTS, stored.patient)
    later = Openings(store=service.store, patients=service.another().patients, access_log=service.access_log)
    (found,) = await later.last("spijkenisse", 10)
    assert (found.message, found.account) == (stored.id, None)


async def test_what_was_destroyed_stays_so(service: Service, openings: Openings, on_call: OnCall) -> None:
    """The patient's key is gone: there is nothing to open, and no record of the patient comes of the attempt."""
    stored = await service.persisted(lane=Lane.URGENT)
    await service.store.delete(PATIENTS, stored.patient)
    later = service.another()
    break_glass = BreakGlass(
        store=service.store,
        patients=later.patients,
        threads=service.threads,
        openings=openings,
        keyring=service.keyring,
        access_log=service.access_log,
        clock=service.clock,
    )
    with pytest.raises(NotFound):
        await break_glass(on_call(), stored.id, REASON)
    assert await service.store.get(PATIENTS, stored.patient) is None
    assert await logged(service) == []


async def test_each_opening_is_written_down(service: Service, break_glass: BreakGlass, on_call: OnCall) -> None:
    """Twice opened is twice in the log."""
    stored = await service.persisted(lane=Lane.URGENT)
    for _ in range(2):
        await break_glass(on_call(), stored.id, REASON)
    assert len(await logged(service)) == 2


async def test_what_rang_no_alarm(service: Service, break_glass: BreakGlass, on_call: OnCall) -> None:
    """An ordinary message, an urgent one that woke nobody, and an id that nobody has: none is there."""
    ordinary = await service.persisted()
    quiet = await service.persisted(service.accepted(lane=Lane.URGENT, text="x", triage=quiet_triage(service)))
    for id in (ordinary.id, quiet.id, "A" * 26):
        with pytest.raises(NotFound):
            await break_glass(on_call(), id, REASON)
    assert await logged(service) == []


def quiet_triage(service: Service) -> object:
    """Urgent for the patient, no alarm for on-call."""
    return replace(submitted("1234", True).triage, alarm=False)


async def test_another_tenants(service: Service, break_glass: BreakGlass, on_call: OnCall) -> None:
    """On-call of another hospital finds nothing, stored or held."""
    stored = await service.persisted(lane=Lane.URGENT)
    held = await refused(service)
    for id in (stored.id, held):
        with pytest.raises(NotFound):
            await break_glass(on_call("sein"), id, REASON)


async def test_an_alarm_grows_old(service: Service, break_glass: BreakGlass, on_call: OnCall) -> None:
    """For as many hours as the tenant says, to the millisecond; after that the record is where to read it."""
    stored = await service.persisted(lane=Lane.URGENT)
    service.clock.now = stored.accepted_at + 72 * HOUR_MS - 1
    assert await break_glass(on_call(), stored.id, REASON)
    service.clock.now += 1
    with pytest.raises(Forbidden):
        await break_glass(on_call(), stored.id, REASON)


async def refused(service: Service, *, alarm: bool = True) -> str:
    """An urgent message that the gateway refused and sent to the escalate step alone; its id."""
    event = service.accepted(lane=Lane.URGENT, alarm=alarm)
    duty = Duty(service.tenants["spijkenisse"], Pager())
    escalate = Escalate(duties={"spijkenisse": duty}, store=service.store, clock=service.clock)
    for _ in range(2):
        await escalate(enveloped(event))
    return event.message


async def test_one_that_was_refused(service: Service, break_glass: BreakGlass, on_call: OnCall) -> None:
    """Its writer may not write, yet on-call can read whom to call; nobody else ever has it, and it is never filed."""
    id = await refused(service)
    opened = await break_glass(on_call(), id, REASON)
    assert (opened.state, opened.submission.content.clean) == (None, SECRET_TEXT)
    assert await service.store.get(MESSAGES, id) is None
    (held,) = await service.store.find(HELD, "by_time", {"tenant": "spijkenisse"})
    assert SECRET_TEXT.encode() not in held["sealed"]
    assert len(await logged(service)) == 1


async def test_one_that_was_parked_before_it_was_stored(
    service: Service, break_glass: BreakGlass, on_call: OnCall
) -> None:
    """The persist step gave it up: on-call reads it out of what is parked."""
    event = service.accepted(lane=Lane.URGENT)
    park = Park(tenants=service.tenants, store=service.store, threads=service.threads, clock=service.clock)
    await park(replace(enveloped(event), headers={"queue": "persist.urgent", "reason": "account_blocked"}))
    opened = await break_glass(on_call(), event.message, REASON)
    assert (opened.state, opened.submission.content.clean) == (State.PARKED, SECRET_TEXT)


async def test_nothing_is_shown_that_is_not_written_down(
    service: Service, break_glass: BreakGlass, on_call: OnCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log cannot be written: the message stays closed."""
    stored = await service.persisted(lane=Lane.URGENT)

    async def fail(*_: object) -> None:
        raise StoreDown

    monkeypatch.setattr(service.access_log, "record", fail)
    with pytest.raises(StoreDown):
        await break_glass(on_call(), stored.id, REASON)


def test_from_the_shell(tmp_path: Path) -> None:
    """`openings` shows who opened what and why, as a table and as JSON."""
    with http_service(tmp_path) as service:
        an_id = an_alarm(service)
        token = service.staff_token("on-call", "alarms:open")
        assert (
            service.send("POST", f"/v1/alarms/{an_id}/opening", message={"reason": REASON}, token=token).status == 200
        )
        settings = service.parts.settings
        environment = {
            "MESSAGING_BROKER": settings.broker,
            "MESSAGING_STORE": settings.store,
            "MESSAGING_KEYRING": str(settings.keyring),
            "MESSAGING_TENANTS": str(settings.tenants),
        }
        shown = CliRunner().invoke(main, ["openings", "--json"], env=environment)
        (opening,) = msgspec.json.decode(shown.stdout)
        assert (opening["message"], opening["account"]["reason"]) == (an_id, REASON)
        table = CliRunner().invoke(main, ["openings", "--tenant", "spijkenisse"], env=environment)
        assert REASON in table.stdout
        none = CliRunner().invoke(main, ["openings", "--tenant", "sein"], env=environment)
        assert none.stdout == "nothing was opened\n"
