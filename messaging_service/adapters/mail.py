"""The mail server that takes our letters: what tells on-call, and what tells care teams."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import getaddresses, parseaddr
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from messaging_service.config import read_secret
from messaging_service.domain.errors import SettingInvalid
from messaging_service.transport import is_loopback

SMTP_SECONDS = 10.0
"""From the first packet until the letter is taken."""
QUIT_SECONDS = 1.0

_log = structlog.get_logger(__name__)
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


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


def domain_of(sender: str) -> str:
    """The domain of a sender's address. Raises SettingInvalid when it has none."""
    domain = parseaddr(sender)[1].partition("@")[2]
    if not domain:
        raise SettingInvalid("MESSAGING_MAIL_FROM: an address with a domain is wanted")
    return domain


async def hand_in(letter: EmailMessage, server: MailServer, domain: str, tls: ssl.SSLContext | None) -> bool:
    """Hand a letter in, which takes at most 10 s. True when every receiver was taken, False when some were refused.

    Raises:
        aiosmtplib.SMTPException, OSError: it was not taken.
    """
    client = _client(server, domain, tls)
    try:
        async with asyncio.timeout(SMTP_SECONDS):
            await client.connect()
            refused, _ = await client.send_message(letter)
        await _part(client)
    finally:
        client.close()
    return not refused


async def rehearse(letter: EmailMessage, server: MailServer, domain: str, tls: ssl.SSLContext | None) -> bool:
    """Everything of `hand_in` up to the letter itself, which is not sent (RFC 5321 §4.1.1.5). Raises as that does."""
    client, refused = _client(server, domain, tls), 0
    try:
        async with asyncio.timeout(SMTP_SECONDS):
            await client.connect()
            await client.mail(parseaddr(str(letter["From"]))[1])
            for _, receiver in getaddresses([str(letter["To"])]):
                try:
                    await client.rcpt(receiver)
                except aiosmtplib.SMTPRecipientRefused:
                    refused += 1
            await client.rset()
        await _part(client)
    finally:
        client.close()
    return not refused


async def greet(server: MailServer, domain: str, tls: ssl.SSLContext | None = None) -> None:
    """Connect as `hand_in` does, and part. Raises as that does."""
    client = _client(server, domain, tls)
    try:
        async with asyncio.timeout(SMTP_SECONDS):
            await client.connect()
        await _part(client)
    finally:
        client.close()


def _client(server: MailServer, domain: str, tls: ssl.SSLContext | None) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.scheme == "smtps",
        start_tls=server.scheme == "smtp+starttls",
        tls_context=tls,
        local_hostname=domain,  # else the machine's name is looked up, and mail hangs on that server too
        timeout=None,
    )


async def _part(client: aiosmtplib.SMTP) -> None:
    """Say QUIT. The letter is taken by now: a server that parts badly must not have it sent again and again."""
    try:
        await client.quit(timeout=QUIT_SECONDS)
    except aiosmtplib.SMTPException as problem:
        _log.info("mail_quit_unanswered", reason=type(problem).__name__)
