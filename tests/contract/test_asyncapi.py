"""contracts/asyncapi.yaml: valid, and true of the queues, the events and the webhooks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from jsonschema import Draft7Validator

from messaging_service.adapters.sqlite_documents import SqliteDocuments
from messaging_service.application.codec import outgoing
from messaging_service.application.collections import ALL
from messaging_service.application.feed import Feed
from messaging_service.application.notify import Notify
from messaging_service.application.patients import Patients
from messaging_service.application.ports import PortalWebhook
from messaging_service.application.threads import Threads
from messaging_service.application.topology import topology
from messaging_service.crypto.keyring import Keyring
from messaging_service.domain import events
from messaging_service.domain.message import Lane
from tests.contract.description import EventDescription
from tests.contract.http_service import SHORT, URGENT, HttpService, http_service, until

OFFICIAL = Path(__file__).parent / "schemas" / "asyncapi-3.0.0.json"
DESCRIPTION = EventDescription()
QUEUE_CHANNELS = ("persist", "file", "escalate", "notify", "park", "parkDead")
AT = 1_795_346_222_422
VALUES: dict[str, Any] = {
    "message": "BVV45HWQVGW899WV3GZ8CNP2Y9",
    "thread": "34RJJ0CA24N21XZD3M6KE8ENZ9",
    "tenant": "sein",
    "lane": Lane.URGENT,
    "alarm": True,
    "run": "f6ccfaaf065c2031",
    "number": 1,
    "sealed": b"\x00\xff sealed",
    "identifier": "0f" * 16,
}
EVENTS: list[events.Event] = [
    kind(**{field.name: AT if field.name.endswith("_at") else VALUES[field.name] for field in dataclasses.fields(kind)})
    for kind in get_args(events.Event)
]
BARE = next(dataclasses.replace(e, sealed=b"") for e in EVENTS if isinstance(e, events.MessageAccepted))
STEPS = ("persist", "file", "escalate", "notify")


def _names(channel: dict[str, Any]) -> set[str]:
    """The names of a channel's messages."""
    return {DESCRIPTION.followed(message)["name"] for message in channel["messages"].values()}


def _queues_of(event: events.Event) -> list[str]:
    """The steps' queues on which an event of that kind is described."""
    channels = [DESCRIPTION.at("channels", name) for name in STEPS]
    carrying = [c for c in channels if type(event).__name__ in _names(c)]
    return [c["address"].replace("{tenant}", "sein").replace("{lane}", "urgent") for c in carrying]


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
    """Every event of the domain, and no other, has a queue and may come to park."""
    parkable = _names(DESCRIPTION.at("channels", "park"))
    assert parkable == {type(event).__name__ for event in EVENTS}
    assert all(_queues_of(event) for event in EVENTS)


@pytest.mark.parametrize("event", [*EVENTS, BARE], ids=lambda event: type(event).__name__)
def test_encoded_event(event: events.Event) -> None:
    """What the codec writes is what is described, on its queue and in park; with a member missing it is not."""
    envelope = outgoing(_queues_of(event)[-1 if event is BARE else 0], event).envelope
    for channel in (DESCRIPTION.channel_of(str(envelope.headers["queue"])), DESCRIPTION.at("channels", "park")):
        DESCRIPTION.hold(channel["messages"], envelope.kind, envelope.headers, envelope.body)
        whole = json.loads(envelope.body)
        for name in whole:
            short = json.dumps({member: value for member, value in whole.items() if member != name}).encode()
            with pytest.raises(AssertionError):
                DESCRIPTION.hold(channel["messages"], envelope.kind, envelope.headers, short)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_members(event: events.Event) -> None:
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


class Portal(PortalWebhook):
    """Keeps what the portal is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []

    async def post(self, event_id: str, body: bytes) -> None:
        """Take it."""
        self.told.append((event_id, body))


async def test_what_the_portal_is_told(tmp_path: Path) -> None:
    """Of each event on the notify queue the portal is told in the words that are described, and of no other.

    What is of a thread that is not stored is for the patient alone.
    """
    portal, store = Portal(), SqliteDocuments(tmp_path / "documents.sqlite")
    await store.open(ALL)
    keyring = Keyring.create(tmp_path / "keyring.json", ["sein"])
    notify = Notify(
        webhooks={"sein": portal},
        threads=Threads(store),
        patients=Patients(store, keyring),
        feed=Feed(store),
        owed=cast(Any, None),  # this portal takes everything
        email_notices=cast(Any, None),  # and of no thread that is not stored an e-mail is owed
        clock=lambda: AT + 3_600_000,
    )
    for event in EVENTS:
        if "notify.sein" in _queues_of(event):
            assert await notify(outgoing("notify.sein", event).envelope) == []
    described = DESCRIPTION.at("channels", "portal")["messages"]
    ids = DESCRIPTION.at("components", "schemas", "WebhookHeaders", "properties", "webhook-id")
    for event_id, body in portal.told:
        message = DESCRIPTION.followed(described[json.loads(body)["type"]])
        assert DESCRIPTION.errors(json.loads(body), message["payload"]) == []
        assert DESCRIPTION.errors(event_id, ids) == []
    assert {json.loads(body)["type"] for _, body in portal.told} == set(described)
    assert all(json.loads(body)["data"]["private"] for _, body in portal.told)
    await store.close()


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
