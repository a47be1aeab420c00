"""The letter that tells on-call of an urgent message, and the mail server that takes it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from messaging_service.application.ports import Alarm, Clock
from messaging_service.config import read_secret
from messaging_service.domain.errors import SettingInvalid
from messaging_service.tenants import Tenant
from messaging_service.transport import is_loopback

SMTP_SECONDS = 10.0
"""From the first packet until the letter is taken."""
QUIT_SECONDS = 1.0


_log = structlog.get_logger(__name__)
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}

_SUBJECT = "Spoedbericht / urgent message: {name}"
_TEXT = """\
Er is een spoedbericht van een patiënt van {name}.

Ontvangen:  {since}
Bericht:    {message}
Openen:     {link}

Open het bericht nu in de inbox van het EPD, beoordeel het en neem zo nodig contact op met de patiënt. Is het daar
niet, of is het EPD niet bereikbaar, open het dan via de link hierboven; dat wordt vastgelegd.
Bevestig daarna het alarm. Staat het bericht {minutes} minuten na ontvangst niet in het EPD, bel dan de
beheerder en noem het nummer van het bericht. Antwoorden op deze e-mail worden niet gelezen.

--

There is an urgent message from a patient of {name}.

Received:   {since}
Message:    {message}
Open it:    {link}

Open the message in the EPD inbox now, assess it and contact the patient if needed. If it is not there, or the EPD
cannot be reached, open it by the link above; that is recorded.
Then acknowledge the alarm. If the message is not in the EPD {minutes} minutes after it was received, call
operations and give them its number. Answers to this e-mail are not read.
"""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in: `smtp` in the clear, `smtp+starttls` only with STARTTLS, `smtps` by TLS."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, setting: str) -> MailServer:
        """From `smtp://[user:password@]host[:port]` or one of its two kinds, or `file:PATH` of such a line.

        Raises:
            SettingInvalid: it is no such address, or the letter would cross the network in the clear.
        """
        try:
            url = urlsplit(read_secret(setting))
            port = url.port
        except ValueError as problem:
            raise SettingInvalid("MESSAGING_SMTP: host or port cannot be read") from problem
        if url.scheme not in _PORTS or not url.hostname:
            raise SettingInvalid("MESSAGING_SMTP: smtp://, smtp+starttls:// or smtps:// and a host is wanted")
        if url.scheme == "smtp" and not is_loopback(url.hostname):
            raise SettingInvalid("MESSAGING_SMTP: smtp:// is for this machine only; use smtp+starttls:// or smtps://")
        user, password = (unquote(part) if part else None for part in (url.username, url.password))
        return cls(url.scheme, url.hostname, port or _PORTS[url.scheme], user, password)


class Letters:
    """A short letter in Dutch and English that says that, since when and what to do."""

    def __init__(
        self, tenant: Tenant, server: MailServer, sender: str, clock: Clock, link: str, tls: ssl.SSLContext | None
    ) -> None:
        self._tenant = tenant
        self._server = server
        self._sender = sender
        self._domain = parseaddr(sender)[1].partition("@")[2]
        if not self._domain:
            raise SettingInvalid("MESSAGING_MAIL_FROM: an address with a domain is wanted")
        self._clock = clock
        self._link = link
        self._tls = tls

    async def __call__(self, alarm: Alarm) -> str:
        """Hand the letter in. Returns `taken`, or `partly` when some receivers were refused; raises on any fault."""
        client = self._client()
        try:
            async with asyncio.timeout(SMTP_SECONDS):
                await client.connect()
                refused, _ = await client.send_message(self._letter(alarm))
            await _part(client)
        finally:
            client.close()
        return "partly" if refused else "taken"

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._server.host,
            port=self._server.port,
            username=self._server.user,
            password=self._server.password,
            use_tls=self._server.scheme == "smtps",
            start_tls=self._server.scheme == "smtp+starttls",
            tls_context=self._tls,
            local_hostname=self._domain,  # else the machine's name is looked up, and mail hangs on that server too
            timeout=None,
        )

    def _letter(self, alarm: Alarm) -> EmailMessage:
        received = datetime.fromtimestamp(alarm.accepted_at / 1000, self._tenant.zone)
        said = {
            "name": " ".join(self._tenant.name.split()),
            "since": f"{received:%Y-%m-%d %H:%M %Z}",
            "message": alarm.message,
            "link": self._link.replace("{message}", alarm.message),
            "minutes": self._tenant.due.urgent_minutes,
        }
        letter = EmailMessage()
        letter["From"] = self._sender
        letter["To"] = ", ".join(self._tenant.on_call.email)
        letter["Subject"] = _SUBJECT.format_map(said)
        letter["Date"] = format_datetime(datetime.fromtimestamp(self._clock() / 1000, UTC))
        letter["Message-ID"] = f"<alarm.{alarm.message}@{self._domain}>"
        letter["Auto-Submitted"] = "auto-generated"
        letter["Importance"] = "high"
        letter.set_content(_TEXT.format_map(said))
        return letter


async def _part(client: aiosmtplib.SMTP) -> None:
    """Say QUIT. The letter is taken by now: a server that parts badly must not have it sent again and again."""
    try:
        await client.quit(timeout=QUIT_SECONDS)
    except aiosmtplib.SMTPException as problem:
        _log.info("on_call_quit_unanswered", channel="email", reason=type(problem).__name__)
