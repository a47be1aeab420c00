"""Error to HTTP problem: every refusal has its own, nothing inside shows, and every answer carries the notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from messaging_service.application.submit import AfterReading
from messaging_service.domain import errors, refusals
from messaging_service.domain.message import Triage
from messaging_service.domain.refusals import Prohibited, Span, TooMany
from messaging_service.gateway.problems import TYPE_PREFIX, kind_of, problem_response

SECRET = "Ik durf het niemand te zeggen"
URGENT = Triage(True, True, False, ("cardiac",), (), (), "test")
CALM = Triage(False, False, False, (), (), (), "test")


def kinds(base: type[Exception]) -> Iterator[type[Exception]]:
    """All that derive from it."""
    for kind in base.__subclasses__():
        if kind.__module__.startswith("messaging_service.domain"):
            yield kind
        yield from kinds(kind)


def name(kind: type[Exception]) -> str:
    return kind.__name__


REFUSALS = sorted(set(kinds(refusals.Refusal)), key=name)
FAULTS = sorted(set(kinds(errors.ServerFault)), key=name)


def answer(error: BaseException, language: str = "nl") -> tuple[web.Response, dict[str, Any]]:
    """The response and its members."""
    response = problem_response(error, None, language)
    assert isinstance(response.body, bytes)
    return response, json.loads(response.body)


@pytest.mark.parametrize("kind", REFUSALS)
def test_every_refusal_has_a_problem_of_its_own(kind: type[Exception]) -> None:
    """None falls through to 500; each has a status of the 4xx kind and a name that no other refusal has."""
    error = kind.__new__(kind)
    mine = kind_of(error)
    assert 400 <= mine.status < 500
    others = {kind_of(other.__new__(other)).name for other in kinds(refusals.Refusal) if other is not kind}
    assert mine.name not in others


@pytest.mark.parametrize("kind", FAULTS)
def test_a_server_that_is_down_is_503(kind: type[Exception]) -> None:
    """Come back later, with a time; which server it was stays inside."""
    response, members = answer(kind("amqps://user:pw@host"))
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert "pw" not in json.dumps(members)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        errors.UnsealFailed(SECRET),
        errors.Conflict(SECRET),
        errors.MessageFault(SECRET),
        web.HTTPBadRequest(text=SECRET),
        web.HTTPNotFound(text=SECRET),
        web.HTTPExpectationFailed(text=SECRET),
    ],
)
def test_nothing_inside_shows(error: Exception) -> None:
    """An error's own text goes out only when it is a refusal, written for the caller."""
    response, members = answer(error)
    assert SECRET not in json.dumps(members)
    assert response.status in (400, 404, 409, 500)


@pytest.mark.parametrize("language", ["nl", "en", "de", ""])
@pytest.mark.parametrize("error", [refusals.Malformed(), errors.StoreDown(), ValueError(), web.HTTPNotFound()])
def test_every_answer_carries_the_general_notice(error: Exception, language: str) -> None:
    """Whatever went wrong, the answer says to call 112 when it is urgent."""
    _, members = answer(error, language)
    assert "112" in members["notice"]["telephone"]
    assert "112" in members["notice"]["text"]


def test_the_fitting_notice_once_the_text_was_read() -> None:
    """An urgent text that could not be taken gets the notice of its topic; a calm one the general one."""
    _, general = answer(errors.StoreDown())
    _, urgent = answer(AfterReading(errors.StoreDown(), URGENT))
    response, calm = answer(AfterReading(Prohibited("threatening", Span("body", 3, 9)), CALM))
    assert urgent["notice"] != general["notice"]
    assert "112" in urgent["notice"]["text"]
    assert calm["notice"] == general["notice"]
    assert (response.status, calm["category"]) == (422, "threatening")
    assert calm["span"] == {"field": "body", "start": 3, "end": 9}


def test_the_shape_is_rfc_9457() -> None:
    """Type, title, status and detail; the media type; nothing may be cached."""
    response, members = answer(refusals.NotFound())
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert members["type"] == f"{TYPE_PREFIX}not-found"
    assert members["status"] == response.status == 404
    assert members["title"]
    assert members["detail"]


def test_headers_that_a_client_acts_on() -> None:
    """When to come back, how to log in, which methods there are."""
    assert answer(TooMany(17))[0].headers["Retry-After"] == "17"
    assert "Bearer" in answer(refusals.Unauthenticated())[0].headers["WWW-Authenticate"]
    response, members = answer(web.HTTPMethodNotAllowed("PUT", ["GET", "POST"]))
    assert (response.status, response.headers["Allow"]) == (405, "GET, POST")
    assert members["type"] == f"{TYPE_PREFIX}method-not-allowed"
