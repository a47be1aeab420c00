"""A message of an EPD: read, carried out, answered. AA only when all that follows from it is durable."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from messaging_service.application.alerts import Alerts
from messaging_service.application.care import CareFeed
from messaging_service.application.codec import from_document, to_document
from messaging_service.application.collections import RECEIVED
from messaging_service.application.ports import Clock, DocumentStore, Meter
from messaging_service.application.receive_replies import Replies
from messaging_service.application.receive_status import StatusInEpd
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain.errors import BrokerDown, Conflict, MessagingError, StoreDown
from messaging_service.epd.acknowledgement import AckCode, AckUnreadable
from messaging_service.epd.inbound import read
from messaging_service.epd.inbound_answer import answer
from messaging_service.epd.inbound_errors import Error, NotUnderstood, Where
from messaging_service.epd.inbound_events import (
    Agreement,
    ClinicianWrote,
    DocumentHandled,
    DocumentRead,
    Inbound,
    NothingSaid,
    PatientChanged,
    RecordsJoined,
    RecordsParted,
)
from messaging_service.epd.inbound_header import Header
from messaging_service.tenants import Tenant

log = structlog.get_logger()

Acknowledged = Callable[[Tenant, bytes], Awaitable[bool]]
"""Takes an acknowledgement that comes as a message of its own; False when it is of nothing that was sent."""

_OFF_LOOP_BYTES = 65_536
_NOT_NOW = NotUnderstood(Error.INTERNAL, Where("MSH"))


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """What was answered AA. `id` is of MSH-3 and MSH-10, `digest` of all the bytes; both keyed."""

    id: str
    tenant: str
    digest: str
    at: int
    answer: bytes = field(repr=False)
    version: int = 1


class Receive:
    """The use case of the receive step, for one message at a time and any number of them at once."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        keyring: Keyring,
        replies: Replies,
        care: CareFeed,
        status: StatusInEpd,
        acknowledged: Acknowledged,
        alerts: Alerts,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._replies = replies
        self._care = care
        self._status = status
        self._acknowledged = acknowledged
        self._alerts = alerts
        self._meter = meter
        self._clock = clock

    async def __call__(self, tenant: Tenant, raw: bytes) -> bytes:
        """The acknowledgement of a message, both without frame. Raises nothing that is foreseen.

        AA: done and durable. AE: not understood, or done in vain by our own fault (operations are told): sending it
        again would not help. AR: the store or the broker cannot take it now; it changes nothing to send it again.
        """
        header: Header | None = None
        try:
            header = Header.of(raw)
            said = await self._known(tenant, header, raw) or await self._carry_out(tenant, header, raw)
            code = AckCode.AA
        except NotUnderstood as problem:
            code = AckCode.AE
            said = answer(header, code, self._now(tenant), problem)
            log.warning("not_understood", tenant=tenant.id, reason=problem.detail)
        except (StoreDown, BrokerDown, Conflict) as problem:
            code = AckCode.AR
            said = answer(header, code, self._now(tenant), _NOT_NOW)
            log.warning("not_now", tenant=tenant.id, error=type(problem).__name__)
        except Exception as problem:
            code = AckCode.AR if isinstance(problem, MessagingError) else AckCode.AE
            said = answer(header, code, self._now(tenant), _NOT_NOW)
            await self._tell_of_failure(tenant, problem)
        self._meter.handled(f"receive.{tenant.id}", code)
        return said

    async def _known(self, tenant: Tenant, header: Header, raw: bytes) -> bytes | None:
        """The answer of then, when this very message was answered before."""
        document = await self._store.get(RECEIVED, self._id(tenant, header))
        if document is None:
            return None
        known = from_document(document, ReceivedMessage)
        if known.digest == self._digest(tenant, raw):
            return known.answer
        await self._alerts.begin(
            f"control-id-reused {tenant.id}",
            f"{tenant.id}: the EPD sends another message under a control id (MSH-10) it used before; taken as new",
        )
        return None

    async def _carry_out(self, tenant: Tenant, header: Header, raw: bytes) -> bytes:
        if header.part(9) == "ACK":
            await self._take_acknowledgement(tenant, raw)
        else:
            await self._follow(tenant, header, raw, await self._read(tenant, header, raw))
        now, said = self._clock(), answer(header, AckCode.AA, self._now(tenant))
        await self._remember(ReceivedMessage(self._id(tenant, header), tenant.id, self._digest(tenant, raw), now, said))
        return said

    async def _read(self, tenant: Tenant, header: Header, raw: bytes) -> Inbound:
        agreed, now = agreement(tenant), self._clock()
        if len(raw) > _OFF_LOOP_BYTES:
            return await asyncio.to_thread(read, raw, header, agreed, now)
        return read(raw, header, agreed, now)

    async def _take_acknowledgement(self, tenant: Tenant, raw: bytes) -> None:
        """The EPD's second answer to what was filed, as a message of its own (enhanced mode)."""
        try:
            known = await self._acknowledged(tenant, raw)
        except AckUnreadable:
            raise NotUnderstood(Error.DATA_TYPE, Where("MSA", 1)) from None
        if not known:
            raise NotUnderstood(Error.UNKNOWN_KEY, Where("MSA", 2))

    async def _follow(self, tenant: Tenant, header: Header, raw: bytes, event: Inbound) -> None:
        version = self._keyring.digest(tenant.id, "version", header.sender, self._digest(tenant, raw))
        match event:
            case ClinicianWrote():
                await self._replies.take(tenant, header.sender, version, event)
            case DocumentHandled():
                await self._status.handled(tenant, event)
            case DocumentRead():
                await self._status.read(tenant, event)
            case NothingSaid():
                pass
            case PatientChanged():
                await self._care.change(tenant, version, event)
            case RecordsJoined():
                await self._care.join(tenant, event)
            case RecordsParted():
                await self._care.part(tenant, event)

    async def _remember(self, received: ReceivedMessage) -> None:
        """Under a control id that started over the newer message counts; who loses a race repeats in vain, unharmed."""
        document = to_document(received)
        if not (await self._store.insert(RECEIVED, [document]))[0]:
            known = await self._store.get(RECEIVED, received.id)
            await self._store.replace(RECEIVED, {**document, "version": known["version"] if known else 1})

    async def _tell_of_failure(self, tenant: Tenant, problem: Exception) -> None:
        log.exception("receive_failed", tenant=tenant.id)
        key = f"receive-fails {tenant.id}"
        try:
            await self._alerts.begin(key, f"{tenant.id}: a message of the EPD fails here ({type(problem).__name__})")
        except MessagingError:
            log.exception("alert_failed", key=key)

    def _id(self, tenant: Tenant, header: Header) -> str:
        return self._keyring.digest(tenant.id, "received", header.sender, header.control_id)

    def _digest(self, tenant: Tenant, raw: bytes) -> str:
        return self._keyring.digest(tenant.id, "bytes", hashlib.sha256(raw).hexdigest())

    def _now(self, tenant: Tenant) -> datetime:
        return datetime.fromtimestamp(self._clock() / 1000, tenant.zone)


def agreement(tenant: Tenant) -> Agreement:
    """What the tenant's [epd] table says of messages that come in."""
    profile, listener = tenant.epd.profile, tenant.epd.listener
    return Agreement(
        authorities={
            system: profile.authorities[system]
            for system in tenant.identity.identifiers
            if system in profile.authorities
        },
        charset=profile.charset,
        processing_id=profile.processing_id,
        zone=tenant.zone,
        placer=listener.placer if listener else "OBR-2",
        handled=frozenset(tenant.epd.handled),
        read=frozenset(tenant.epd.read),
    )
