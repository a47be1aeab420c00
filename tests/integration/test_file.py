"""The file step: into the EPD once, with the acknowledgement kept, whatever breaks on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import hl7
import msgspec
import pytest

from messaging_service.adapters.mllp import MllpClient, MllpPool
from messaging_service.application.changes import Changes
from messaging_service.application.collections import ACCESS_LOG, FILINGS
from messaging_service.application.compose import Compose
from messaging_service.application.file import EpdLine, File
from messaging_service.application.ports import AtTurn, Envelope
from messaging_service.application.threads import StoredMessage
from messaging_service.domain.errors import Deferred, EpdDown, MessageFault, StoreDown
from messaging_service.domain.events import MessageFiled
from messaging_service.domain.filing import Filing, FilingState
from messaging_service.domain.message import Lane
from messaging_service.epd.acknowledgement import AckUnknown, Unanswered, digest
from messaging_service.epd.policy import AckPolicy
from messaging_service.epd.profile import EpdProfile
from messaging_service.epd.render import DocumentTemplate
from tests.parts.mllp_peer import sandbox_epd
from tests.parts.service import SECRET_TEXT, Service, enveloped, event_in, persisted_event

TEMPLATE = DocumentTemplate.compile(EpdProfile())
PATIENCE_MS = 3_500
"""The tenants' connect and acknowledgement time-outs together: a sending that is older has died."""

Answer = Exception | str
"""What the EPD does: a fault, or MSA-1 with ERR-3 such as `AE 207`."""


def answers(code: str, control_id: str) -> bytes:
    """A raw acknowledgement."""
    code, _, error = code.partition(" ")
    err = f"ERR|||{error}^x^HL70357|E\r" if error else ""
    return f"MSH|^~\\&|EPD||M||20260101||ACK|1|P|2.5\rMSA|{code}|{control_id}\r{err}".encode()


class RecordingEpd:
    """Answers as told, `AA` when told nothing; keeps what it was sent."""

    def __init__(self, *told: Answer) -> None:
        self.told = list(told)
        self.control_ids: list[str] = []
        self.documents: list[str] = []
        self.parents: list[str] = []
        self.urgent: list[bool] = []
        self.meanwhile: Callable[[], object] | None = None

    async def exchange(
        self, frame: bytes, control_id: str, partition: str, urgent: bool, at_turn: AtTurn | None = None
    ) -> bytes:
        assert at_turn is not None
        await at_turn()
        message = hl7.parse(frame.decode())
        assert str(message.segment("MSH")[10]) == control_id
        txa = message.segment("TXA")
        answer = self.told.pop(0) if self.told else "AA"
        if isinstance(answer, EpdDown):
            raise answer
        self.control_ids.append(control_id)
        self.documents.append(str(txa[12]))
        self.parents.append(str(txa[13]) if len(txa) > 13 else "")
        self.urgent.append(urgent)
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return b"no HL7" if answer == "garbage" else answers(answer, control_id)

    async def probe(self) -> None: ...
    async def close(self) -> None: ...


class Filer:
    """The file step of one process over a recording EPD."""

    def __init__(self, service: Service, *told: Answer, tenant: str = "spijkenisse") -> None:
        self.service = service
        self.epd = RecordingEpd(*told)
        self.line = EpdLine(service.tenants[tenant], self.epd, TEMPLATE)
        self.step = File(
            lines={tenant: self.line},
            compose=Compose(service.patients, service.threads),
            threads=service.threads,
            changes=Changes(service.store),
            access_log=service.access_log,
            alerts=service.alerts,
            meter=service.meter,
            clock=service.clock,
        )

    async def __call__(self, message: StoredMessage, attempt: int = 0) -> list[MessageFiled]:
        """File it, after so many counted attempts; what the portal is told."""
        follows = await self.step(enveloped(persisted_event(message), attempt=attempt))
        return [event_in(outgoing.envelope, MessageFiled) for outgoing in follows]

    async def filing(self, message: StoredMessage) -> Filing:
        """The filing as it is stored."""
        found = await self.service.threads.filing(message.id)
        assert found is not None
        return found


SILENCE = AckUnknown(Unanswered.TIMEOUT)


