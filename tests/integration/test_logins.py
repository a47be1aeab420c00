"""The register of logins: each once, in the tenant's own days, and nothing waits for it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from click.testing import CliRunner

from messaging_service.application import logins as register
from messaging_service.application.collections import LOGINS
from messaging_service.application.logins import PATIENTS, REPRESENTATIVES, STAFF, DayOfLogins, Login, Logins
from messaging_service.cli import main
from messaging_service.domain.errors import StoreDown
from tests.contract.http_service import HttpService, http_service, until
from tests.parts.service import Service, eventually

AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def at(moment: str) -> int:
    """A local time of the hospital's, in milliseconds."""
    return int(datetime.fromisoformat(moment).replace(tzinfo=AMSTERDAM).timestamp() * 1000)


def login(
    proof: str, moment: str = "2026-06-01T12:00", kind: str = PATIENTS, subject: str = "a", tenant: str = "spijkenisse"
) -> Login:
    return Login(tenant, kind, subject, proof, at(moment), True)


@pytest.fixture
def logins(service: Service) -> Logins:
    return Logins(service.store, service.keyring, service.tenants, interval=0.005)


async def counted(logins: Logins, day: str, tenant: str = "spijkenisse") -> tuple[int, int, int]:
    (found,) = await logins.per_day(tenant, [date.fromisoformat(day)])
    return found.patients, found.representatives, found.staff


async def test_once_a_login(service: Service, logins: Logins) -> None:
    """However often a login is seen, before and after it was written and by however many gateways, it counts once."""
    other = Logins(service.store, service.keyring, service.tenants)
    for one in (logins, other, logins):
        for _ in range(3):
            one.seen(login("s1"))
        await one.flush()
    logins.seen(login("s2"))
    logins.seen(login("s1", subject="b"))
    await logins.flush()
    assert await counted(logins, "2026-06-01") == (3, 0, 0)


async def test_kinds_days_and_tenants(logins: Logins) -> None:
    """Patients, representatives and staff apart; nothing of another day or tenant."""
    for number, kind in enumerate((PATIENTS, REPRESENTATIVES, REPRESENTATIVES, STAFF)):
        logins.seen(login(f"s{number}", kind=kind))
    logins.seen(login("s1", tenant="sein"))
    logins.seen(login("s5", "2026-06-02T00:00"))
    await logins.flush()
    assert await counted(logins, "2026-06-01") == (1, 2, 1)
    assert await counted(logins, "2026-06-02") == (1, 0, 0)
    assert await counted(logins, "2026-06-01", "sein") == (1, 0, 0)
    assert await logins.per_day("sein", []) == []


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-06-01T23:59:59.999", "2026-06-01"),
        ("2026-06-02T00:00", "2026-06-02"),
        ("2026-03-29T00:30", "2026-03-29"),  # the day has 23 hours
        ("2026-10-25T23:59", "2026-10-25"),  # and this one 25
        ("2026-12-31T23:59", "2026-12-31"),
        ("2027-01-01T00:00", "2027-01-01"),
    ],
)
async def test_days_are_the_hospitals(logins: Logins, moment: str, day: str) -> None:
    """A login belongs to the day that the hospital's clock showed, around midnight, summer time and New Year."""
    logins.seen(login("s1", moment))
    await logins.flush()
    assert await counted(logins, day) == (1, 0, 0)


async def test_what_is_kept(service: Service, logins: Logins) -> None:
    """No subject and no session in the clear, and the same actor as in the access log."""
    logins.seen(login("session-1", subject="patient-7"))
    await logins.flush()
    (entry,) = await service.store.find(LOGINS, "by_day", {"tenant": "spijkenisse"})
    assert not any(word in str(entry) for word in ("session-1", "patient-7"))
    assert entry["actor"] == service.keyring.digest("spijkenisse", "actor", "patient-7")


