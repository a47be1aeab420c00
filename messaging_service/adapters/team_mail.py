"""Letters to care teams and their leads: which messages wait for an answer, and since when that is late."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from datetime import UTC, date, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib
import structlog

from messaging_service.adapters.mail import MailServer, domain_of, hand_in
from messaging_service.adapters.reply_wording import day_in_words
from messaging_service.application.ports import CareTeams, Clock, Waiting
from messaging_service.domain.errors import MailDown, SettingInvalid
from messaging_service.tenants import CareTeam, Tenant

_log = structlog.get_logger(__name__)
_MOST_LISTED = 50
_SUBJECTS = {
    False: "Wacht op antwoord / awaits an answer: {team}",
    True: "Antwoorddatum voorbij / reply date passed: {team}",
}
_TEXTS = {
    False: """\
{name}, {team}: {number} bericht(en) van patiënten wachten op antwoord. Het streven is een antwoord uiterlijk op de
genoemde dag. Is het al afgehandeld, bijvoorbeeld per telefoon, meld het bericht dan af.

{name}, {team}: {number} message(s) of patients wait for an answer, aimed at by the day below. If one was dealt with
otherwise, by telephone for instance, mark it as handled.

""",
    True: """\
{name}, {team}: bij {number} bericht(en) van patiënten is de antwoorddatum voorbij zonder antwoord. De patiënt heeft
gelezen dat het antwoord later komt en dat bellen kan.

{name}, {team}: the reply date of {number} message(s) of patients has passed without an answer. The patient has been
told that it will be later, and may call.

""",
}


class TeamMail(CareTeams):
    """Mail to a tenant's care teams. A letter holds documents' numbers in the EPD (TXA-12) and days, no patient."""

    def __init__(
        self, tenant: Tenant, smtp: str | None, sender: str, clock: Clock, tls: ssl.SSLContext | None = None
    ) -> None:
        """`smtp` is MESSAGING_SMTP (see `MailServer.of`), `sender` MESSAGING_MAIL_FROM.

        Raises:
            SettingInvalid: there are addresses and no mail server, or its setting is wrong.
        """
        self._tenant = tenant
        self._sender = sender
        self._clock = clock
        self._tls = tls
        wanted = any(team.email or team.lead for team in tenant.routing.care_teams)
        if wanted and not smtp:
            raise SettingInvalid(f"{tenant.id}: email and lead of [routing] care_teams need MESSAGING_SMTP")
        self._server = MailServer.of(smtp) if wanted and smtp else None

    async def remind(self, waiting: Waiting) -> None:
        """See `CareTeams`."""
        await self._tell(waiting, late=False)

    async def escalate(self, waiting: Waiting) -> None:
        """See `CareTeams`."""
        await self._tell(waiting, late=True)

    async def _tell(self, waiting: Waiting, *, late: bool) -> None:
        routing = self._tenant.routing
        team, desk = routing.team(waiting.care_team), routing.team(routing.triage_desk)
        to = _addresses(team, late) or _addresses(desk, late)
        known = {"tenant": waiting.tenant, "outcome": "lead" if late else "team"}
        if self._server is None or not to:
            _log.warning("care_team_has_no_address", **known)
            return
        letter = self._letter(waiting, team.name if team else waiting.care_team, to, late=late)
        try:
            taken = await hand_in(letter, self._server, domain_of(self._sender), self._tls)
        except (aiosmtplib.SMTPException, OSError) as problem:
            _log.error("care_team_mail_failed", **known, reason=type(problem).__name__)
            raise MailDown from problem
        if not taken:
            _log.error("care_team_mail_partly", **known)

    def _letter(self, waiting: Waiting, team: str, to: Sequence[str], *, late: bool) -> EmailMessage:
        said = {"name": " ".join(self._tenant.name.split()), "team": team, "number": len(waiting.messages)}
        shown = sorted(waiting.messages, key=lambda one: one[1])[:_MOST_LISTED]
        lines = [f"{id}  {day_in_words(date.fromisoformat(by), 'nl')} ({by})\n" for id, by in shown]
        more = len(waiting.messages) - len(shown)
        letter = EmailMessage()
        letter["From"] = self._sender
        letter["To"] = ", ".join(to)
        letter["Subject"] = _SUBJECTS[late].format_map(said)
        letter["Date"] = format_datetime(datetime.fromtimestamp(self._clock() / 1000, UTC))
        letter["Message-ID"] = f"<replies.{_digest(waiting, late)}@{domain_of(self._sender)}>"
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(_TEXTS[late].format_map(said) + "".join(lines) + (f"… + {more}\n" if more else ""))
        return letter


def _addresses(team: CareTeam | None, late: bool) -> tuple[str, ...]:
    """A lead's own address counts first; one who is nowhere named reads with the team."""
    if team is None:
        return ()
    return (team.lead or team.email) if late else team.email


def _digest(waiting: Waiting, late: bool) -> str:
    """The same for the same letter, so that a mailbox may drop one that is handed in twice."""
    told = "|".join((waiting.tenant, waiting.care_team, str(late), *(id for id, _ in waiting.messages)))
    return hashlib.sha256(told.encode()).hexdigest()[:32]
