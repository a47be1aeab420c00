"""Requests that are not as they should be: refused with a clear problem, or taken without harm."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from messaging_service.gateway import bodies
from tests.contract.http_service import SHORT, HttpService, http_service
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
    sent,
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, shared by the tests of this file."""
    with http_service(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.mark.parametrize("key", ["", "twee woorden", "é", "k" * 256])
def test_unusable_key(service: HttpService, key: str) -> None:
    """A key that proxies might change on its way is refused, never trimmed."""
    answer = posted(service, headers={"Idempotency-Key": key.encode().decode("latin-1")})
    assert problem(answer) == (400, "malformed")


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


@pytest.mark.parametrize("id", [NOBODYS, "x", "%ff%00", "..%2f..", "A" * 5000])
def test_not_found(service: HttpService, id: str) -> None:
    """What is not there, or could not be, is not found."""
    assert problem(got(service, f"/v1/messages/{id}", MESSAGE)) == (404, "not-found")
    assert problem(got(service, f"/v1/threads/{id}", THREAD)) == (404, "not-found")


def test_no_look_up(service: HttpService, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be an id never reaches the store."""
    looked_up: list[str] = []

    async def get(collection: object, id: str) -> None:
        looked_up.append(id)

    monkeypatch.setattr(service.parts.store, "get", get)
    for path, described in (("/v1/messages/x%00", MESSAGE), ("/v1/threads/x%00", THREAD)):
        assert problem(got(service, path, described)) == (404, "not-found")
    assert "x\0" not in looked_up


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
    monkeypatch.setattr(bodies, "_ARRIVES_WITHIN", 0.1)
    answer = _raw_post(service, header, body=body, until=b"telephone")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"did not arrive whole" in answer
    assert b"112" in answer


def test_no_http(service: HttpService) -> None:
    """What is no HTTP gets the notice from the running service too, and nothing of it back."""
    answer = service.raw(b"mijn pijn op de borst\r\n\r\n", b"telephone")
    assert b"problem:malformed" in answer
    assert b"borst" not in answer
