"""The receive step over a test's Service, called in process or behind a real listener."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import hl7

from messaging_service.adapters.mllp_listener import Caps, MllpListener
from messaging_service.application.callers import Writer
from messaging_service.application.care import CareFeed
from messaging_service.application.mark_handled import MarkHandled
from messaging_service.application.read import MessageView, ThreadView
from messaging_service.application.receive import Receive
from messaging_service.application.receive_replies import Replies
from messaging_service.application.receive_status import StatusInEpd
from messaging_service.application.topology import notify_queue
from messaging_service.application.unmatched import Unmatched, UnmatchedDocuments
from messaging_service.domain.message import Author
from messaging_service.tenants import Tenant
from tests.parts.epd_sender import code, person
from tests.parts.service import Service


class Receiving:
    """One process's receive step."""

    def __init__(self, service: Service, tenant: str = "spijkenisse") -> None:
        self.service = service
        self.tenant = service.tenants[tenant]
        self.acknowledgements: list[bytes] = []
        self.unmatched = UnmatchedDocuments(store=service.store, keyring=service.keyring, alerts=service.alerts)
        self.replies = Replies(
            store=service.store,
            broker=service.broker,
            keyring=service.keyring,
            patients=service.patients,
            threads=service.threads,
            awaited=service.awaited,
            unmatched=self.unmatched,
            access_log=service.access_log,
            clock=service.clock,
        )
        self.receive = Receive(
            store=service.store,
            keyring=service.keyring,
            replies=self.replies,
            status=StatusInEpd(
                awaited=service.awaited,
                patients=service.patients,
                threads=service.threads,
                mark_read=service.mark_read,
                mark_handled=MarkHandled(
                    awaited=service.awaited,
                    broker=service.broker,
                    keyring=service.keyring,
                    access_log=service.access_log,
                ),
            ),
            acknowledged=self._acknowledged,
            care=CareFeed(
                store=service.store,
                patients=service.patients,
                access_log=service.access_log,
                closing=service.close_accounts,
            ),
            alerts=service.alerts,
            meter=service.meter,
            clock=service.clock,
        )
        self.reader = service.reader

    async def _acknowledged(self, _tenant: Tenant, raw: bytes) -> bool:
        self.acknowledgements.append(raw)
        return b"OURS" in raw

    async def raw(self, message: str | bytes) -> bytes:
        """The answer to a message."""
        return await self.receive(self.tenant, message if isinstance(message, bytes) else message.encode())

    async def ack(self, message: str | bytes) -> Any:
        """The answer as PyPI hl7 reads it."""
        return hl7.parse((await self.raw(message)).decode("latin-1"))

    async def taken(self, *messages: str) -> None:
        """Messages that must be answered AA."""
        for message in messages:
            ack = await self.ack(message)
            assert code(ack) == "AA", str(ack)

    async def bind(self, unmatched: Unmatched, thread: str) -> None:
        """A person of operations says where a document belongs."""
        await self.replies.bind(self.tenant, unmatched, thread, "jan")

    def writer(self, patient: str = "1234") -> Writer:
        """The patient at the portal."""
        author = Author(f"sub-{patient}", "patient", "A. Jansen")
        return Writer(self.tenant, person(patient), author, "A. Jansen", assured=True)

    async def threads(self, patient: str = "1234") -> list[ThreadView]:
        """What the patient sees in the list, newest first."""
        return await self.reader.threads(self.writer(patient), below=None, limit=100)

    async def shown(self, thread: str, patient: str = "1234") -> list[MessageView]:
        """What the patient sees in a thread."""
        return list((await self.reader.thread(self.writer(patient), thread)).messages)

    async def reply_in(self, thread: str) -> MessageView:
        """The one reply that is shown in a thread."""
        (reply,) = [view for view in await self.shown(thread) if view.reply]
        return reply

    async def events(self) -> list[tuple[str, str]]:
        """What the portal is to be told: kind and message."""
        queued = await self.service.queued(notify_queue(self.tenant.id))
        return [(envelope.kind, envelope.message_id) for envelope in queued]

    async def texts(self, thread: str, patient: str = "1234") -> list[str]:
        """The replies' texts that the patient sees in a thread."""
        return [view.reply.content.clean for view in await self.shown(thread, patient) if view.reply]

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None, **caps: Any) -> AsyncIterator[MllpListener]:
        """Behind a listener on a free port."""
        listener = MllpListener(partial(self.receive, self.tenant), Caps(**caps), tenant=self.tenant.id, tls=tls)
        await listener.open("127.0.0.1", 0)
        try:
            yield listener
        finally:
            await listener.close(5.0)
