"""Submit and read over HTTP: what is accepted, and who and what is refused, each with its problem."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from messaging_service.application import collections
from messaging_service.application.collections import ALARMS
from messaging_service.application.ports import Envelope
from messaging_service.bootstrap.administering import make_administer
from messaging_service.domain.errors import BrokerDown, PublishUnknown, QueueRefused, StoreDown
from messaging_service.domain.message import Identifier
from tests.contract.http_service import (
    ALONE,
    LIMITED,
    PROHIBITED,
    SHORT,
    URGENT,
    Answer,
    HttpService,
    http_service,
    until,
)
from tests.integration.held_answers import (
    DESCRIPTION,
    MESSAGE,
    MESSAGES,
    NOBODYS,
    THREAD,
    THREADS,
    got,
    posted,
    problem,
)
from tests.parts.service import STAFF


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, shared by the tests of this file."""
    with http_service(tmp_path_factory.mktemp("service")) as running:
        yield running


def test_accepted_then_filed(service: HttpService) -> None:
    """A message is found right after its 202, at the address it was given, and once it is filed it is all there."""
    answer = posted(
        service, {"subject": "Vraag & meer", "body": "Een | twee ^ drie\r\n\\F\\ \x00 vier", "language": "nl"}
    )
    assert answer.status == 202
    assert answer.headers["location"] == answer.json["status_url"] == f"{service.url}/v1/messages/{answer.json['id']}"
    assert got(service, f"/v1/messages/{answer.json['id']}", MESSAGE).status == 200
    filed = DESCRIPTION.hold("GET", MESSAGE, service.filed(answer.json["id"])).json
    assert (filed["subject"], filed["body"]) == ("Vraag & meer", "Een | twee ^ drie\r\n\\F\\ \x00 vier")
    assert filed["thread"] == answer.json["thread"] == answer.json["id"]


def test_urgent(service: HttpService) -> None:
    """An urgent message shows the emergency notice in its 202 and in every later reading."""
    answer = posted(service, {**SHORT, "body": f"Help, {URGENT}!"})
    assert answer.json["urgent"]
    assert "Bel nu 112".lower() in answer.json["notice"]["text"].lower()
    filed = DESCRIPTION.hold("GET", MESSAGE, service.filed(answer.json["id"]))
    assert filed.json["notice"] == answer.json["notice"]


@pytest.mark.parametrize(("topic", "number"), [("domestic_violence", "0800-2000"), ("suicidality", "0800-0113")])
def test_what_is_the_writers_alone(service: HttpService, topic: str, number: str) -> None:
    """Veilig Thuis and 113 are told to the writer, once; message, thread and export, which others read, lack them."""
    answer = posted(service, {**SHORT, "body": ALONE[topic]})
    assert number in answer.json["notice"]["text"]
    filed = DESCRIPTION.hold("GET", MESSAGE, service.filed(answer.json["id"]))
    assert filed.json["notice"]["telephone"] == ["112"]
    thread = got(service, f"/v1/threads/{answer.json['thread']}", THREAD)
    for read in (filed, thread, service.send("GET", "/v1/export")):
        assert answer.json["id"] in json.dumps(read.json)
        assert number not in json.dumps(read.json)
        assert topic not in json.dumps(read.json)


def test_parked(service: HttpService) -> None:
    """The writer of a message that cannot be delivered is told to call, in the language of the request."""
    service.be("refuse")
    try:
        id = posted(service, token=service.token("parked")).json["id"]
        service.filed(id, "parked", token=service.token("parked"))
    finally:
        service.be("normal")
    english = {"Accept-Language": "en-GB,en;q=0.9"}
    answer = got(service, f"/v1/messages/{id}", MESSAGE, token=service.token("parked"), headers=english)
    assert answer.json["advice"].startswith("Your message did not reach")


