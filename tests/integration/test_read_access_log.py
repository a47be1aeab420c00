"""Who looked: told to the patient, to whoever acts for one, and to the auditor; that they asked is logged."""

from __future__ import annotations

import msgspec
import pytest

from messaging_service.application.access_entry import BREAK_GLASS
from messaging_service.application.accounts import Accounts
from messaging_service.application.actors import caller
from messaging_service.application.callers import Staff
from messaging_service.application.collections import ACCESS_LOG, PATIENTS
from messaging_service.application.ports import Access
from messaging_service.application.read_access_log import AccessView, ReadAccessLog
from messaging_service.domain.refusals import NotFound, NotRepresentative
from messaging_service.domain.roles import Role, Scope
from messaging_service.tenants.access_log import AccessLogRules
from tests.parts.portal import Portal
from tests.parts.service import Service, numbers


@pytest.fixture
def portal(service: Service) -> Portal:
    return Portal(service)


@pytest.fixture
def log(service: Service) -> ReadAccessLog:
    return ReadAccessLog(
        store=service.store,
        patients=service.patients,
        accounts=service.accounts,
        threads=service.threads,
        access_log=service.access_log,
    )


def staff(portal: Portal, role: Role, scope: Scope) -> Staff:
    """Somebody of the hospital's staff, doing what the scope allows."""
    found = Staff(portal.tenant, f"sub-{role}", "Dr. De Wit", role, frozenset({scope}), assured=True)
    return found.using(scope)


async def opened(portal: Portal, message: str) -> None:
    """On-call opened this message."""
    service, who = portal.service, staff(portal, Role.ON_CALL, Scope.OPEN_ALARMS)
    by = caller(service.keyring, who, BREAK_GLASS)
    await service.access_log.record(
        Access(portal.id, await portal.account(), by, "read", "message", message, "emergency")
    )


def told(found: list[AccessView]) -> list[tuple[str, str, str]]:
    """Role, kind and name, the oldest first."""
    return [(view.entry.role, view.entry.object_kind, view.name) for view in reversed(found)]


@pytest.mark.parametrize(("shown_by", "name"), [("role", ""), ("name", "Dr. De Wit")])
async def test_the_patient_asks(portal: Portal, log: ReadAccessLog, shown_by: str, name: str) -> None:
    """Everything of their own, nothing of another's; staff by name where the hospital says so; asking is an entry."""
    rules = AccessLogRules(staff_shown_by=shown_by)  # type: ignore[arg-type]
    portal.service.tenants[portal.id] = msgspec.structs.replace(portal.tenant, access_log=rules)
    stored = await portal.stored(portal.patient())
    await portal.stored(portal.patient("9999"))
    await opened(portal, stored.message)
    found = await log.own(portal.patient(), below=None, limit=50)
    assert {view.entry.patient for view in found} == {await portal.service.patients.find(portal.id, numbers("1234"))}
    assert ("patient", "message", "A. Jansen") in told(found)
    assert ("on-call", "message", name) in told(found)
    newest = (await log.own(portal.patient(), below=None, limit=1))[0]
    assert (newest.entry.object_kind, newest.entry.role, newest.entry.event) == ("access_log", "patient", "DCM:110101")
    with pytest.raises(NotRepresentative):
        await log.own(portal.acting(), below=None, limit=1)


async def test_a_representative_asks(portal: Portal, log: ReadAccessLog) -> None:
    """Nothing of threads that are private to the patient, nor of what nobody knows; pages are filled with the rest."""
    await portal.register()
    private = await portal.stored(portal.patient(), private=True)
    shared = await portal.stored(portal.patient())
    for message in (private.message, "A" * 26, shared.message, private.message):
        await opened(portal, message)
    found = await log.own(portal.acting(), below=None, limit=50)
    objects = [view.entry.object for view in found]
    assert shared.message in objects
    assert private.message not in objects
    assert "A" * 26 not in objects
    (newest, *_) = await log.own(portal.acting(), below=None, limit=1)
    following = await log.own(portal.acting(), below=newest.entry.order, limit=2)
    assert len(following) == 2
    assert all(view.entry.order < newest.entry.order for view in following)
    every = await log.own(portal.patient(), below=None, limit=50)
    assert private.message in [view.entry.object for view in every]


async def test_the_auditor_asks(portal: Portal, log: ReadAccessLog) -> None:
    """By the patient's number, with names, of the own hospital alone; that it was asked is in that patient's log."""
    stored = await portal.stored(portal.patient())
    await opened(portal, stored.message)
    auditor = staff(portal, Role.AUDITOR, Scope.READ_ACCESS_LOG)
    found = await log.search(auditor, numbers("1234"), below=None, limit=50)
    assert ("on-call", "message", "Dr. De Wit") in told(found)
    again = await log.search(auditor, numbers("1234"), below=None, limit=1)
    assert [(view.entry.role, view.entry.authorisation) for view in again] == [("auditor", "access-log:read")]
    elsewhere = Portal(portal.service, "sein")
    for who, number in ((auditor, "0"), (staff(elsewhere, Role.AUDITOR, Scope.READ_ACCESS_LOG), "1234")):
        with pytest.raises(NotFound):
            await log.search(who, numbers(number), below=None, limit=1)


async def test_after_the_key_is_destroyed(portal: Portal, log: ReadAccessLog) -> None:
    """Who looked stays, by pseudonym and role; names went with the key, and nothing in the store shows them."""
    stored = await portal.stored(portal.patient())
    await opened(portal, stored.message)
    service, patient = portal.service, await portal.account()
    kept = await service.all(ACCESS_LOG, "of_patient", patient=patient)
    assert not any(word in repr(kept) for word in ("Wit", "Jansen", "sub-"))
    await service.store.delete(PATIENTS, patient)
    service = service.another()
    accounts = Accounts(service.store, service.patients, service.keyring, service.clock)
    later = ReadAccessLog(
        store=service.store,
        patients=service.patients,
        accounts=accounts,
        threads=service.threads,
        access_log=service.access_log,
    )
    found = await later.of_patient(portal.tenant, patient, 50)
    assert ("on-call", "message", "") in told(found)


async def test_what_is_not_logged_is_not_shown(portal: Portal, log: ReadAccessLog) -> None:
    """The log cannot be written: nobody is told who looked."""
    await portal.stored(portal.patient())
    portal.service.store.fail("insert", ACCESS_LOG)
    with pytest.raises(Exception, match="store"):
        await log.own(portal.patient(), below=None, limit=1)
