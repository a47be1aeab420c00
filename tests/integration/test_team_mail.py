"""Letters to care teams, over a real mail server: to the right people, numbers and days, nothing of a patient."""

from __future__ import annotations

import msgspec
import pytest

from messaging_service.adapters.team_mail import TeamMail
from messaging_service.application.ports import Waiting
from messaging_service.domain.errors import MailDown, SettingInvalid
from messaging_service.tenants import CareTeam, Tenant
from tests.integration.test_on_call import MailPeer, serve
from tests.parts.service import MovedClock

SENDER = "Messaging <berichten@hospital.example>"
WAITING = Waiting("spijkenisse", "cardiology", (("B" * 26, "2026-05-19"), ("A" * 26, "2026-05-16")))


def with_addresses(tenant: Tenant, **addresses: dict[str, tuple[str, ...]]) -> Tenant:
    """The tenant with `email` and `lead` of some of its teams."""
    teams = tuple(_team(team, addresses.get(team.code, {})) for team in tenant.routing.care_teams)
    return msgspec.structs.replace(tenant, routing=msgspec.structs.replace(tenant.routing, care_teams=teams))


def _team(team: CareTeam, addresses: dict[str, tuple[str, ...]]) -> CareTeam:
    return msgspec.structs.replace(team, **addresses)


async def test_the_letters(tenants: dict[str, Tenant]) -> None:
    """The team before, its lead after; each lists the numbers by day, and says what can be done about it."""
    teams = {"email": ("poli@hospital.example",), "lead": ("hoofd@hospital.example",)}
    tenant = with_addresses(tenants["spijkenisse"], cardiology=teams)
    async with serve(MailPeer()) as peer:
        mail = TeamMail(tenant, f"smtp://127.0.0.1:{peer.port}", SENDER, MovedClock())
        await mail.remind(WAITING)
        await mail.escalate(WAITING)
    (first, before), (second, after) = peer.letters
    assert (first, second) == (["poli@hospital.example"], ["hoofd@hospital.example"])
    assert before["Subject"] == "Wacht op antwoord / awaits an answer: Cardiologie poli"
    assert before["Message-ID"] != after["Message-ID"]
    text = before.get_content()
    assert text.index("A" * 26 + "  zaterdag 16 mei 2026") < text.index("B" * 26 + "  dinsdag 19 mei 2026")
    assert "2 bericht(en)" in text
    assert "voorbij" in after.get_content()


async def test_a_team_without_an_address_is_the_desks(tenants: dict[str, Tenant]) -> None:
    """Without a lead the team reads both, without addresses the triage desk does; with none at all nothing fails."""
    desk = {"email": ("desk@hospital.example",)}
    async with serve(MailPeer()) as peer:
        smtp = f"smtp://127.0.0.1:{peer.port}"
        mail = TeamMail(with_addresses(tenants["spijkenisse"], triage=desk), smtp, SENDER, MovedClock())
        await mail.remind(WAITING)
        await mail.escalate(WAITING)
        await TeamMail(tenants["spijkenisse"], smtp, SENDER, MovedClock()).remind(WAITING)
    assert [receivers for receivers, _ in peer.letters] == [["desk@hospital.example"]] * 2


async def test_a_mail_server_that_is_down(tenants: dict[str, Tenant]) -> None:
    """MailDown, so that it is tried again; and a mail server that is missing is a setting to mend at the start."""
    tenant = with_addresses(tenants["spijkenisse"], triage={"email": ("desk@hospital.example",)})
    with pytest.raises(MailDown):
        await TeamMail(tenant, "smtp://127.0.0.1:9", SENDER, MovedClock()).remind(WAITING)
    with pytest.raises(SettingInvalid, match="MESSAGING_SMTP"):
        TeamMail(tenant, None, SENDER, MovedClock())