def test_threads(service: HttpService) -> None:
    """A patient's threads come newest first, page by page, each with its messages in order; a cursor that is somebody
    else's, of another list, or made up by hand is refused."""
    token = service.token("threads")
    first = posted(service, token=token).json["id"]
    service.filed(first, token=token)
    second = posted(service, {**SHORT, "thread": first}, token=token).json
    assert second["thread"] == first != second["id"]
    service.filed(second["id"], token=token)
    other = posted(service, token=token).json["id"]
    service.filed(other, token=token)
    thread = got(service, f"/v1/threads/{first}", THREAD, token=token).json
    assert [message["id"] for message in thread["messages"]] == [first, second["id"]]
    page = got(service, "/v1/threads?limit=1", THREADS, token=token).json
    assert [thread["id"] for thread in page["threads"]] == [other]
    rest = got(service, f"/v1/threads?limit=1&after={page['next']}", THREADS, token=token).json
    assert [thread["id"] for thread in rest["threads"]] == [first]
    changed = ("1" if page["next"][14] != "1" else "2").join((page["next"][:14], page["next"][15:]))
    for path, asker in (
        (f"/v1/threads?after={page['next']}", service.token("another")),
        (f"/v1/threads?status=open&after={page['next']}", token),
        (f"/v1/threads/{first}?after={page['next']}", token),
        (f"/v1/threads?after={changed}", token),
        (f"/v1/threads?after={page['next'][:-1]}", token),
        ("/v1/threads?after=999999999999999.Z.", token),
    ):
        assert problem(got(service, path, THREADS, token=asker)) == (400, "malformed"), path


