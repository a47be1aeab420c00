"""Every operation of contracts/openapi.yaml that asks for a token, and how to ask it about something of somebody's."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from messaging_service.application.account_view import AccountView
from messaging_service.application.codec import outgoing
from messaging_service.application.park import Park
from messaging_service.application.ports import Actor
from messaging_service.application.represent import NewRepresentative
from messaging_service.application.topology import notify_queue
from messaging_service.bootstrap.administering import make_administer, make_represent
from messaging_service.domain.events import MessageFiled
from messaging_service.domain.message import Identifier
from messaging_service.domain.representative import Kind
from messaging_service.domain.roles import SCOPES_OF, Role, Scope
from tests.contract.description import HttpDescription
from tests.contract.http_service import SHORT, URGENT, Answer, HttpService

DESCRIPTION = HttpDescription()
OWNER = "owner"
"""The number of the patient of spijkenisse whose things the others ask for."""
DESK = Actor("desk", "coordinator", "role")
MARK = "ooievaarsnest"
"""Stands in what the owner wrote."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `scope` is None where it is for patients. `places` are where it takes ids, as (in, name).

    `needed` is the query without which it cannot be asked, by the contract's examples.
    """

    method: str
    path: str
    scope: Scope | None
    places: tuple[tuple[str, str], ...]
    body: Any
    needed: str = ""

    @property
    def name(self) -> str:
        """As tests list it."""
        return f"{self.method} {self.path}"

    def roles(self) -> list[Role]:
        """The roles that may do it."""
        return [role for role in Role if self.scope in SCOPES_OF[role]]

    def ask(self, service: HttpService, token: str, ids: Mapping[tuple[str, str], str] | None = None) -> Answer:
        """The answer to one request about `ids`, or about things that are nowhere; held against the description."""
        path, query, body = self.path, self.needed, self.body
        for place in self.places:
            id = (ids or {}).get(place, "A" * 26)
            where, name = place
            if where == "path":
                path = path.replace(f"{{{name}}}", id)
            elif ids is not None and where == "query":
                query += f"{'&' if query else '?'}{name}={id}"
            elif ids is not None:
                body = {**body, name: id}
        answer = service.send(self.method, path + query, message=body, token=token)
        return DESCRIPTION.hold(self.method, self.path, answer)


def operations() -> Iterator[Operation]:
    """All that ask for a token. Fails on one that these tests cannot ask, and says what is missing."""
    for method, path, operation in DESCRIPTION.operations():
        for needed in operation.get("security", DESCRIPTION.document["security"]):
            ((scheme, scopes),) = needed.items()
            if scheme == "ticket":  # its holder is whoever asked for it; tests/integration/test_events.py
                continue
            assert scheme in ("patient", "staff"), f"{method} {path}: teach asking.py the scheme {scheme}"
            assert len(scopes) == (scheme == "staff"), f"{method} {path}: name the one scope that staff needs"
            scope = Scope(scopes[0]) if scopes else None
            places, needed = tuple(_places(path, operation)), _needed(operation)
            yield Operation(method, path, scope, places, _body(method, path, operation), needed)


def _places(path: str, operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    id = DESCRIPTION.at("components", "schemas", "Id")["pattern"]
    shared = DESCRIPTION.document["paths"][path].get("parameters", [])
    for parameter in map(DESCRIPTION.followed, [*shared, *operation.get("parameters", [])]):
        if parameter["in"] == "path" or DESCRIPTION.followed(parameter["schema"]).get("pattern") == id:
            yield parameter["in"], parameter["name"]
    for media in operation.get("requestBody", {}).get("content", {}).values():
        for name, member in DESCRIPTION.followed(media["schema"]).get("properties", {}).items():
            if DESCRIPTION.followed(member).get("pattern") == id:
                yield "body", name


def _needed(operation: Mapping[str, Any]) -> str:
    """The required parameters of its query, each with its example."""
    parameters = map(DESCRIPTION.followed, operation.get("parameters", []))
    needed = {p["name"]: p["example"] for p in parameters if p["in"] == "query" and p.get("required")}
    return f"?{urlencode(needed)}" if needed else ""


def _body(method: str, path: str, operation: Mapping[str, Any]) -> Any:
    """The contract's own example of a body."""
    if "requestBody" not in operation:
        return None
    media = operation["requestBody"]["content"]["application/json"]
    assert "example" in media or "examples" in media, f"{method} {path}: give its body an example"
    return media["example"] if "example" in media else next(iter(media["examples"].values()))["value"]


def a_message(service: HttpService) -> str:
    """The id of a filed message of the owner's, which is its thread's as well."""
    token = service.token(OWNER)
    id = str(service.post({**SHORT, "body": f"Over het {MARK}."}, token=token).json["id"])
    service.filed(id, token=token)
    return id


def an_alarm(service: HttpService) -> str:
    """The id of an urgent message of the owner's."""
    token = service.token(OWNER)
    id = str(service.post({**SHORT, "body": f"{URGENT}, over het {MARK}."}, token=token).json["id"])
    service.filed(id, token=token)
    return id