async def test_a_store_that_is_down(service: Service, logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins wait in memory, nobody waits for them, and they are written once when the store is back."""
    stop = asyncio.Event()
    insert, tried = service.store.insert, asyncio.Event()

    async def fail(*_: object) -> list[bool]:
        tried.set()
        raise StoreDown

    monkeypatch.setattr(service.store, "insert", fail)
    keeping = asyncio.create_task(logins.keep(stop))
    logins.seen(login("s1"))
    await asyncio.wait_for(tried.wait(), 10)
    logins.seen(login("s2"))
    monkeypatch.setattr(service.store, "insert", insert)

    async def are_written() -> bool:
        return await counted(logins, "2026-06-01") == (2, 0, 0)

    await eventually(are_written)
    logins.seen(login("s3"))
    stop.set()
    await keeping
    assert await counted(logins, "2026-06-01") == (3, 0, 0)


async def test_memory_is_bounded(logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the store down for long the oldest wait; one that found no room is registered when it is seen again."""
    monkeypatch.setattr(register, "_MOST_WAITING", 2)
    monkeypatch.setattr(register, "_MOST_KNOWN", 2)
    for proof in ("s1", "s2", "s3"):
        logins.seen(login(proof))
    await logins.flush()
    assert await counted(logins, "2026-06-01") == (2, 0, 0)
    for proof in ("s3", "s2", "s1"):
        logins.seen(login(proof))
        await logins.flush()
    assert await counted(logins, "2026-06-01") == (3, 0, 0)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service."""
    with http_service(tmp_path_factory.mktemp("service")) as service:
        yield service


def test_over_http_and_from_the_shell(running: HttpService, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Many requests and tokens of one login count once, a weak login too; the auditor and the shell see the same."""
    strong = [running.token("1", sid="s1", auth_time=1_780_000_000, jti=str(number)) for number in range(3)]
    for token in [*strong, *strong, running.token("2", sid="s2", acr=None, amr=None)]:
        running.send("GET", "/v1/threads", token=token)
    running.send("GET", "/v1/threads", token=running.token("3", hours=-1))
    auditor = running.staff_token("auditor", "logins:count")

    def today() -> dict[str, object]:
        answer = running.send("GET", "/v1/logins?days=1", token=auditor)
        return dict(answer.json["days"][0])

    until(lambda: today()["patients"] == 1 and today()["staff"] == 1)  # s1 was on the day that its auth_time says
    settings = running.parts.settings
    environment = {
        "MESSAGING_BROKER": settings.broker,
        "MESSAGING_STORE": settings.store,
        "MESSAGING_KEYRING": str(settings.keyring),
        "MESSAGING_TENANTS": str(settings.tenants),
    }
    shown = CliRunner().invoke(main, ["logins", "--days", "1", "--tenant", "spijkenisse", "--json"], env=environment)
    assert msgspec.json.decode(shown.stdout, type=dict[str, list[DayOfLogins]])["spijkenisse"][0].patients == 1
    table = CliRunner().invoke(main, ["logins"], env=environment)
    assert table.exit_code == 0
    assert "representatives" in table.stdout
    nowhere = CliRunner().invoke(main, ["logins", "--tenant", "nowhere"], env=environment)
    assert nowhere.exit_code == 2
    assert "there are: sein, spijkenisse" in nowhere.stderr
    for days in ("0", "93", "-1", "x", "1.5", "%D9%A3"):
        assert running.send("GET", f"/v1/logins?days={days}", token=auditor).status == 400


@pytest.mark.parametrize("tenant", ["spijkenisse", "sein"])
def test_article_7_every_login_is_registered(running: HttpService, tenant: str) -> None:
    """Of both hospitals' terms: each login once, a representative's too, and none of the other hospital's."""
    now = int(time.time())

    def counted(of: str) -> dict[str, int]:
        token = running.staff_token("auditor", "logins:count", tenant=of, sub=secrets.token_hex(4), auth_time=1)
        day = running.send("GET", "/v1/logins?days=1", token=token).json["days"][0]
        return {kind: day[kind] for kind in ("patients", "representatives")}

    other = "sein" if tenant == "spijkenisse" else "spijkenisse"
    before, elsewhere = counted(tenant), counted(other)
    for session in ("first", "first", "second"):
        who = {"sub": f"article-7-{tenant}", "sid": session, "auth_time": now, "jti": secrets.token_hex(4)}
        for act in ({}, {"act": {"sub": "mentor"}}):
            running.send("GET", "/v1/compose-notice", token=running.token("7", tenant, **who, **act))
    wanted = {kind: number + 2 for kind, number in before.items()}
    until(lambda: counted(tenant) == wanted)
    assert counted(other) == elsewhere


def test_no_write_a_request(running: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred requests with twenty tokens of one login write once into the register."""
    tokens = [running.token("hot", sid="hot", auth_time=1_780_000_000, jti=str(number)) for number in range(20)]
    actor = running.parts.keyring.digest("spijkenisse", "actor", "spijkenisse-hot")
    written: list[object] = []
    insert = running.parts.store.insert

    async def counting(collection: object, documents: list[dict[str, object]]) -> list[bool]:
        if collection is LOGINS:
            written.extend(document for document in documents if document["actor"] == actor)
        return await insert(collection, documents)  # type: ignore[arg-type]

    monkeypatch.setattr(running.parts.store, "insert", counting)
    for token in tokens * 5:
        assert running.send("GET", "/v1/compose-notice", token=token).status == 200
    until(lambda: len(written) == 1)
