"""contracts/openapi.yaml: valid, complete, and true of the gateway's routes, problems and lexicon."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from openapi_spec_validator import validate

from messaging_service.gateway import problems
from messaging_service.gateway.app import build_app
from messaging_service.gateway.new_message import NewMessage
from messaging_service.screening.screener import Screener
from tests.contract.description import PROBLEM, HttpDescription

DESCRIPTION = HttpDescription()
EXAMPLES = list(DESCRIPTION.examples())
NOTHING = cast(Any, SimpleNamespace(max_body=16_384, checks=None, tenants={}, traces=None))
"""Enough of a context to lay out the routes."""


def _described_problems() -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for _, _, value in EXAMPLES:
        if "type" in value:
            found.setdefault(value["type"].removeprefix(problems.TYPE_PREFIX), set()).add(value["status"])
    return found


def test_valid() -> None:
    """The description is valid OpenAPI 3.1."""
    assert DESCRIPTION.document["openapi"].startswith("3.1.")
    validate(DESCRIPTION.document)


def test_routes() -> None:
    """Every route of the gateway is described, and every operation described is a route."""
    routes = {
        (route.method, route.resource.canonical)
        for route in build_app(NOTHING).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert routes == {(method, path) for method, path, _ in DESCRIPTION.operations()}


def test_problems() -> None:
    """Every problem type that the gateway can answer has an example, with its status; there are no others."""
    kinds = [*problems._KINDS.values(), problems._METHOD, problems._INTERNAL]
    assert _described_problems() == {kind.name: {kind.status} for kind in kinds}


def test_titles() -> None:
    """The examples' titles are those that the gateway says."""
    kinds = [*problems._KINDS.values(), problems._METHOD, problems._INTERNAL]
    titles = {kind.name: kind.title for kind in kinds}
    for place, _, value in EXAMPLES:
        if "type" in value:
            assert value["title"] == titles[value["type"].removeprefix(problems.TYPE_PREFIX)], place


@pytest.mark.parametrize(("schema", "value"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_examples(schema: dict[str, Any], value: Any) -> None:
    """Every example is what its own schema asks for."""
    assert DESCRIPTION.errors(value, schema) == []


def test_every_error_carries_the_notice() -> None:
    """Each error answer of the v1 API is a problem, and no problem is described that has no notice."""
    for method, path, operation in DESCRIPTION.operations():
        for status, response in operation["responses"].items():
            if path.startswith("/v1/") and int(status) >= 400:
                assert list(DESCRIPTION.followed(response)["content"]) == [PROBLEM], (method, path, status)
    for place, schema, value in EXAMPLES:
        if "type" in value:
            bare = {name: member for name, member in value.items() if name != "notice"}
            assert DESCRIPTION.errors(bare, schema) != [], place


def test_categories() -> None:
    """Every category that the shipped lexicon refuses for is one that portals were told of."""
    described = DESCRIPTION.at("components", "schemas", "Prohibited")["allOf"][1]["properties"]["category"]["enum"]
    refusing = {rule.topic for rule in Screener.load().lexicon.rules if rule.kind == "prohibited"}
    assert refusing <= set(described)


def test_new_message() -> None:
    """Members, defaults, patterns and limits of a message are the same in the description and in the code."""
    described = DESCRIPTION.at("components", "schemas", "NewMessage")
    own = msgspec.json.schema(NewMessage)["$defs"]["NewMessage"]
    assert described["additionalProperties"] is own["additionalProperties"] is False
    assert set(described["required"]) == set(own["required"])
    assert set(described["properties"]) == set(own["properties"])
    for name, member in own["properties"].items():
        member = {**member, **member.get("anyOf", [{}])[0]}
        there = described["properties"][name]
        theirs = {**DESCRIPTION.followed({"$ref": there["$ref"]} if "$ref" in there else {}), **there}
        assert theirs.get("default") == member.get("default"), name
        assert theirs.get("maxLength") == member.get("maxLength", 16_384 if name == "body" else None), name
        assert theirs.get("pattern") == _in_other_dialect(member.get("pattern")), name


def _in_other_dialect(pattern: str | None) -> str | None:
    """A pattern of Python's as ECMA-262 writes it."""
    return pattern and pattern.replace("\\x", "\\u00").replace("\\Z", "$")
