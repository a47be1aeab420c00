"""The letter that tells on-call of an urgent message."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from messaging_service.adapters.mail import MailServer, domain_of, hand_in, rehearse
from messaging_service.application.ports import Alarm, Clock
from messaging_service.tenants import Tenant

_SUBJECT = "Spoedbericht / urgent message: {name}"
_CLIMBED = "Nog niet bevestigd / not acknowledged yet: {name}"
_TEXT = """\
Er is een spoedbericht van een patiënt van {name}.

Ontvangen:  {since}
Bericht:    {message}
Openen:     {link}
Bevestigen: {acknowledge}

Open het bericht nu in de inbox van het EPD, beoordeel het en neem zo nodig contact op met de patiënt. Is het daar
niet, of is het EPD niet bereikbaar, open het dan via de link hierboven; dat wordt vastgelegd.
Bevestig daarna het alarm. Staat het bericht {minutes} minuten na ontvangst niet in het EPD, bel dan de
beheerder en noem het nummer van het bericht. Antwoorden op deze e-mail worden niet gelezen.

--

There is an urgent message from a patient of {name}.

Received:   {since}
Message:    {message}
Open it:    {link}
Acknowledge: {acknowledge}

Open the message in the EPD inbox now, assess it and contact the patient if needed. If it is not there, or the EPD
cannot be reached, open it by the link above; that is recorded.
Then acknowledge the alarm. If the message is not in the EPD {minutes} minutes after it was received, call
operations and give them its number. Answers to this e-mail are not read.
"""


@dataclass(frozen=True, slots=True)
class Links:
    """Where an alarm leads: `template` with {message} opens it, and `acknowledge` makes what acknowledges it."""

    template: str
    acknowledge: Callable[[Alarm], str]

    def opening(self, alarm: Alarm) -> str:
        """Where the message is opened."""
        return self.template.replace("{message}", alarm.message)


class Letters:
    """A short letter in Dutch and English that says that, since when and what to do. A rehearsal sends none."""

    def __init__(
        self,
        tenant: Tenant,
        receivers: Sequence[str],
        server: MailServer,
        sender: str,
        clock: Clock,
        links: Links,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._tenant = tenant
        self._receivers = receivers
        self._server = server
        self._sender = sender
        self._domain = domain_of(sender)
        self._clock = clock
        self._links = links
        self._tls = tls

    async def __call__(self, alarm: Alarm) -> str:
        """Hand the letter in. Returns `taken`, or `partly` when some receivers were refused; raises on any fault."""
        letter, give = self._letter(alarm), rehearse if alarm.rehearsal else hand_in
        taken = await give(letter, self._server, self._domain, self._tls)
        return "taken" if taken else "partly"

    def _letter(self, alarm: Alarm) -> EmailMessage:
        received = datetime.fromtimestamp(alarm.accepted_at / 1000, self._tenant.zone)
        said = {
            "name": " ".join(self._tenant.name.split()),
            "since": f"{received:%Y-%m-%d %H:%M %Z}",
            "message": alarm.message,
            "link": self._links.opening(alarm),
            "acknowledge": self._links.acknowledge(alarm) or "-",
            "minutes": self._tenant.due.urgent_minutes,
        }
        letter = EmailMessage()
        letter["From"] = self._sender
        letter["To"] = ", ".join(self._receivers)
        letter["Subject"] = (_CLIMBED if alarm.rung else _SUBJECT).format_map(said)
        letter["Date"] = format_datetime(datetime.fromtimestamp(self._clock() / 1000, UTC))
        letter["Message-ID"] = f"<alarm.{alarm.message}{f'.{alarm.rung}' if alarm.rung else ''}@{self._domain}>"
        letter["Auto-Submitted"] = "auto-generated"
        letter["Importance"] = "high"
        letter.set_content(_TEXT.format_map(said))
        return letter
