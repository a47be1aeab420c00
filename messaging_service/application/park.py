"""Take over what a step gave up on: with its reason and an owner, into the store, where a person mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from messaging_service.application.codec import UNREADABLE, Outgoing, from_document, outgoing, to_document
from messaging_service.application.collections import PARKED, parked_id
from messaging_service.application.ports import Clock, Document, DocumentStore, Envelope
from messaging_service.application.ports.tracing import TRACEPARENT, valid_traceparent
from messaging_service.application.threads import Threads
from messaging_service.application.topology import notify_queue, step_of
from messaging_service.domain.events import MessageParked
from messaging_service.domain.filing import FilingState, is_change
from messaging_service.domain.message import Step
from messaging_service.tenants import Tenant

_OWNERS = {Step.FILE: "epd-integrator", Step.NOTIFY: "portal-builder"}
STOPS_THE_MESSAGE = (Step.PERSIST, Step.FILE)
_MENDINGS = 50
"""So many of the latest are kept of one message."""
NOBODY_SAID_WHY = "delivery_limit"
"""A worker died on it again and again, so the broker gave it up; no step could say why."""


@dataclass(frozen=True, slots=True)
class Mending:
    """What was done at `at` (milliseconds) with a parked message: replayed, closed, given; or parked before.

    `by` is the role of who did it; who it was is in the access log. `remark`: how it was dealt with, whose it became,
    or why it was parked.
    """

    at: int
    what: str
    by: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """An envelope out of the queues. `id` is the message's id and the step; `body` is sealed or holds ids only.

    `order` sorts by time and is never the same twice, so that pages neither miss nor repeat one.
    `identifier`: where the body holds content, the keyed digest by which its patient is looked up.
    `traceparent`: the trace that a replay goes on with.
    """

    id: str
    message: str
    tenant: str
    thread: str
    step: str
    queue: str
    kind: str
    reason: str
    owner: str
    parked_at: int
    order: str
    state: str
    body: bytes = field(repr=False)
    remark: str = ""
    version: int = 1
    identifier: str = ""
    mendings: tuple[Mending, ...] = ()
    traceparent: str = ""


class _Identifiers(msgspec.Struct):
    tenant: str = ""
    thread: str = ""
    identifier: str = ""


class Park:
    """The use case of the park step."""

    def __init__(self, *, tenants: Mapping[str, Tenant], store: DocumentStore, threads: Threads, clock: Clock) -> None:
        self._tenants = tenants
        self._store = store
        self._threads = threads
        self._clock = clock

    async def __call__(self, envelope: Envelope) -> list[Outgoing]:
        """Put the envelope into the store; the patient's portal is told when the message stops here."""
        parked = self._parked(envelope)
        await self._write(parked)
        if Step(parked.step) not in STOPS_THE_MESSAGE:
            return []
        delivered = envelope.count("delivered") > 0
        stopped = await self._threads.set_state(parked.message, FilingState.PARKED, even_delivered=delivered)
        if (not stopped and await self._threads.filing(parked.message)) or is_change(parked.message):
            return []  # filed meanwhile, or a change of what is filed: for a person, but not for the patient
        tenant = self._tenants.get(parked.tenant)
        if tenant is None:
            return []
        event = MessageParked(parked.message, parked.tenant, parked.thread, parked.parked_at)
        return [outgoing(notify_queue(tenant.id), event)]

    def _parked(self, envelope: Envelope) -> ParkedMessage:
        queue = str(envelope.headers.get("queue", Step.PARK))
        step = _step_of(queue)
        ids = _identifiers(envelope.body)
        now, id = self._clock(), parked_id(envelope.message_id, step)
        return ParkedMessage(
            id=id,
            message=envelope.message_id,
            tenant=ids.tenant,
            thread=ids.thread,
            step=step,
            queue=queue,
            kind=envelope.kind,
            reason=str(envelope.headers.get("reason", NOBODY_SAID_WHY)),
            owner=_OWNERS.get(step, "operations"),
            parked_at=now,
            order=f"{now:015}.{id}",
            state="parked",
            body=envelope.body,
            identifier=ids.identifier,
            traceparent=valid_traceparent(envelope.headers.get(TRACEPARENT)),
        )

    async def _write(self, parked: ParkedMessage) -> None:
        while not (await self._store.insert(PARKED, [to_document(parked)]))[0]:
            document = await self._store.get(PARKED, parked.id)
            if document and await self._store.replace(PARKED, to_document(_after(document, parked))):
                return


def _after(document: Document, parked: ParkedMessage) -> ParkedMessage:
    """Parked before, replayed, and back again; or this very one once more."""
    known = from_document(document, ParkedMessage)
    past = list(known.mendings)
    if known.state != parked.state:
        past.append(Mending(known.parked_at, "parked", remark=known.reason))
    past.sort(key=lambda mending: mending.at)
    return replace(parked, version=known.version, mendings=tuple(past[-_MENDINGS:]))


def _step_of(queue: str) -> Step:
    try:
        return step_of(queue)
    except ValueError:
        return Step.PARK  # a queue of another version is parked all the same, under its name


def _identifiers(body: bytes) -> _Identifiers:
    try:
        return msgspec.json.decode(body, type=_Identifiers)
    except UNREADABLE:
        return _Identifiers()  # an unreadable body is parked all the same, under its message id
