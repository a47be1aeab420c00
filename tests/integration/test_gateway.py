"""Submit and read over HTTP: what is accepted, each kind of problem, and bad input. Every answer is held against
contracts/openapi.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from messaging_service.application import collections
from messaging_service.domain.errors import BrokerDown, PublishUnknown, QueueRefused, StoreDown
from messaging_service.domain.message import Identifier
from messaging_service.gateway import new_message
from tests.contract.description import HttpDescription
from tests.contract.http_service import LIMITED, PROHIBITED, SHORT, URGENT, Answer, HttpService, http_service

MESSAGES, MESSAGE = "/v1/messages", "/v1/messages/{id}"
THREADS, THREAD = "/v1/threads", "/v1/threads/{id}"
DESCRIPTION = HttpDescription()
NOBODYS = "A" * 26


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, shared by the tests of this file."""
    with http_service(tmp_path_factory.mktemp("service")) as running:
        yield running


def posted(service: HttpService, message: object = SHORT, **how: Any) -> Answer:
    """The answer to a message, held against the description."""
    return DESCRIPTION.hold("POST", MESSAGES, service.post(message, **how))


def sent(service: HttpService, body: bytes, content_type: str = "application/json", **headers: str) -> Answer:
    """The answer to bytes in a message's place, held against the description."""
    return DESCRIPTION.hold("POST", MESSAGES, service.post_bytes(body, content_type, **headers))


def got(service: HttpService, path: str, described: str, **how: Any) -> Answer:
    """The answer to a GET, held against the description."""
    return DESCRIPTION.hold("GET", described, service.send("GET", path, **how))


def problem(answer: Answer) -> tuple[int, str]:
    """Status and type of a problem, which must carry 112."""
    assert "112" in answer.json["notice"]["text"]
    return answer.status, answer.json["type"].rpartition(":")[2]


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
    """A patient's threads come newest first, page by page; each holds its messages in order."""
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


