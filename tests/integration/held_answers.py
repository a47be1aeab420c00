"""Answers of the running service, each held against contracts/openapi.yaml before a test looks at it."""

from __future__ import annotations

from typing import Any

from tests.contract.description import HttpDescription
from tests.contract.http_service import SHORT, Answer, HttpService

MESSAGES, MESSAGE = "/v1/messages", "/v1/messages/{id}"
THREADS, THREAD = "/v1/threads", "/v1/threads/{id}"
DESCRIPTION = HttpDescription()
NOBODYS = "A" * 26
"""An id that was never issued."""


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
