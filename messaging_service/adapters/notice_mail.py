"""Letters to patients: that there is a message, and the code that proves an address. Nothing of the message."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib
import structlog

from messaging_service.adapters.mail import MailServer, domain_of, hand_in
from messaging_service.adapters.wording import sentences
from messaging_service.application.ports import Clock, PatientMail
from messaging_service.domain.errors import AddressRefused, MailDown, MailUnknown, SettingInvalid
from messaging_service.tenants import Tenant

_log = structlog.get_logger(__name__)
_OF_POLICY = re.compile(r"^5\.[3-7]\.")
"""Enhanced status codes (RFC 3463 §3) of the way, not of the address: mail system, network, protocol, policy."""


class NoticeMail(PatientMail):
    """A tenant's mail to its patients."""

    def __init__(
        self,
        tenant: Tenant,
        smtp: str | None,
        sender: str,
        clock: Clock,
        *,
        count: Callable[[str, str], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`smtp` is MESSAGING_SMTP (see `MailServer.of`), `sender` MESSAGING_MAIL_FROM.

        Raises:
            SettingInvalid: there is no mail server, or its setting is wrong.
        """
        if not smtp:
            raise SettingInvalid(f"{tenant.id}: [email_notice] needs MESSAGING_SMTP")
        self._tenant = tenant
        self._server = MailServer.of(smtp)
        self._sender = sender
        self._domain = domain_of(sender)
        self._clock = clock
        self._count = count
        self._tls = tls

    async def tell(self, address: str, language: str, id: str) -> None:
        """See `PatientMail`."""
        await self._send(self._letter(address, language, id, "", ""))

    async def send_code(self, address: str, language: str, id: str, code: str) -> None:
        """See `PatientMail`."""
        await self._send(self._letter(address, language, id, "code_", code))

    def _letter(self, address: str, language: str, id: str, kind: str, code: str) -> EmailMessage:
        wording = self._tenant.email_notice.wording.get(language) if self._tenant.email_notice else None  # type: ignore[call-overload]
        ours = sentences("email_notice_wording", language)[1]
        said = {"name": " ".join(self._tenant.name.split()), "telephone": self._tenant.telephone, "code": code}

        def line(key: str) -> str:
            own: str | None = getattr(wording, key, None)
            return (own or ours[key]).format_map(said)

        letter = EmailMessage()
        letter["From"] = self._sender
        letter["To"] = address
        letter["Subject"] = line(f"{kind}subject")
        letter["Date"] = format_datetime(datetime.fromtimestamp(self._clock() / 1000, UTC))
        letter["Message-ID"] = f"<notice.{id}@{self._domain}>"
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(line(f"{kind}text").strip() + "\n")
        return letter

    async def _send(self, letter: EmailMessage) -> None:
        try:
            await hand_in(letter, self._server, self._domain, self._tls)
        except (aiosmtplib.SMTPException, OSError) as problem:
            error = _error_of(problem)
            outcome = "refused" if error is AddressRefused else "failed"
            self._count("patient_mail", outcome)
            _log.warning("patient_mail_not_taken", tenant=self._tenant.id, outcome=outcome, reason=_name(problem))
            raise error from None  # the server's words may quote the address
        self._count("patient_mail", "taken")


def _error_of(problem: Exception) -> type[AddressRefused | MailDown]:
    """What an answer means: of the address, of the way to it, or that nobody knows whether the letter went."""
    if isinstance(problem, aiosmtplib.SMTPRecipientsRefused):
        problem = problem.recipients[0]
    if isinstance(problem, (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError)):
        final = 500 <= problem.code < 600 and not _OF_POLICY.match(problem.message)
        return AddressRefused if final else MailDown
    if isinstance(problem, (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPResponseException, ConnectionRefusedError)):
        return MailDown
    return MailUnknown


def _name(problem: Exception) -> str:
    return type(problem).__name__
