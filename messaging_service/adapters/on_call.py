"""The ways to wake whoever is on call at a tenant: a signed webhook and e-mail, both at once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import aiohttp
import aiosmtplib
import msgspec
import structlog

from messaging_service.adapters.mail import MailServer
from messaging_service.adapters.on_call_mail import Letters, Links
from messaging_service.adapters.portal_webhook import WebhookSecret, post, secure_url
from messaging_service.application.ports import Alarm, Clock, OnCall
from messaging_service.domain.errors import MessagingError, OnCallUnreachable, SettingInvalid
from messaging_service.tenants import OnCall as OnCallTable
from messaging_service.tenants import Rung, Tenant

_log = structlog.get_logger(__name__)

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
        public_url: str,
        smtp: str | None,
        mail_from: str,
        count: Callable[[str, str], None],
        tls: ssl.SSLContext | None = None,
        rung: Rung | None = None,
        acknowledge: Callable[[Alarm], str] = lambda _: "",
    ) -> None:
        """Nothing is connected yet.

        Args:
            tenant: its [on_call] table says whom to tell.
            http: for the webhook.
            clock: the time that is signed.
            public_url: the gateway's address, for the link where the tenant's file gives none.
            smtp: see `MailServer.of`; without it no mail can be sent.
            mail_from: the sender's address.
            count: called with the channel (`webhook`, `email`) and its outcome (`taken`, `partly`, `failed`).
            tls: for mail; without it the system's certificates count.
            rung: whom to tell, where it is not who is told first.
            acknowledge: the link by which whoever is told of an alarm acknowledges it; "": there is none.

        Raises:
            SettingInvalid: an address or the secret is malformed, a webhook has no secret, or e-mail
                addresses are given and no mail server is.
        """
        self._count = count
        told, place = rung or tenant.on_call, f"{tenant.id}: [on_call]{f' chain {rung.name!r}' if rung else ''}"
        links = Links(tenant.on_call.link or f"{public_url}/v1/alarms/{{message}}/opening", acknowledge)
        self._channels: dict[str, Channel] = {}
        self._under_way: set[asyncio.Task[bool]] = set()
        if told.webhook:
            self._channels["webhook"] = _Webhook(told, place, http, clock, links)
        if told.email:
            if not smtp:
                raise SettingInvalid(f"{place} email needs MESSAGING_SMTP")
            self._channels["email"] = Letters(tenant, told.email, MailServer.of(smtp), mail_from, clock, links, tls)

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

    async def rehearse(self, alarm: Alarm) -> tuple[str, ...]:
        """See `OnCall`: all channels at once, and all are waited for, at most 10 s."""
        took = await asyncio.gather(*(self._try(name, alarm) for name in self._channels))
        return tuple(name for name, taken in zip(self._channels, took, strict=True) if not taken)

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
    """A Standard Webhook: identifiers only. Its type says what it is, so that a rehearsal rings nowhere."""

    def __init__(
        self, told: OnCallTable | Rung, place: str, http: aiohttp.ClientSession, clock: Clock, links: Links
    ) -> None:
        if not told.secret:
            raise SettingInvalid(f"{place} webhook needs a secret")
        self._url = secure_url(told.webhook or "", f"{place} webhook")
        self._secret = WebhookSecret(told.secret, f"{place} secret")
        self._rung = told.name if isinstance(told, Rung) else ""
        self._http = http
        self._clock = clock
        self._links = links

    async def __call__(self, alarm: Alarm) -> str:
        facts: dict[str, str | int] = {
            "tenant": alarm.tenant,
            "thread": alarm.thread,
            "message": alarm.message,
            "count": alarm.count,
            "link": self._links.opening(alarm),
        }
        if acknowledge := self._links.acknowledge(alarm):
            facts["acknowledge"] = acknowledge
        if self._rung:
            facts["rung"] = self._rung
        body = msgspec.json.encode({"type": _type_of(alarm), "timestamp": alarm.accepted_at, "data": facts})
        headers = self._secret.headers(_id_of(alarm), self._clock(), body)
        await post(self._http, self._url, body, headers)
        return "taken"


def _type_of(alarm: Alarm) -> str:
    if alarm.rehearsal:
        return "alarm.rehearsed"
    return "alarm.climbed" if alarm.rung else "alarm.raised"


def _id_of(alarm: Alarm) -> str:
    """The same for a repeat, another for each rung."""
    id = f"alarm.{alarm.thread}.{alarm.message}"
    return f"{id}.{alarm.rung}" if alarm.rung else id


def _reason(problem: Exception) -> str:
    """What may be logged: the kind of fault and its code. Mail servers quote addresses in their answers."""
    if isinstance(problem, aiosmtplib.SMTPResponseException):
        return f"{type(problem).__name__} {problem.code}"
    if isinstance(problem, MessagingError) and problem.detail:
        return f"{type(problem).__name__} {problem.detail}"
    return type(problem).__name__
