"""One trace from the portal's request to the EPD's acknowledgement, across every process and every place to wait in."""

from __future__ import annotations

import json
import secrets

import pytest

from tests.parts.collector import Collector, Told
from tests.parts.patient import Answer, Patient
from tests.parts.system import System
from tests.parts.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

POST = "POST /v1/messages"
FILE = "file.spijkenisse.normal"


async def post_within(patient: Patient, trace: str, body: str = "Mag ik sporten?") -> Answer:
    """Post as a portal that traces its own requests does."""
    message = {"subject": "Vraag", "body": body, "language": "nl"}
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
    return await patient.send("POST", "/v1/messages", json=message, headers=headers)


def way_up(spans: list[Told], last: Told) -> list[str]:
    """The names from a span up to the one that has no parent here."""
    known, names = {span.span: span for span in spans}, [last.name]
    while last.parent in known:
        last = known[last.parent]
        names.append(last.name)
    return names


async def test_one_trace_from_the_request_to_the_acknowledgement(system: System, spans: Collector, number: str) -> None:
    """The portal's trace holds request, queues, steps and MLLP, each under the one before, in three processes."""
    trace, patient = secrets.token_hex(16), system.patient("spijkenisse", number)
    answer = await post_within(patient, trace)
    await patient.until_is(answer.id, "filed")
    steps = [f"process {FILE}", f"publish {FILE}", "process persist.normal", "publish persist.normal"]
    names = ("process notify.spijkenisse", "MLLP exchange", *steps, POST)
    await until(lambda: spans.named(trace, *names), "every process has told its spans", 60)
    found = spans.of(trace)
    (exchange,) = (span for span in found if span.name == "MLLP exchange")
    assert way_up(found, exchange) == ["MLLP exchange", *steps, POST]
    assert {span.process.partition("@")[0] for span in found} >= {"gateway", "persist", "file"}
    assert exchange.kind == "client"
    assert exchange.attributes["messaging_service.hl7.ack_code"] == "AA"
    (attempt,) = await system.attempts(answer.id)
    assert exchange.attributes["messaging_service.hl7.control_id"] == attempt.control_id
    (request,) = (span for span in found if span.name == POST)
    assert (request.kind, request.attributes["http.response.status_code"]) == ("server", 202)
    assert request.attributes["http.route"] == "/v1/messages"
    for name, kind, operation in ((f"process {FILE}", "consumer", "process"), (f"publish {FILE}", "producer", "send")):
        (span,) = (span for span in found if span.name == name)
        assert span.kind == kind
        assert span.attributes["messaging.system"] == "rabbitmq"
        assert span.attributes["messaging.operation.type"] == operation
        assert span.attributes["messaging.destination.name"] == FILE
        assert span.attributes["messaging.message.id"] == answer.id


async def test_it_stays_one_trace_where_a_message_waits(system: System, spans: Collector, number: str) -> None:
    """Retried on the ladder, parked in the store and replayed from there: the same trace, with reasons and logs."""
    trace, patient = secrets.token_hex(16), system.patient("spijkenisse", number)
    epd = system.epds["spijkenisse"]
    await epd.set_mode("reject")
    answer = await post_within(patient, trace)
    await patient.until_is(answer.id, "parked")
    await epd.set_mode("normal")
    done = await system.children.command("parked", "replay", f"{answer.id}.file")
    assert done.status == 0, done.err
    await patient.until_is(answer.id, "filed")

    def tries() -> list[Told]:
        return [span for span in spans.of(trace) if span.name == f"process {FILE}"]

    await until(lambda: len(tries()) == 5, "four tries and the replay are told", 60)
    await until(lambda: spans.named(trace, "publish park", "process park"), "so is what parked it", 60)
    outcomes = [span.attributes["messaging_service.outcome"] for span in tries()]
    assert sorted(outcomes) == ["done", "parked", "retried", "retried", "retried"]
    refused = [span for span in tries() if span.failed]
    assert len(refused) == 4
    assert all(span.attributes["error.type"].startswith("AR") for span in refused), refused
    lines = [json.loads(line) for line in system.children.log("file").splitlines() if line.startswith("{")]
    failed = [line for line in lines if line["event"] == "attempt_failed" and line["message"] == answer.id]
    assert [line["trace_id"] for line in failed] == [trace] * 4


async def test_what_is_no_traceparent_is_ignored(system: System, spans: Collector, number: str) -> None:
    """Malformed, all zeros or far too long: the message goes its way in a trace of its own."""
    patient = system.patient("sein", number)
    message = {"subject": "Vraag", "body": "Mag ik sporten?", "language": "nl"}
    for given in ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", "zz", "00-" + "a" * 4_000, f"00-{'A' * 32}-{'b' * 16}-01"):
        answer = await patient.send("POST", "/v1/messages", json=message, headers={"traceparent": given})
        assert answer.status == 202
        await patient.until_is(answer.id, "filed")

        def publishes(id: str = answer.id) -> list[Told]:
            return [span for span in spans.spans if span.attributes.get("messaging.message.id") == id]

        (trace,) = {span.trace for span in await until(publishes, "its spans are told")}
        assert trace not in given


async def test_a_collector_that_hangs_slows_nothing(system: System, spans: Collector, number: str) -> None:
    """While it takes nothing messages are accepted and filed; what is lost is counted by reason."""
    patient = system.patient("spijkenisse", number)

    async def lost() -> float:
        return (await system.metrics()).get('messaging_spans_lost_total{reason="not_taken"}', 0)

    before = await lost()
    spans.set_mode("hang")
    try:
        answer = await patient.post("Vraag", "Mag ik sporten?")
        await patient.until_is(answer.id, "filed")
        spans.set_mode("refuse")

        async def more_is_lost() -> bool:
            await patient.get("/v1/threads")
            return await lost() > before

        await until(more_is_lost, "the gateway counts what is lost")
    finally:
        spans.set_mode("take")
    assert "traces_not_taken" in system.children.log("gateway")