async def test_filed_with_its_proof(service: Service) -> None:
    """AA: filed, with both control ids, the times and the digest of the very bytes; the portal is told."""
    message = await service.persisted()
    file = Filer(service)
    service.clock.minutes(1)
    (told,) = await file(message)
    filing = await file.filing(message)
    (attempt,) = filing.attempts
    assert filing.state is FilingState.FILED
    assert (attempt.code, attempt.control_id, attempt.acknowledged) == (
        "AA",
        file.epd.control_ids[0],
        attempt.control_id,
    )
    assert attempt.ack_digest == digest(answers("AA", attempt.control_id))
    assert (told.message, told.filed_at) == (message.id, service.clock())
    assert file.epd.documents == [message.id]
    assert service.meter.acks == [("spijkenisse", "normal", "AA")]


async def test_a_repeat_sends_nothing(service: Service) -> None:
    """Redelivered after it was filed: the event follows again, the EPD sees nothing, the proof stays."""
    message = await service.persisted()
    file = Filer(service)
    first = await file(message)
    proof = await file.filing(message)
    service.clock.minutes(9)
    assert await file(message) == first
    assert len(file.epd.documents) == 1
    assert await file.filing(message) == proof


@pytest.mark.parametrize("state", [FilingState.PARKED, FilingState.CLOSED])
async def test_what_a_person_has_is_left_alone(service: Service, state: FilingState) -> None:
    """Parked or closed: a copy that still was in the queue is dropped without a word."""
    message = await service.persisted()
    await service.threads.set_state(message.id, state)
    file = Filer(service)
    assert await file(message) == []
    assert file.epd.documents == []


@pytest.mark.parametrize(
    ("answer", "attempt", "final", "alerts"),
    [
        ("AE 204", 0, True, 0),
        ("AE", 0, True, 0),
        ("CE 204", 0, True, 0),
        ("AE 207", 0, False, 0),
        ("AE 206", 2, False, 0),
        ("AE 207", 3, True, 0),
        ("AR", 0, False, 0),
        ("AR 207", 2, False, 0),
        ("AR", 3, True, 1),
        ("CR", 3, True, 1),
    ],
)
async def test_the_policy_is_followed(service: Service, answer: str, attempt: int, final: bool, alerts: int) -> None:
    """Each line of the table: which refusals come again, which are parked at once, and which call a person."""
    message = await service.persisted()
    file = Filer(service, answer)
    with pytest.raises(MessageFault) as raised:
        await file(message, attempt)
    assert raised.value.reason == answer.replace(" ", "-")
    assert raised.value.final == final
    filing = await file.filing(message)
    assert (filing.state, filing.attempts[-1].code) == (FilingState.WAITING, answer[:2])
    assert len(service.operations.told) == alerts


async def test_a_table_of_the_sites_own(service: Service) -> None:
    """No line covers an answer: parked, and a person is told."""
    message = await service.persisted()
    file = Filer(service, "AA")
    epd = service.tenants["spijkenisse"].epd
    file.line.tenant = msgspec.structs.replace(
        service.tenants["spijkenisse"], epd=msgspec.structs.replace(epd, policy=AckPolicy(rules=()))
    )
    with pytest.raises(MessageFault) as raised:
        await file(message)
    assert raised.value.final
    assert service.operations.keys == ["epd-refuses spijkenisse"]


async def test_one_alert_for_many_refusals_and_one_when_it_is_over(service: Service) -> None:
    """An EPD that begins to refuse everything costs one alert; the first that is filed again ends it."""
    file = Filer(service, "AR", "AR", "AR")
    for number in range(3):
        with pytest.raises(MessageFault):
            await file(await service.persisted(patient=str(number)), attempt=3)
    await file(await service.persisted(patient="9"))
    assert [text.partition(":")[2] for _, text in service.operations.told] == [
        " the EPD answers AR; see `messaging-service parked list`",
        " the EPD files again",
    ]


async def test_a_restart_does_not_lose_the_end_of_refusals(service: Service) -> None:
    """Who began to tell is gone: the first that another process files ends it; it looks once a minute."""
    file, other = Filer(service, "AR"), Filer(service.another())
    await other(await service.persisted(patient="8"))
    with pytest.raises(MessageFault):
        await file(await service.persisted(), attempt=3)
    await other(await service.persisted(patient="9"))
    assert service.operations.keys == ["epd-refuses spijkenisse"]
    service.clock.minutes(1)
    await other(await service.persisted(patient="10"))
    assert service.operations.told[1:] == [("epd-refuses spijkenisse", "spijkenisse: the EPD files again")]


