"""contracts/asyncapi.yaml: valid, and true of the queues, the events and the webhooks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft7Validator

from messaging_service.application.codec import outgoing
from messaging_service.application.notify import _NAMES
from messaging_service.application.topology import topology
from messaging_service.domain import events
from messaging_service.domain.message import Lane
from tests.contract.description import EventDescription
from tests.contract.http_service import SHORT, URGENT, HttpService, http_service, until

OFFICIAL = Path(__file__).parent / "schemas" / "asyncapi-3.0.0.json"
DESCRIPTION = EventDescription()
QUEUE_CHANNELS = ("persist", "file", "escalate", "notify", "park", "parkDead")
ID, OTHER, AT = "BVV45HWQVGW899WV3GZ8CNP2Y9", "34RJJ0CA24N21XZD3M6KE8ENZ9", 1_795_346_222_422
ACCEPTED = events.MessageAccepted(ID, "sein", OTHER, Lane.URGENT, True, AT, "f6ccfaaf065c2031", 1, b"\x00\xff sealed")
EVENTS: list[tuple[str, events.Event]] = [
    ("persist.urgent", ACCEPTED),
    ("escalate.sein", dataclasses.replace(ACCEPTED, sealed=b"")),
    ("file.sein.normal", events.MessagePersisted(ID, "sein", OTHER, Lane.NORMAL, AT)),
    ("notify.sein", events.MessageFiled(ID, "sein", OTHER, AT)),
    ("notify.sein", events.MessageEscalated(ID, "sein", OTHER, AT)),
    ("notify.sein", events.MessageParked(ID, "sein", OTHER, AT)),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, with a portal and an on-call webhook, after one message of each fate."""
    with http_service(tmp_path_factory.mktemp("service")) as running:
        running.filed(running.post().json["id"])
        running.filed(running.post({**SHORT, "body": URGENT}).json["id"])
        running.be("refuse")
        running.filed(running.post().json["id"], "parked")
        until(lambda: {"message.filed", "message.escalated", "message.parked", "alarm.raised"} <= set(_types(running)))
        yield running


def _types(service: HttpService) -> list[str]:
    return [json.loads(body)["type"] for _, _, body in service.webhooks]


def test_valid() -> None:
    """The description is valid after the official JSON Schema of AsyncAPI 3.0."""
    official = Draft7Validator(json.loads(OFFICIAL.read_text("utf-8")))
    assert [f"{error.json_path}: {error.message}"[:300] for error in official.iter_errors(DESCRIPTION.document)] == []


def test_references() -> None:
    """Every reference in the description leads somewhere."""
    pending, seen = [DESCRIPTION.document], 0
    while pending:
        thing = pending.pop()
        if isinstance(thing, dict):
            seen += "$ref" in thing
            assert DESCRIPTION.followed(thing) is not None
        pending += thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else []
    assert seen > 50


def test_queues() -> None:
    """The channels, with tenant and lane filled in, are the queues that are declared: neither more nor fewer."""
    described = set()
    for name in QUEUE_CHANNELS:
        address = DESCRIPTION.at("channels", name)["address"].replace("{tenant}", "sein")
        lanes = list(Lane) if "{lane}" in address else [""]
        described |= {address.replace("{lane}", lane) for lane in lanes}
    assert described == {queue.name for queue in topology(["sein"]).queues}


def test_rungs() -> None:
    """The delay rungs are those that are declared."""
    milliseconds = DESCRIPTION.at("channels", "delay", "parameters", "milliseconds")["examples"]
    assert tuple(map(int, milliseconds)) == topology([]).delays


def test_every_event_is_described() -> None:
    """Every event of the domain, and no other, travels through the queues; all of them are tried below."""
    kinds = {kind.__name__ for kind in get_args(events.Event)}
    queued = {DESCRIPTION.followed(m)["name"] for m in DESCRIPTION.at("channels", "park")["messages"].values()}
    assert queued == kinds == {type(event).__name__ for _, event in EVENTS}


@pytest.mark.parametrize(("queue", "event"), EVENTS, ids=[f"{type(e).__name__} on {q}" for q, e in EVENTS])
def test_encoded_event(queue: str, event: events.Event) -> None:
    """What the codec writes is what is described for that queue and for park; with a member missing it is not."""
    envelope = outgoing(queue, event).envelope
    channels = (DESCRIPTION.channel_of(queue), DESCRIPTION.at("channels", "park"))
    for channel in channels:
        DESCRIPTION.hold(channel["messages"], envelope.kind, envelope.headers, envelope.body)
    whole = json.loads(envelope.body)
    for name in whole:
        short = json.dumps({member: value for member, value in whole.items() if member != name}).encode()
        with pytest.raises(AssertionError):
            DESCRIPTION.hold(channels[0]["messages"], envelope.kind, envelope.headers, short)


@pytest.mark.parametrize(("queue", "event"), EVENTS[:1] + EVENTS[2:])
def test_members(queue: str, event: events.Event) -> None:
    """The members described are those that the event has."""
    schema = DESCRIPTION.at("components", "schemas", type(event).__name__)
    assert set(schema["properties"]) == {field.name for field in dataclasses.fields(event)}


def test_examples() -> None:
    """Every example of a message is what its own schema asks for."""
    tried = 0
    for name, message in DESCRIPTION.at("components", "messages").items():
        for example in message.get("examples", []):
            assert DESCRIPTION.errors(example["payload"], message["payload"]) == [], name
            if "headers" in example:
                assert DESCRIPTION.errors(example["headers"], {"$ref": "#/components/schemas/QueueHeaders"}) == [], name
            tried += 1
    assert tried >= 4


def test_webhook_names() -> None:
    """The portal is told of exactly the events that are described."""
    assert set(DESCRIPTION.at("channels", "portal")["messages"]) == set(_NAMES.values())


def test_what_was_published(service: HttpService) -> None:
    """Everything that the running service published, retries and parking included, is described for its queue."""
    for queue, envelope in service.published:
        messages = DESCRIPTION.channel_of(queue)["messages"]
        DESCRIPTION.hold(messages, envelope.kind, envelope.headers, envelope.body)
        assert envelope.headers["traceparent"]
    used = {queue for queue, _ in service.published}
    assert {"persist.urgent", "escalate.spijkenisse", "file.spijkenisse.normal", "notify.spijkenisse", "park"} <= used
    (parked,) = (envelope for queue, envelope in service.published if queue == "park")
    assert parked.headers["queue"] == "file.spijkenisse.normal"
    assert parked.headers["reason"]


def test_what_was_posted(service: HttpService) -> None:
    """Every webhook that portal and on-call got is described, headers included."""
    for path, headers, body in service.webhooks:
        channel = DESCRIPTION.at("channels", {"/portal": "portal", "/on-call": "onCall"}[path])
        DESCRIPTION.hold(channel["messages"], json.loads(body)["type"], headers, body)
