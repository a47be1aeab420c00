"""contracts/openapi.yaml and contracts/asyncapi.yaml as something to hold answers and messages against."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.contract.http_service import Answer

CONTRACTS = Path(__file__).parents[2] / "contracts"
PROBLEM = "application/problem+json"
EVENTS = "text/event-stream"
_NAME = "urn:description"


class Described:
    """A document with schemas in it, found by their place."""

    def __init__(self, path: Path) -> None:
        self.document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        self._registry: Any = Registry().with_resource(_NAME, DRAFT202012.create_resource(self.document))

    def at(self, *place: str) -> Any:
        """What stands at `place`, with references followed."""
        found: Any = self.document
        for step in place:
            found = self.followed(found[step])
        return found

    def followed(self, found: Any) -> Any:
        """`found`, or what it refers to."""
        while isinstance(found, dict) and "$ref" in found and len(found) == 1:
            found = self.at(*_steps(found["$ref"]))
        return found

    def errors(self, value: object, schema: Mapping[str, Any]) -> list[str]:
        """What is wrong with `value` after `schema`, which may refer to others in the document."""
        validator = Draft202012Validator(_absolute(schema), registry=self._registry, format_checker=FormatChecker())
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def _event(said: str) -> dict[str, str]:
    """A server-sent event by its fields (WHATWG HTML §9.2.6)."""
    return dict(line.split(": ", 1) for line in said.split("\n"))


def _absolute(schema: Any) -> Any:
    """`schema` with its references to the document made absolute, so that it may stand by itself."""
    if isinstance(schema, list):
        return [_absolute(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    own = {key: _absolute(item) for key, item in schema.items()}
    return {**own, "$ref": f"{_NAME}{own['$ref']}"} if str(own.get("$ref", "")).startswith("#") else own


def _steps(reference: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in reference.removeprefix("#/").split("/")]


class HttpDescription(Described):
    """The description of the HTTP API."""

    def __init__(self) -> None:
        super().__init__(CONTRACTS / "openapi.yaml")

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Method, path and what is said of them."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield method.upper(), path, operation

    def hold(self, method: str, path: str, answer: Answer) -> Answer:
        """Fail unless `answer` is one that is described for the operation; give it back."""
        described = self.at("paths", path, method.lower(), "responses")
        assert str(answer.status) in described, (method, path, answer)
        self.hold_response(self.followed(described[str(answer.status)]), answer)
        return answer

    def hold_response(self, response: Mapping[str, Any], answer: Answer) -> None:
        """Fail unless body and headers of `answer` are as `response` says."""
        kind = answer.headers["content-type"].partition(";")[0]
        text = "utf-8" if kind.startswith("text/") else "latin-1"
        values = [answer.json if "json" in kind else answer.body.decode(text)]
        if kind == EVENTS:
            values = [_event(said) for said in answer.body.decode().split("\n\n") if said and not said.startswith(":")]
        for value in values:
            assert self.errors(value, response["content"][kind]["schema"]) == []
        for name, header in response.get("headers", {}).items():
            if name.lower() not in answer.headers and not self.followed(header).get("required"):
                continue
            said = answer.headers[name.lower()]
            schema = self.followed(header)["schema"]
            assert self.errors(int(said) if schema.get("type") == "integer" else said, schema) == [], name

    def examples(self) -> Iterator[tuple[str, dict[str, Any], Any]]:
        """Where each example of a body stands, its schema and its value."""
        for method, path, operation in self.operations():
            contents = [(f"{method} {path}", operation.get("requestBody", {}).get("content", {}))]
            for status, response in operation["responses"].items():
                contents.append((f"{method} {path} {status}", self.followed(response)["content"]))
            contents += [("method-not-allowed", self.at("components", "responses", "MethodNotAllowed")["content"])]
            for place, content in contents:
                for media in content.values():
                    named = media.get("examples", {}).items()
                    values = {"": media["example"]} if "example" in media else {n: e["value"] for n, e in named}
                    for name, value in values.items():
                        yield f"{place} {name}", media["schema"], json.loads(json.dumps(value))


class EventDescription(Described):
    """The description of what travels through the queues and out by webhook."""

    def __init__(self) -> None:
        super().__init__(CONTRACTS / "asyncapi.yaml")

    def channel_of(self, address: str) -> dict[str, Any]:
        """The channel that has `address` with its parameters filled in."""
        (found,) = (c for c in self.document["channels"].values() if c["address"] and _fits(address, c["address"]))
        return dict(found)

    def hold(self, messages: Mapping[str, Any], name: str, headers: Mapping[str, Any], body: bytes) -> None:
        """Fail unless one of `messages` has that name and its headers and payload are as described."""
        candidates = [m for m in map(self.followed, messages.values()) if m["name"] == name]
        assert candidates, name
        wrong = [self.message_errors(message, headers, body) for message in candidates]
        assert [] in wrong, (name, wrong)

    def message_errors(self, message: Mapping[str, Any], headers: Mapping[str, Any], body: bytes) -> list[str]:
        """What is wrong with headers and body of a message."""
        said = [trait["headers"] for trait in map(self.followed, message.get("traits", [])) if "headers" in trait]
        wrong = [error for schema in said for error in self.errors(dict(headers), schema)]
        return wrong + self.errors(json.loads(body), message["payload"])


def _fits(address: str, template: str) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", r"[a-z0-9_-]+", re.escape(template))
    return re.fullmatch(pattern, address) is not None
