"""The ways to wake whoever is on call at a tenant: a signed webhook and e-mail, both at once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

import aiohttp
import aiosmtplib
import msgspec
import structlog

from messaging_service.adapters.portal_webhook import WebhookSecret, post, secure_url
from messaging_service.application.ports import Alarm, Clock, OnCall
from messaging_service.config import read_secret
from messaging_service.domain.errors import MessagingError, OnCallUnreachable, SettingInvalid
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

Open het bericht nu in de inbox van het EPD, beoordeel het en neem zo nodig contact op met de patiënt.
Bevestig daarna het alarm. Staat het bericht {minutes} minuten na ontvangst niet in het EPD, bel dan de
beheerder en noem het nummer van het bericht. Antwoorden op deze e-mail worden niet gelezen.

--

There is an urgent message from a patient of {name}.

Received:   {since}
Message:    {message}

Open the message in the EPD inbox now, assess it and contact the patient if needed.
Then acknowledge the alarm. If the message is not in the EPD {minutes} minutes after it was received, call
operations and give them its number. Answers to this e-mail are not read.
"""

Channel = Callable[[Alarm], Awaitable[str]]
"""Tells one alarm; returns `taken`, or `partly` when some of its receivers refused. Raises anything."""


class OnCallChannels(OnCall):
    """The channels of one tenant. Repeats carry the same ids, so that a receiver can drop them."""

    def __init__(
        self,
        tenant: Tenant,
        http: aiohttp.ClientSession,
        clock: Clock,
        *,
        smtp: str | None,
        mail_from: str,
        count: Callable[[str, str], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            tenant: its [on_call] table says whom to tell.
            http: for the webhook.
            clock: the time that is signed.
            smtp: see `MailServer.of`; without it no mail can be sent.
            mail_from: the sender's address.
            count: called with the channel (`webhook`, `email`) and its outcome (`taken`, `partly`, `failed`).
            tls: for mail; without it the system's certificates count.

        Raises:
            SettingInvalid: an address or the secret is malformed, a webhook has no secret, or e-mail
                addresses are given and no mail server is.
        """
        self._count = count
        self._channels: dict[str, Channel] = {}
        self._under_way: set[asyncio.Task[bool]] = set()
        if tenant.on_call.webhook:
            self._channels["webhook"] = _Webhook(tenant, http, clock)
        if tenant.on_call.email:
            if not smtp:
                raise SettingInvalid(f"{tenant.id}: [on_call] email needs MESSAGING_SMTP")
            self._channels["email"] = _Mail(tenant, MailServer.of(smtp), mail_from, clock, tls)

    async def page(self, alarm: Alarm) -> None:
        """See `OnCall`: all channels at once, back with the first that took it; the slower ones go on.

        Raises:
            OnCallUnreachable: none took it, at most 10 s later, or the tenant has none.
        """
        trying = {asyncio.create_task(self._try(name, alarm)) for name in self._channels}
        self._under_way |= trying
        for task in trying:
            task.add_done_callback(self._under_way.discard)
        for outcome in asyncio.as_completed(trying):
            if await outcome:
                return
        raise OnCallUnreachable(alarm.tenant)

    async def close(self) -> None:
        """Wait, at most 10 s, for the channels that are still being tried."""
        await asyncio.gather(*self._under_way)

    async def _try(self, name: str, alarm: Alarm) -> bool:
        known = {"channel": name, "tenant": alarm.tenant, "message": alarm.message}
        try:
            outcome = await self._channels[name](alarm)
        except Exception as problem:  # no fault of one channel, foreseen or not, may keep the other from ringing
            self._count(name, "failed")
            _log.error("on_call_failed", **known, reason=_reason(problem))
            return False
        self._count(name, outcome)
        if outcome != "taken":
            _log.error("on_call_partly", **known)
        return True


class _Webhook:
    """A Standard Webhook of type `alarm.raised`: identifiers only."""

    def __init__(self, tenant: Tenant, http: aiohttp.ClientSession, clock: Clock) -> None:
        settings = tenant.on_call
        if not settings.secret:
            raise SettingInvalid(f"{tenant.id}: [on_call] webhook needs a secret")
        self._url = secure_url(settings.webhook or "", f"{tenant.id}: [on_call] webhook")
        self._secret = WebhookSecret(settings.secret, f"{tenant.id}: [on_call] secret")
        self._http = http
        self._clock = clock

    async def __call__(self, alarm: Alarm) -> str:
        facts = {
            "tenant": alarm.tenant,
            "thread": alarm.thread,
            "message": alarm.message,
            "count": alarm.count,
        }
        body = msgspec.json.encode({"type": "alarm.raised", "timestamp": alarm.accepted_at, "data": facts})
        headers = self._secret.headers(f"alarm.{alarm.thread}.{alarm.message}", self._clock(), body)
        await post(self._http, self._url, body, headers)
        return "taken"


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
            SettingInvalid: it is no such address, or a password would cross the network in the clear.
        """
        try:
            url = urlsplit(read_secret(setting))
            port = url.port
        except ValueError as problem:
            raise SettingInvalid("MESSAGING_SMTP: host or port cannot be read") from problem
        if url.scheme not in _PORTS or not url.hostname:
            raise SettingInvalid("MESSAGING_SMTP: smtp://, smtp+starttls:// or smtps:// and a host is wanted")
        if url.username and url.scheme == "smtp" and not is_loopback(url.hostname):
            raise SettingInvalid("MESSAGING_SMTP: a password needs smtp+starttls:// or smtps://")
        user, password = (unquote(part) if part else None for part in (url.username, url.password))
        return cls(url.scheme, url.hostname, port or _PORTS[url.scheme], user, password)


class _Mail:
    """A short letter in Dutch and English that says that, since when and what to do."""

    def __init__(
        self, tenant: Tenant, server: MailServer, sender: str, clock: Clock, tls: ssl.SSLContext | None
    ) -> None:
        self._tenant = tenant
        self._server = server
        self._sender = sender
        self._domain = parseaddr(sender)[1].partition("@")[2]
        if not self._domain:
            raise SettingInvalid("MESSAGING_MAIL_FROM: an address with a domain is wanted")
        self._clock = clock
        self._tls = tls

    async def __call__(self, alarm: Alarm) -> str:
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
        _log.info("on_call_quit_unanswered", channel="email", reason=_reason(problem))


def _reason(problem: Exception) -> str:
    """What may be logged: the kind of fault and its code. Mail servers quote addresses in their answers."""
    if isinstance(problem, aiosmtplib.SMTPResponseException):
        return f"{type(problem).__name__} {problem.code}"
    if isinstance(problem, MessagingError) and problem.detail:
        return f"{type(problem).__name__} {problem.detail}"
    return type(problem).__name__