def test_thread_before_it_is_persisted(service: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread is there right after the 202 of its first message, although no worker saw it yet."""

    async def swallow(queue: str, envelope: object, *, delay_ms: int = 0) -> None:
        return None

    monkeypatch.setattr(service.parts.broker, "publish", swallow)
    id = posted(service).json["id"]
    thread = got(service, f"/v1/threads/{id}", THREAD).json
    assert thread == {"id": id, "status": "open", "messages": [{"id": id, "status": "accepted"}]}


def test_one_key_one_message(service: HttpService) -> None:
    """The same message under one key is one message; another text under that key is another."""
    key = {"Idempotency-Key": "contract-1"}
    first, again, other = [posted(service, {**SHORT, "body": text}, headers=key).json["id"] for text in ("a", "a", "b")]
    assert first == again != other


@pytest.mark.parametrize("key", ["", "twee woorden", "é", "k" * 256])
def test_unusable_key(service: HttpService, key: str) -> None:
    """A key that proxies might change on its way is refused, never trimmed."""
    answer = posted(service, headers={"Idempotency-Key": key.encode().decode("latin-1")})
    assert problem(answer) == (400, "malformed")


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


BAD_BODIES = {
    "nothing": b"",
    "not JSON": b"subject=a&body=b",
    "no object": b"[]",
    "null": b"null",
    "a member missing": b'{"subject": "a"}',
    "a member too many": b'{"subject": "a", "body": "b", "urgent": true}',
    "no string": b'{"subject": "a", "body": 1}',
    "white space": '{"subject": "a", "body": " \\n\\t\u00a0\u3000"}'.encode(),
    "nothing that shows": b'{"subject": "\\u200b\\u0000\\ufeff", "body": "b"}',
    "a long subject": json.dumps({"subject": "a" * 201, "body": "b"}).encode(),
    "HTML without text": b'{"subject": "a", "body": "<p> </p><!-- b -->", "format": "html"}',
    "invalid UTF-8": b'{"subject": "a", "body": "\xff"}',
    "a lone surrogate, escaped": b'{"subject": "a", "body": "\\ud800"}',
    "a lone surrogate, encoded": b'{"subject": "a", "body": "\xed\xa0\x80"}',
    "a lone surrogate as a name": b'{"\\udc00": "a"}',
    "a byte order mark": b'\xef\xbb\xbf{"subject": "a", "body": "b"}',
    "arrays in arrays": b"[" * 90_000,
    "objects in objects": b'{"subject":' * 9_000,
    "a language with a line end": b'{"subject": "a", "body": "b", "language": "nl\\n"}',
    "a thread that is none": b'{"subject": "a", "body": "b", "thread": "1"}',
    "a department with a dot": b'{"subject": "a", "body": "b", "department": "../a"}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_malformed(service: HttpService, body: bytes) -> None:
    """What cannot be read as a message is refused, and nothing is queued."""
    before = len(service.published)
    assert problem(sent(service, body)) == (400, "malformed")
    assert not [kind for kind in service.published[before:] if kind[1].kind == "MessageAccepted"]


def test_member_twice(service: HttpService) -> None:
    """Of a member that is given twice the last one counts, as in every browser."""
    answer = sent(service, b'{"subject": "a", "body": "first", "body": "second"}')
    assert service.filed(answer.json["id"]).json["body"] == "second"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=%C2%B2", "after=x", "after=%ff%00"])
def test_malformed_query(service: HttpService, query: str) -> None:
    """A page that cannot be is a malformed request."""
    assert problem(got(service, f"/v1/threads?{query}", THREADS)) == (400, "malformed")


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
    """A token without the patient's number, or of somebody who acts for the patient, is good for nothing here."""
    acting = service.token(act={"sub": "somebody"})
    assert problem(posted(service, token=acting)) == (403, "forbidden")
    assert problem(posted(service, token=service.token(patient_number=None))) == (403, "forbidden")


def test_blocked(service: HttpService) -> None:
    """A blocked account can neither write nor read; its urgent message raises the alarm all the same."""
    token, parts = service.token("blocked"), service.parts
    key = parts.patients.key("spijkenisse", (Identifier("local", "blocked"),))
    service.run(parts.accounts.set_state("spijkenisse", key, "blocked"))
    assert problem(posted(service, token=token)) == (403, "account-blocked")
    assert problem(got(service, THREADS, THREADS, token=token)) == (403, "account-blocked")
    before = len(service.published)
    urgent = posted(service, {**SHORT, "body": URGENT}, token=token)
    assert problem(urgent) == (403, "account-blocked")
    assert "Wacht niet op antwoord" in urgent.json["notice"]["text"]
    assert [queue for queue, _ in service.published[before:]][:1] == ["escalate.spijkenisse"]


@pytest.mark.parametrize("id", [NOBODYS, "x", "%ff%00", "..%2f..", "A" * 5000])
def test_not_found(service: HttpService, id: str) -> None:
    """What is not there, or could not be, is not found."""
    assert problem(got(service, f"/v1/messages/{id}", MESSAGE)) == (404, "not-found")
    assert problem(got(service, f"/v1/threads/{id}", THREAD)) == (404, "not-found")


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


def test_too_large(service: HttpService) -> None:
    """16,384 bytes of text are taken however JSON writes them; one more is not, nor is a body without end."""
    longest = "é" * 8_192
    assert sent(service, json.dumps({"subject": "a", "body": longest}).encode()).status == 202
    assert problem(posted(service, {"subject": "a", "body": longest + "x"})) == (413, "too-large")
    assert problem(sent(service, b'{"subject": "a", "body": "' + b"x" * 1_000_000)) == (413, "too-large")


@pytest.mark.parametrize("kind", [
    "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx",
])  # fmt: skip
def test_unsupported_media_type(service: HttpService, kind: str) -> None:
    """Nothing but JSON is read; attachments are refused as such."""
    assert problem(sent(service, json.dumps(SHORT).encode(), kind)) == (415, "unsupported-media-type")


def test_compressed(service: HttpService) -> None:
    """A compressed body is refused unopened, so none can swell."""
    answer = sent(service, json.dumps(SHORT).encode(), **{"Content-Encoding": "gzip"})
    assert problem(answer) == (415, "unsupported-media-type")


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
    """Past the ceiling a caller is told when to come back."""
    token = service.token("7", "sein")
    answers = [got(service, "/v1/compose-notice", "/v1/compose-notice", token=token) for _ in range(LIMITED + 1)]
    assert problem(answers[-1]) == (429, "too-many")
    assert problem(posted(service, token=token)) == (429, "too-many")


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


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods(service: HttpService, method: str) -> None:
    """Another method is answered with 405 and those that there are."""
    answer = service.send(method, MESSAGES, message=SHORT)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        DESCRIPTION.hold_response(DESCRIPTION.at("components", "responses", "MethodNotAllowed"), answer)
        assert problem(answer) == (405, "method-not-allowed")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/messages/", "/v1/messages/x/y", "/%2e%2e/etc/passwd", "/v2/messages"]
)
def test_unknown_paths(service: HttpService, path: str) -> None:
    """A path that does not exist is a problem with the notice, token or none."""
    for token in (None, ""):
        answer = service.send("GET", path, token=token)
        DESCRIPTION.hold_response(DESCRIPTION.at("components", "responses", "NotFound"), answer)
        assert problem(answer) == (404, "not-found")


def _raw_post(service: HttpService, *headers: str, body: bytes, until: bytes) -> bytes:
    lines = ["POST /v1/messages HTTP/1.1", "Host: x", "Connection: close", f"Authorization: Bearer {service.token()}"]
    head = "\r\n".join([*lines, "Content-Type: application/json", *headers, "", ""])
    return service.raw(head.encode() + body, until)


@pytest.mark.parametrize(("expected", "first"), [("100-continue", b"100 Continue"), ("wonders", b"202 Accepted")])
def test_expect(service: HttpService, expected: str, first: bytes) -> None:
    """A client that waits for 100 Continue gets it; another expectation costs no patient the message."""
    body = json.dumps(SHORT).encode()
    answer = _raw_post(service, f"Expect: {expected}", f"Content-Length: {len(body)}", body=body, until=b'"urgent"')
    assert answer.startswith(b"HTTP/1.1 " + first)
    assert b"HTTP/1.1 202" in answer


@pytest.mark.parametrize(("header", "body"), [
    ("Content-Length: 50", b"{"), ("Transfer-Encoding: chunked", b"5\r\n{"),
])  # fmt: skip
def test_body_that_never_ends(service: HttpService, monkeypatch: pytest.MonkeyPatch, header: str, body: bytes) -> None:
    """Nobody can hold a request open with a body that does not come."""
    monkeypatch.setattr(new_message, "_ARRIVES_WITHIN", 0.1)
    answer = _raw_post(service, header, body=body, until=b"telephone")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"did not arrive whole" in answer
    assert b"112" in answer