def a_parked_message(service: HttpService) -> str:
    """The id of a parked one: the news that a message of the owner's was filed, which the portal did not take."""
    id = a_message(service)
    event = MessageFiled(id, "spijkenisse", id, 0)
    envelope = outgoing(notify_queue("spijkenisse"), event, {"reason": "gone"}).envelope
    parts = service.parts
    park = Park(tenants=parts.tenants, store=parts.store, threads=parts.threads, clock=parts.clock)
    service.run(park(envelope))
    return f"{id}.notify"


def an_account(service: HttpService) -> str:
    """The id of an account of spijkenisse's; of a patient of its own, since it may be closed."""
    return _opened(service, secrets.token_hex(8)).id


def an_account_of(service: HttpService, number: str) -> str:
    """The id of the account of the patient of spijkenisse's with that number."""
    return _opened(service, number).id


def a_representative(service: HttpService) -> str:
    """The id of the owner's parent, who the owner, of 13, may allow to write."""
    return _with_parent(service, OWNER)[1]


def one_represented(service: HttpService) -> dict[str, str]:
    """The ids of an account of a patient of its own, and of its representative."""
    return dict(zip(("account", "representative"), _with_parent(service, secrets.token_hex(8)), strict=True))


def _opened(service: HttpService, number: str) -> AccountView:
    tenant, desk = service.parts.tenants["spijkenisse"], make_administer(service.parts)
    return service.run(desk.open(tenant, (Identifier("local", number),), "A. Jansen", DESK))


def _with_parent(service: HttpService, number: str) -> tuple[str, str]:
    tenant, represent, account = (
        service.parts.tenants["spijkenisse"],
        make_represent(service.parts),
        _opened(service, number),
    )
    for each in account.representatives:
        service.run(represent.end(tenant, account.id, each.id, DESK))
    born = date.today().replace(day=1) - timedelta(days=13 * 366)
    new = NewRepresentative(secrets.token_hex(8), "B. Jansen", Kind.PARENT, False, False, born)
    found = service.run(represent.register(tenant, account.id, new, DESK))
    return account.id, found.representatives[0].id


HAVING: dict[tuple[str, str, str], Callable[[HttpService], str]] = {
    ("/v1/alarms/{id}/acknowledgement", "path", "id"): an_alarm,
    ("/v1/alarms/{id}/opening", "path", "id"): an_alarm,
    ("/v1/messages", "body", "thread"): a_message,
    ("/v1/messages/{id}", "path", "id"): a_message,
    ("/v1/messages/{id}/handling", "path", "id"): a_message,
    ("/v1/threads/{id}", "path", "id"): a_message,
    ("/v1/threads/{id}/status", "path", "id"): a_message,
    ("/v1/threads/{id}/read", "path", "id"): a_message,
    ("/v1/threads/{id}/read", "body", "message"): a_message,
    ("/v1/threads/{id}/care-team-status", "path", "id"): a_message,
    ("/v1/threads/{id}/receipts", "path", "id"): a_message,
    ("/v1/threads/{id}/receipts", "body", "message"): a_message,
    ("/v1/threads/{id}/privacy", "path", "id"): a_message,
    ("/v1/ops/messages/{id}", "path", "id"): a_message,
    ("/v1/ops/parked/{parked}/replay", "path", "parked"): a_parked_message,
    ("/v1/ops/parked/{parked}/closing", "path", "parked"): a_parked_message,
    ("/v1/ops/parked/{parked}/owner", "path", "parked"): a_parked_message,
    ("/v1/account/representatives/{representative}", "path", "representative"): a_representative,
    ("/v1/account/representatives/{representative}/consent", "path", "representative"): a_representative,
    ("/v1/accounts/{account}", "path", "account"): an_account,
    ("/v1/accounts/{account}/block", "path", "account"): an_account,
    ("/v1/accounts/{account}/personal-data", "path", "account"): an_account,
    ("/v1/accounts/{account}/representatives", "path", "account"): an_account,
}
"""How to have something of the owner's at each place that takes an id: path, where in the request, name."""


def things_of_the_owner(service: HttpService, operation: Operation) -> dict[tuple[str, str], str]:
    """Something of the owner's for each place of the operation; one thing where several places want the same kind."""
    made: dict[Callable[[HttpService], str], str] = {}
    found = {}
    if {name for _, name in operation.places} == {"account", "representative"}:
        ids = one_represented(service)
        return {place: ids[place[1]] for place in operation.places}
    for place in operation.places:
        key = (operation.path, *place)
        assert key in HAVING, f"{operation.name}: say in tests/contract/asking.py HAVING how to have one at {place}"
        if HAVING[key] not in made:
            made[HAVING[key]] = HAVING[key](service)
        found[place] = made[HAVING[key]]
    return found


def patient(service: HttpService, number: str, tenant: str = "spijkenisse", **claims: Any) -> str:
    """A patient's token; of a subject of its own where the tenant's limit on requests is low."""
    subject = {} if tenant == "spijkenisse" else {"sub": secrets.token_hex(8)}
    return service.token(number, tenant, **{**subject, **claims})


def staff(service: HttpService, role: Role, *scopes: Scope, tenant: str = "spijkenisse", **claims: Any) -> str:
    """A token of staff, of a subject of its own."""
    return service.staff_token(role, *scopes, tenant=tenant, **{"sub": secrets.token_hex(8), **claims})