async def test_a_control_id_is_used_again_only_while_unknown(service: Service) -> None:
    """Unknown: the same MSH-10, for the receiver may replay its answer. After an answer: a new one. TXA-12 never."""
    message = await service.persisted()
    file = Filer(service, SILENCE, AckUnknown(Unanswered.CLOSED), "AE 207", "AA")
    for attempt in range(3):
        with pytest.raises(MessageFault):
            await file(message, attempt)
    await file(message, 3)
    first, second, third, fourth = file.epd.control_ids
    assert first == second == third != fourth
    assert file.epd.documents == [message.id] * 4
    assert [attempt.code for attempt in (await file.filing(message)).attempts] == ["AE", "AA"]


@pytest.mark.parametrize(
    ("silence", "reason"),
    [(SILENCE, "ack-unknown-timeout"), (AckUnknown(Unanswered.MISMATCH), "ack-unknown-mismatch"), ("garbage", None)],
)
async def test_no_answer_of_its_own_is_unknown(service: Service, silence: Answer, reason: str | None) -> None:
    """Time-out, somebody else's answer or no HL7 at all: unknown, to be sent again."""
    message = await service.persisted()
    file = Filer(service, silence)
    with pytest.raises(MessageFault) as raised:
        await file(message)
    assert (raised.value.reason, raised.value.final) == (reason or "ack-unknown-garbled", False)
    filing = await file.filing(message)
    assert (filing.state, filing.attempts[-1].code) == (FilingState.UNKNOWN, "unknown")
    assert service.meter.acks == [("spijkenisse", "normal", "unknown")]


async def test_attempts_are_bounded(service: Service) -> None:
    """A message that the EPD never answers, among others that it does, is parked after four, and a person told."""
    message = await service.persisted()
    file = Filer(service)
    finals = []
    for attempt in range(4):
        await file(await service.persisted(patient=f"other{attempt}"))
        file.epd.told = [SILENCE]
        with pytest.raises(MessageFault) as raised:
            await file(message, attempt)
        finals.append(raised.value.final)
    assert finals == [False, False, False, True]
    assert len((await file.filing(message)).attempts) == 1
    assert service.operations.keys == ["epd-refuses spijkenisse"]


async def test_a_tenant_may_choose_to_park_what_is_unknown(service: Service) -> None:
    """SEIN sends nothing twice: without an answer the message goes to a person at once, who is told."""
    message = await service.persisted(tenant="sein")
    file = Filer(service, SILENCE, tenant="sein")
    with pytest.raises(MessageFault) as raised:
        await file(message)
    assert raised.value.final
    assert service.operations.keys == ["epd-refuses sein"]
    with pytest.raises(MessageFault) as again:
        await file(message)
    assert again.value.final
    assert len(file.epd.documents) == 1


async def crashed(service: Service, message: StoredMessage) -> None:
    """A worker wrote down that it sends, and died."""
    filing = await service.threads.filing(message.id)
    assert filing is not None
    await service.threads.change(filing.sending(service.clock()))


async def test_a_crash_between_intent_and_answer_is_sent_again(service: Service) -> None:
    """While its worker may live the message waits; then it is sent again under the same ids."""
    message = await service.persisted()
    await crashed(service, message)
    control_id = (await Filer(service).filing(message)).attempts[-1].control_id
    file = Filer(service)
    service.clock.now += PATIENCE_MS - 1
    with pytest.raises(Deferred):
        await file(message)
    assert file.epd.documents == []
    service.clock.now += 1
    await file(message)
    assert (file.epd.control_ids, file.epd.documents) == ([control_id], [message.id])
    assert len((await file.filing(message)).attempts) == 1


async def test_a_crash_between_intent_and_answer_is_parked(service: Service) -> None:
    """For a tenant that parks what is unknown the EPD sees nothing more of it."""
    message = await service.persisted(tenant="sein")
    await crashed(service, message)
    service.clock.now += PATIENCE_MS
    file = Filer(service, tenant="sein")
    with pytest.raises(MessageFault, match="ack-unknown") as raised:
        await file(message)
    assert raised.value.final
    assert file.epd.documents == []


