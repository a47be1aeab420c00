"""Those the service tells things: on-call, operations and the portal by webhook, on-call by mail as well."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass(slots=True)
class Receivers:
    """What was received, in the order of arrival; `raw` is every byte of all of it."""

    alarms: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    url: str = ""
    smtp: str = ""

    def alarms_of(self, message: str) -> list[dict[str, Any]]:
        """The alarms by webhook that name this message."""
        return [alarm for alarm in self.alarms if alarm["data"]["message"] == message]

    def letters_of(self, message: str) -> list[str]:
        """The letters that name this message."""
        return [letter for letter in self.letters if message in letter]

    def alerts_of(self, key: str) -> list[str]:
        """What operations were told under this key."""
        return [alert["text"] for alert in self.alerts if alert["key"] == key]

    def events_of(self, message: str) -> list[str]:
        """The kinds of event that the portal was told about this message."""
        return [event["type"] for event in self.events if event["data"]["message"] == message]

    async def take(self, request: web.Request) -> web.Response:
        """One post of any of the three webhooks."""
        self.raw.append(repr(dict(request.headers)).encode() + await request.read())
        getattr(self, request.match_info["kind"]).append(await request.json())
        return web.Response(status=204)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """One letter."""
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        self.raw.append(content)
        letter = email.message_from_bytes(content, policy=email.policy.default)
        body = letter.get_body()
        self.letters.append(f"{letter['subject']}\n{body.get_content() if body else ''}")
        return "250 taken"


@asynccontextmanager
async def receivers() -> AsyncIterator[Receivers]:
    """Receivers on free ports of loopback."""
    found = Receivers()
    app = web.Application()
    app.router.add_post("/{kind:alarms|alerts|events}", found.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    mail = await asyncio.get_running_loop().create_server(lambda: SMTP(found, hostname="localhost"), "127.0.0.1", 0)
    found.smtp = f"smtp://127.0.0.1:{mail.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        mail.close()
        await runner.cleanup()