def test_thread_before_it_is_persisted(service: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread is there right after the 202 of its first message, although no worker saw it yet."""

    async def swallow(queue: str, envelope: object, *, delay_ms: int = 0) -> None:
        return None

    monkeypatch.setattr(service.parts.broker, "publish", swallow)
    id = posted(service).json["id"]
    thread = got(service, f"/v1/threads/{id}", THREAD).json
    assert thread == {"id": id, "status": "open", "unread": 0, "messages": [{"id": id, "status": "accepted"}]}


def test_one_key_one_message(service: HttpService) -> None:
    """The same message under one key is one message; another text under that key is another."""
    key = {"Idempotency-Key": "contract-1"}
    first, again, other = [posted(service, {**SHORT, "body": text}, headers=key).json["id"] for text in ("a", "a", "b")]
    assert first == again != other


def test_compose_notice(service: HttpService) -> None:
    """The general notice comes in the language that is asked for."""
    path = "/v1/compose-notice"
    assert got(service, path, path).json["notice"]["language"] == "nl"
    assert got(service, path, path, headers={"Accept-Language": "de"}).json["notice"]["language"] == "de"
    assert got(service, f"{path}?language=fr", path).json["notice"]["language"] == "fr"


def test_operations(service: HttpService) -> None:
    """Health and metrics need no token."""
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert got(service, path, path, token="").status == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é"])
@pytest.mark.parametrize(("method", "path", "described"), [
    ("POST", MESSAGES, MESSAGES),
    ("GET", f"/v1/messages/{NOBODYS}", MESSAGE),
    ("GET", THREADS, THREADS),
    ("GET", f"/v1/threads/{NOBODYS}", THREAD),
    ("GET", "/v1/compose-notice", "/v1/compose-notice"),
])  # fmt: skip
def test_unauthenticated(service: HttpService, method: str, path: str, described: str, token: str) -> None:
    """Without a token that is accepted nothing is read or written."""
    headers = {"Authorization": f"Bearer {token}".encode().decode("latin-1")} if token else {}
    answer = service.send(method, path, token="", headers=headers)
    assert problem(DESCRIPTION.hold(method, described, answer)) == (401, "unauthenticated")


def test_token_of_another_issuer(service: HttpService) -> None:
    """A token that one hospital's issuer signed in another's name is not accepted."""
    sein = service.issuers["sein"]
    forged, sein.name = sein.name, service.issuers["spijkenisse"].name
    try:
        token = service.token("1234", "sein", patient_number="1234")
    finally:
        sein.name = forged
    assert problem(posted(service, token=token)) == (401, "unauthenticated")


def test_forbidden(service: HttpService) -> None:
    """A token without the patient's number, or of somebody who acts and is not registered, is good for nothing."""
    acting = service.token(act={"sub": "somebody"})
    assert problem(posted(service, token=acting)) == (403, "not-representative")
    assert problem(posted(service, token=service.token(patient_number=None))) == (403, "forbidden")


def test_blocked(service: HttpService) -> None:
    """A blocked account can neither write nor read; its urgent message raises the alarm all the same."""
    token, tenant, desk = service.token("blocked"), service.parts.tenants["spijkenisse"], make_administer(service.parts)
    account = service.run(desk.open(tenant, (Identifier("local", "blocked"),), "Jansen", STAFF))
    service.run(desk.block(tenant, account.id, STAFF))
    assert problem(posted(service, token=token)) == (403, "account-blocked")
    assert problem(got(service, THREADS, THREADS, token=token)) == (403, "account-blocked")
    before = len(service.published)
    urgent = posted(service, {**SHORT, "body": URGENT}, token=token)
    assert problem(urgent) == (403, "account-blocked")
    assert "Wacht niet op antwoord" in urgent.json["notice"]["text"]
    assert [queue for queue, _ in service.published[before:]][:1] == ["escalate.spijkenisse"]


@pytest.mark.parametrize(("claims", "refused"), [
    ({"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "amr": ["pwd"]},
     "insufficient-user-authentication"),
    ({"acr": None, "amr": None}, "insufficient-user-authentication"),
    ({"act": {"sub": "daughter"}}, "not-representative"),
])  # fmt: skip
def test_urgent_of_one_who_may_not_write(service: HttpService, claims: dict[str, object], refused: str) -> None:
    """A login that is too weak, or of somebody who acts unregistered: refused, nothing stored; an urgent text raises
    the alarm all the same, its content sealed, and shows the notice that fits it."""
    token = service.token("weak", **claims)
    before = len(service.published)
    assert problem(posted(service, token=token)) == (403, refused)
    assert accepted_since(service, before) == []
    urgent = posted(service, {**SHORT, "body": URGENT}, token=token)
    assert problem(urgent) == (403, refused)
    assert "Wacht niet op antwoord" in urgent.json["notice"]["text"]
    ((queue, envelope),) = accepted_since(service, before)
    assert queue == "escalate.spijkenisse"
    assert URGENT.encode() not in envelope.body
    assert got(service, THREADS, THREADS, token=service.token("weak")).json["threads"] == []


def accepted_since(service: HttpService, before: int) -> list[tuple[str, Envelope]]:
    """What the gateway itself has published since."""
    return [(queue, envelope) for queue, envelope in service.published[before:] if envelope.kind == "MessageAccepted"]


OPENING = "/v1/alarms/{id}/opening"


def opened(service: HttpService, id: str, **request: Any) -> Answer:
    """The answer to on-call who opens a message, held against the description."""
    token = service.staff_token("on-call", "alarms:open")
    return DESCRIPTION.hold("POST", OPENING, service.send("POST", OPENING.format(id=id), token=token, **request))


def test_on_call_opens_an_urgent_message(service: HttpService) -> None:
    """With the EPD down, from the alarm's own link: this message and whose it is; nothing else of its thread."""
    token = service.token("break-glass")
    first = posted(service, {**SHORT, "body": "Dit is een gewoon bericht."}, token=token).json["id"]
    service.be("down")
    try:
        id = posted(service, {**SHORT, "body": URGENT, "thread": first}, token=token).json["id"]
        service.filed(id, "persisted", token=token)
        link = f"{service.url}{OPENING.format(id=id)}"
        until(lambda: any(link in body.decode() for path, _, body in service.webhooks if path == "/on-call"))
        answer = opened(service, id, message={"reason": "Het EPD is niet bereikbaar"})
    finally:
        service.be("normal")
    assert answer.json["patient"] == {"name": "Jansen", "numbers": [{"system": "local", "value": "break-glass"}]}
    assert (answer.json["body"], answer.json["status"]) == (URGENT, "persisted")
    assert b"gewoon bericht" not in answer.body
    assert problem(opened(service, first, message={"reason": "Nieuwsgierigheid"})) == (404, "not-found")


def rung_for(service: HttpService) -> list[str]:
    """The messages that on-call was told of, in order."""
    posts = [body for path, _, body in service.webhooks if path == "/on-call"]
    return [json.loads(body)["data"]["message"] for body in posts]


def test_a_refused_message_answers_for_no_alarm_but_its_writers(service: HttpService) -> None:
    """Posted into somebody else's thread it rings by itself, whether an alarm is open there or not, and what is written
    there afterwards rings as well; a flood of them from one writer is one alarm.
    """
    owner, stranger = service.token("alarm-owner"), service.token("alarm-stranger")
    quiet, loud = [posted(service, {**SHORT, "body": text}, token=owner).json["id"] for text in ("Dag.", URGENT)]
    for id in (quiet, loud):
        service.filed(id, token=owner)
    until(lambda: loud in rung_for(service))
    before = len(service.published)
    for thread in (loud, quiet, quiet, loud):
        answer = posted(service, {**SHORT, "body": f"{URGENT} {thread}", "thread": thread}, token=stranger)
        assert problem(answer) == (404, "not-found")
    refused = [envelope.message_id for _, envelope in accepted_since(service, before)]
    assert len(refused) == 4
    id = posted(service, {**SHORT, "body": URGENT, "thread": quiet}, token=owner).json["id"]
    until(lambda: id in rung_for(service))
    assert [message for message in rung_for(service) if message in refused] == refused[:1]


def test_on_call_must_say_why(service: HttpService) -> None:
    """No reason, one that says nothing, a longer one than is kept, and what is no JSON: the message stays closed."""
    for reason in ("", "     ", "x", "x" * 501, None, 7):
        assert problem(opened(service, NOBODYS, message={"reason": reason})) == (400, "malformed"), reason
    assert problem(opened(service, NOBODYS, message={})) == (400, "malformed")
    plain = {"Content-Type": "application/json"}
    assert problem(opened(service, NOBODYS, body=b"{", headers=plain)) == (400, "malformed")
    assert problem(opened(service, NOBODYS, message={"reason": "x" * 5_000})) == (413, "too-large")
    assert problem(opened(service, NOBODYS, body=b"reason")) == (415, "unsupported-media-type")


def test_on_call_reads_a_message_that_was_refused(service: HttpService) -> None:
    """The alarm of somebody who may not write leads to what they wrote: on-call alone has it."""
    token = service.token("weak-urgent", acr=None, amr=None)
    before = len(service.published)
    assert problem(posted(service, {**SHORT, "body": URGENT}, token=token))[0] == 403
    id = accepted_since(service, before)[0][1].message_id
    found: list[Answer] = []

    def is_held() -> bool:
        found.append(opened(service, id, message={"reason": "Alarm zonder bericht in het EPD"}))
        return found[-1].status == 200

    until(is_held)
    assert (found[-1].json["status"], found[-1].json["body"]) == ("refused", URGENT)
    assert problem(got(service, f"/v1/messages/{id}", MESSAGE, token=service.token("nobody"))) == (404, "not-found")


def test_not_yours(service: HttpService) -> None:
    """Another patient's message and thread do not exist, before and after they are persisted; nor to write to."""
    mine, other = service.token("mine"), service.token("other")
    id = posted(service, token=mine).json["id"]
    for _ in range(2):
        assert problem(got(service, f"/v1/messages/{id}", MESSAGE, token=other)) == (404, "not-found")
        assert problem(got(service, f"/v1/threads/{id}", THREAD, token=other)) == (404, "not-found")
        assert problem(posted(service, {**SHORT, "thread": id}, token=other)) == (404, "not-found")
        service.filed(id, token=mine)


def test_closed_thread(service: HttpService) -> None:
    """A closed thread takes no more messages."""
    token = service.token("closed")
    id = posted(service, token=token).json["id"]
    service.filed(id, token=token)
    service.run(_close(service, id))
    assert problem(posted(service, {**SHORT, "thread": id}, token=token)) == (409, "thread-closed")
    assert got(service, f"/v1/threads/{id}", THREAD, token=token).json["status"] == "closed"


async def _close(service: HttpService, id: str) -> None:
    thread = await service.parts.store.get(collections.THREADS, id)
    assert thread is not None
    assert await service.parts.store.replace(collections.THREADS, {**thread, "state": "closed"})


@pytest.mark.parametrize(("subject", "body", "field"), [
    ("🙂 dag", f"🙂🙂 e\u0301 {PROHIBITED}!", "body"),
    (f"🙂 {PROHIBITED}", "🙂🙂 dag", "subject"),
    ("a", f"<p>🙂 <b>{PROHIBITED}</b></p>", "body"),
])  # fmt: skip
def test_prohibited(service: HttpService, subject: str, body: str, field: str) -> None:
    """The span of prohibited text is where a browser finds it: `slice` of the submitted string."""
    message = {"subject": subject, "body": body, "format": "html" if "<" in body else "text"}
    answer = posted(service, message)
    assert problem(answer) == (422, "prohibited")
    span = answer.json["span"]
    units = message[span["field"]].encode("utf-16-le")
    assert span["field"] == field
    assert units[2 * span["start"] : 2 * span["end"]].decode("utf-16-le") == PROHIBITED
    assert answer.json["category"] == "threatening"


def test_urgent_is_never_refused_for_its_content(service: HttpService) -> None:
    """A text that is prohibited and urgent is accepted, and so is an urgent one to a department that is not there."""
    assert posted(service, {**SHORT, "body": f"{PROHIBITED}. {URGENT}."}).status == 202
    assert posted(service, {**SHORT, "body": URGENT, "department": "nowhere"}).status == 202


def test_department_unknown(service: HttpService) -> None:
    """A department that the hospital has not is refused, one that it has is not."""
    assert problem(posted(service, {**SHORT, "department": "nowhere"})) == (422, "department-unknown")
    assert posted(service, {**SHORT, "department": "cardiology"}).status == 202


def test_too_many(service: HttpService) -> None:
    """Past the ceiling a caller is told when to come back; a page that asked too often can still post."""
    token = service.token("7", "sein")
    answers = [got(service, "/v1/compose-notice", "/v1/compose-notice", token=token) for _ in range(LIMITED + 1)]
    assert problem(answers[-1]) == (429, "too-many")
    assert [posted(service, token=token).status for _ in range(LIMITED)] == [202] * LIMITED
    assert problem(posted(service, {**SHORT, "body": URGENT}, token=token)) == (429, "too-many")


def test_what_is_left_is_said(service: HttpService) -> None:
    """RateLimit and its policy on every answer to a token, 429 too: less with each request, bytes named as such."""
    token = service.token(tenant="sein", sub="who-counts")
    first, second = (got(service, "/v1/compose-notice", "/v1/compose-notice", token=token).headers for _ in range(2))
    assert first["ratelimit-policy"] == f'"requests";q={LIMITED};w=60'
    assert first["ratelimit"] == f'"requests";r={LIMITED - 1};t=60'
    assert second["ratelimit"].startswith(f'"requests";r={LIMITED - 2};t=')
    for _ in range(LIMITED):
        last = got(service, "/v1/compose-notice", "/v1/compose-notice", token=token)
    assert (last.status, last.headers["ratelimit"].split(";t=")[0]) == (429, '"requests";r=0')
    policies = posted(service).headers["ratelimit-policy"]
    assert [policy.split(";")[0] for policy in policies.split(", ")] == [
        '"posts"', '"messages"', '"bytes"', '"client-messages"', '"client-bytes"'
    ]  # fmt: skip
    assert '"bytes";q=1000000000;qu="content-bytes";w=3600' in policies
    urgent = posted(service, {**SHORT, "body": URGENT}).headers["ratelimit"]
    assert [item.split(";")[0] for item in urgent.split(", ")] == ['"posts"', '"client-urgent"']
    assert "ratelimit" not in service.send("GET", "/health/live", token="").headers


@pytest.mark.parametrize(("fault", "kind"), [
    (BrokerDown, "unavailable"), (PublishUnknown, "unavailable"), (QueueRefused, "queue-full"),
])  # fmt: skip
def test_broker_down(service: HttpService, monkeypatch: pytest.MonkeyPatch, fault: type[BrokerDown], kind: str) -> None:
    """Without the broker's confirm there is no 202; an urgent message's notice is the one that fits."""

    async def fail(queue: str, envelope: object, *, delay_ms: int = 0) -> None:
        raise fault

    monkeypatch.setattr(service.parts.broker, "publish", fail)
    assert problem(posted(service)) == (503, kind)
    urgent = posted(service, {**SHORT, "body": URGENT})
    assert problem(urgent) == (503, kind)
    assert "Wacht niet op antwoord" in urgent.json["notice"]["text"]


def test_store_down(service: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the store an ordinary message is refused and an urgent one accepted."""

    async def fail(*_: object) -> None:
        raise StoreDown

    with monkeypatch.context() as patch:
        patch.setattr(service.parts.store, "get", fail)
        assert problem(posted(service)) == (503, "unavailable")
        assert problem(got(service, THREADS, THREADS)) == (503, "unavailable")
        urgent = posted(service, {**SHORT, "body": URGENT})
        assert urgent.status == 202
    service.filed(urgent.json["id"])


def test_internal(service: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is a problem too, and says nothing of what went wrong."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(service.parts.patients, "key", fail)
    answer = posted(service)
    assert problem(answer) == (500, "internal")
    assert b"secret" not in answer.body


def test_no_token_in_a_log_or_an_answer(
    service: HttpService, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good, weak, old, staff's and broken ones, in requests of every fate: nothing of one is told to anybody."""
    tokens = [
        service.token("logs"),
        service.token("logs", acr=None, amr=None),
        service.token("logs", hours=-1),
        service.staff_token("on-call", "alarms:open"),
        service.token("logs") + "x",
    ]
    heard = b""

    def fail(*_: object) -> None:
        raise RuntimeError(tokens[0])

    caplog.set_level("DEBUG")
    with capture_logs() as logged:
        for token in tokens:
            for request in (
                f"GET /v1/{token} HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n",
                f"PUT /v1/messages HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n",
                f"GET /v1/threads?access_token={token} HTTP/1.1\r\nAuthorization: Basic {token}\r\n\r\n",
                f"GET /v1/threads HTTP/1.1\r\nAuthorization: Bearer {token}\r\nno header {token}\r\n\r\n",
                f"GET /v1/threads HTTP/{token}\r\n\r\n",
                f"{token} /v1/threads HTTP/1.1\r\n\r\n",
            ):
                heard += service.raw(request.replace("\r\n", "\r\nHost: x\r\nConnection: close\r\n", 1).encode(), b"\0")
            heard += service.send("POST", MESSAGES, body=token.encode(), token=token).body
            with monkeypatch.context() as patch:
                patch.setattr(service.parts.patients, "key", fail)
                heard += service.send("GET", THREADS, token=token).body
    told = repr(logged) + caplog.text + heard.decode()
    assert "request_failed" in told
    assert not any(part in told for token in tokens for part in token.split("."))


def test_one_tap_acknowledges_an_alarm(service: HttpService) -> None:
    """The notification's link shows one button and changes nothing; pressing that does; a wrong one is a page."""
    id = service.post({**SHORT, "body": URGENT}).json["id"]

    def notified() -> list[str]:
        told = [json.loads(body) for path, _, body in service.webhooks if path == "/on-call"]
        return [one["data"]["acknowledge"] for one in told if one["data"].get("message") == id]

    until(lambda: bool(notified()))
    path = notified()[0].removeprefix(service.url)

    def state() -> str:
        document = service.run(service.parts.store.get(ALARMS, id))
        return str(document["state"]) if document else ""

    until(lambda: state() == "open")
    page = service.send("GET", path, token="")
    assert page.status == 200
    assert b'<form method="post">' in page.body
    assert b"<script" not in page.body
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert state() == "open"
    assert "Bevestigd om" in service.send("POST", path, token="").body.decode()
    assert state() == "acknowledged"
    assert b"<form" not in service.send("GET", path, token="").body
    for method in ("GET", "POST"):
        answer = service.send(method, path[:-4], token="")
        assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