async def test_two_workers_send_it_once(service: Service) -> None:
    """A message delivered twice at once: one worker sends, the other waits, and it is filed once."""
    message = await service.persisted()
    file, other = Filer(service), Filer(service.another())
    done = await asyncio.gather(file(message), other(message), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["Deferred", "list"]
    assert len(file.epd.documents + other.epd.documents) == 1


async def test_epd_down_leaves_no_attempt(service: Service) -> None:
    """No connection, so nothing was sent: the filing is as before, whatever that was."""
    message = await service.persisted()
    file = Filer(service, EpdDown("x"))
    before = await file.filing(message)
    with pytest.raises(EpdDown):
        await file(message)
    after = await file.filing(message)
    assert replace(after, version=before.version) == before
    assert (service.meter.acks, file.line.silences) == ([], 0)


async def test_epd_down_forgets_no_sending_before_it(service: Service) -> None:
    """Sent once with unknown outcome, then no connection: that it was sent stays on record."""
    message = await service.persisted()
    file = Filer(service, SILENCE, EpdDown("x"))
    with pytest.raises(MessageFault):
        await file(message)
    unknown = await file.filing(message)
    service.clock.minutes(1)
    with pytest.raises(EpdDown):
        await file(message, 1)
    after = await file.filing(message)
    assert (after.state, after.attempts) == (FilingState.UNKNOWN, unknown.attempts)


async def test_silence_to_all_is_the_epds_fault(service: Service) -> None:
    """The third silence in a row says that the EPD is down: that one and those after it are not counted."""
    file = Filer(service, *[SILENCE] * 4, "AA", SILENCE)
    messages = [await service.persisted(patient=str(n)) for n in range(4)]
    raised: list[str] = []
    for message in messages:
        with pytest.raises((MessageFault, EpdDown)) as problem:
            await file(message)
        raised.append(type(problem.value).__name__)
    assert raised == ["MessageFault", "MessageFault", "EpdDown", "EpdDown"]
    assert (await file.filing(messages[3])).state is FilingState.UNKNOWN
    await file(messages[3])
    with pytest.raises(MessageFault):
        await file(messages[2])


async def test_a_message_waits_for_its_predecessor(service: Service) -> None:
    """The answer to a message is not filed before it; filed, parked or closed, it lets it through."""
    first = await service.persisted()
    second = await service.persisted(thread=first.thread)
    file = Filer(service)
    with pytest.raises(Deferred):
        await file(second)
    assert file.epd.documents == []
    await file(first)
    await file(second)
    assert file.epd.documents == [first.id, second.id]
    assert file.epd.parents == ["", first.id]
    third, fourth = [await service.persisted(thread=first.thread) for _ in range(2)]
    await service.threads.set_state(third.id, FilingState.PARKED)
    await file(fourth)
    assert file.epd.documents[-1] == fourth.id


@pytest.mark.parametrize("told", [SILENCE, "AE 207"])
async def test_it_waits_while_the_predecessor_is_tried(service: Service, told: Answer) -> None:
    """A predecessor of unknown outcome, or to be sent again, still comes first."""
    first = await service.persisted()
    second = await service.persisted(thread=first.thread)
    file = Filer(service, told)
    with pytest.raises(MessageFault):
        await file(first)
    with pytest.raises(Deferred):
        await file(second)


async def test_a_predecessor_without_a_filing_yet(service: Service) -> None:
    """Its worker died between message and filing: until the repeat mends that, the next one waits."""
    first = await service.persisted()
    second = await service.persisted(thread=first.thread)
    await service.store.delete(FILINGS, first.id)
    with pytest.raises(Deferred):
        await Filer(service)(second)


async def test_an_urgent_message_waits_for_nobody(service: Service) -> None:
    """It goes at once, on the urgent connection."""
    first = await service.persisted()
    urgent = await service.persisted(thread=first.thread, lane=Lane.URGENT)
    file = Filer(service)
    await file(urgent)
    assert (file.epd.documents, file.epd.urgent) == ([urgent.id], [True])


async def test_no_document_is_its_own_parent(service: Service) -> None:
    """An urgent second message overtook the first into the thread: the first still has no parent."""
    id = service.message_id()
    urgent = await service.persisted(thread=id, lane=Lane.URGENT)
    first = await service.persisted(service.accepted(message=id))
    assert (urgent.place, first.place) == (1, 2)
    file = Filer(service)
    await file(urgent)
    await file(first)
    assert file.epd.parents == ["", ""]


async def test_ids_of_another_tenant(service: Service) -> None:
    """An event that names this tenant and another's message files nothing anywhere."""
    theirs = await service.persisted(tenant="sein")
    file = Filer(service)
    with pytest.raises(MessageFault, match="not_in_store") as raised:
        await file(replace(theirs, tenant="spijkenisse"))
    assert raised.value.final
    assert file.epd.documents == []


async def test_what_is_not_there(service: Service) -> None:
    """An unknown tenant, a message the store does not hold, an event that is none: each has its reason."""
    message = await service.persisted()
    file = Filer(service)
    with pytest.raises(MessageFault, match="tenant_unknown"):
        await file(replace(message, tenant="elsewhere"))
    with pytest.raises(MessageFault, match="not_in_store"):
        await file(replace(message, id="unknown"))
    with pytest.raises(MessageFault, match="unreadable_event"):
        await file.step(Envelope("m", "MessagePersisted", b"{}"))


@pytest.mark.parametrize("passing", [0, 1])
@pytest.mark.parametrize("done", [False, True])
async def test_a_store_that_fails_around_the_sending(service: Service, passing: int, done: bool) -> None:
    """The intent or the answer cannot be written: uncounted, and once the worker counts as dead it is filed."""
    message = await service.persisted()
    file = Filer(service)
    service.store.fail("replace", FILINGS, passing=passing, done=done)
    with pytest.raises(StoreDown):
        await file(message)
    if passing == 0:
        assert file.epd.documents == [], "sent without having written it down"
    service.clock.now += PATIENCE_MS
    await file(message)
    assert (await file.filing(message)).state is FilingState.FILED
    assert len(set(file.epd.control_ids)) == 1


async def test_every_reading_is_in_the_access_log(service: Service) -> None:
    """The text is read for each sending, and each is logged, before anything leaves."""
    message = await service.persisted()
    file = Filer(service, SILENCE)
    service.store.fail("insert", ACCESS_LOG)
    with pytest.raises(StoreDown):
        await file(message)
    assert file.epd.documents == []
    with pytest.raises(MessageFault):
        await file(message)
    await file(message, 1)
    entries = await service.all(ACCESS_LOG, "of_patient", patient=message.patient)
    assert [(e["actor"], e["action"]) for e in entries if e["object"] == message.id and e["actor"] == "file"] == [
        ("file", "read")
    ] * 2


async def test_a_count_that_is_none_of_ours(service: Service) -> None:
    """A strange attempt header counts as none."""
    message = await service.persisted()
    file = Filer(service, "AE 207")
    with pytest.raises(MessageFault) as raised:
        await file.step(enveloped(persisted_event(message), attempt="many"))
    assert raised.value.reason == "AE-207"


async def test_over_the_wire_to_an_independent_epd(service: Service) -> None:
    """Through MLLP into PyPI hl7's server: down, silent, then filed once, legible, under one TXA-12."""
    message = await service.persisted()
    async with sandbox_epd("down") as epd:
        file = Filer(service)
        pool = MllpPool((client(epd.port),), client(epd.port))
        file.line.epd = pool
        with pytest.raises(EpdDown):
            await file(message)
        await epd.set_mode("hang")
        with pytest.raises(MessageFault, match="ack-unknown-timeout"):
            await file(message)
        await epd.set_mode("normal")
        await file(message, 1)
        await pool.close()
        (filed,) = epd.inbox.values()
    assert (filed.document, filed.body, filed.count) == (message.id, SECRET_TEXT, 2)
    assert len(set(filed.control_ids)) == 1
    (attempt,) = (await file.filing(message)).attempts
    assert (attempt.code, attempt.sendings) == ("AA", filed.count)


def client(port: int) -> MllpClient:
    return MllpClient("127.0.0.1", port, connect_timeout=1.0, ack_timeout=0.3)
