"""Who may not: every operation of contracts/openapi.yaml, tried by everybody who must not get through.

Generated from the contract, so a new operation is tried as soon as it is described; one that takes ids fails here until
tests/contract/asking.py says how to have something of somebody's.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from messaging_service.domain.roles import SCOPES_OF, Role, Scope
from tests.contract.asking import (
    MARK,
    OWNER,
    Operation,
    a_message,
    an_account_of,
    operations,
    patient,
    staff,
    things_of_the_owner,
)
from tests.contract.http_service import Answer, HttpService, http_service
from tests.integration.held_answers import DESCRIPTION, problem

EVERY = list(operations())
FOR_PATIENTS = [operation for operation in EVERY if operation.scope is None]
FOR_STAFF = [operation for operation in EVERY if operation.scope is not None]
WITH_IDS = [operation for operation in EVERY if operation.places]
LISTS = [operation for operation in EVERY if operation.method == "GET" and not operation.places]
WEAK = {"acr": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "amr": ["pwd"]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, shared by the tests of this file."""
    with http_service(tmp_path_factory.mktemp("service")) as running:
        yield running


FOR_EVERYBODY_LOGGED_IN = {"GET /v1/compose-notice", "GET /v1/export/notice"}
"""What says nothing of anybody."""
WHILE_BLOCKED = FOR_EVERYBODY_LOGGED_IN | {
    "GET /v1/terms",
    "GET /v1/account",
    "DELETE /v1/account",
    "POST /v1/account/misuse-reports",
    "GET /v1/account/notifications",
    "DELETE /v1/account/notifications",
}
"""What somebody who is blocked may still do: see that it is so, report misuse, leave, and want no more e-mail."""


def each(operations: list[Operation]) -> pytest.MarkDecorator:
    """One test for each operation."""
    return pytest.mark.parametrize("operation", operations, ids=[operation.name for operation in operations])


def who_may(service: HttpService, operation: Operation, tenant: str = "spijkenisse", number: str = OWNER) -> str:
    """A token that the operation takes."""
    if operation.scope is None:
        return patient(service, number, tenant)
    return staff(service, operation.roles()[0], operation.scope, tenant=tenant)


def is_let_in(answer: Answer) -> bool:
    """Whether more was looked at than who asks."""
    return answer.status not in (401, 403)


@each(EVERY)
def test_without_a_token(service: HttpService, operation: Operation) -> None:
    """No token, and one that has expired: 401."""
    kind = service.issuers if operation.scope is None else service.staff
    claims = {"patient_number": OWNER, "role": Role.OPS, "scope": operation.scope}
    for token in ("", kind["spijkenisse"].token("somebody", hours=-1, **claims)):
        assert problem(operation.ask(service, token)) == (401, "unauthenticated")


@each(EVERY)
def test_in_anothers_name(service: HttpService, operation: Operation) -> None:
    """A token in the right issuer's name that the other hospital, or the other kind of issuer, has signed: 401."""
    own, others = service.issuers, service.staff
    if operation.scope is not None:
        own, others = others, own
    claims = {"patient_number": OWNER, "role": Role.OPS, "scope": operation.scope}
    for signer in (own["sein"], others["spijkenisse"]):
        token = signer.token("somebody", iss=own["spijkenisse"].name, **claims)
        assert problem(operation.ask(service, token)) == (401, "unauthenticated")


@each(EVERY)
def test_a_weak_login(service: HttpService, operation: Operation) -> None:
    """A good token of a login that is weaker than the tenant asks: 403, with the levels that would do (RFC 9470)."""
    if operation.scope is None:
        answer = operation.ask(service, patient(service, OWNER, **WEAK))
        wanted = service.parts.tenants["spijkenisse"].identity.assurance.sufficient
        assert answer.json["acr_values"] == list(wanted)
        assert f'acr_values="{" ".join(wanted)}"' in answer.headers["www-authenticate"]
    else:
        answer = operation.ask(service, staff(service, operation.roles()[0], operation.scope, **WEAK))
    assert problem(answer) == (403, "insufficient-user-authentication")
    assert answer.headers["www-authenticate"].startswith('Bearer error="insufficient_user_authentication"')


@each(FOR_PATIENTS)
def test_staff_is_no_patient(service: HttpService, operation: Operation) -> None:
    """No role reads or writes as a patient, with all its scopes and with the patient's number in its token."""
    for role in Role:
        answer = operation.ask(service, staff(service, role, *Scope, patient_number=OWNER))
        assert problem(answer) == (403, "forbidden"), role


@each(FOR_STAFF)
def test_a_patient_is_no_staff(service: HttpService, operation: Operation) -> None:
    """A patient's token with a role and scopes in it opens nothing of staff's."""
    answer = operation.ask(service, patient(service, OWNER, role=operation.roles()[0], scope=" ".join(Scope)))
    assert problem(answer) == (403, "forbidden")


@each(FOR_STAFF)
@pytest.mark.parametrize("role", list(Role))
def test_every_scope_that_is_lacking(service: HttpService, operation: Operation, role: Role) -> None:
    """A role with every scope but the one needed, and one that never has it with them all: 403 insufficient-scope."""
    others = [scope for scope in Scope if scope is not operation.scope]
    given = others if role in operation.roles() else list(Scope)
    answer = operation.ask(service, staff(service, role, *given))
    assert problem(answer) == (403, "insufficient-scope")
    assert f'scope="{operation.scope}"' in answer.headers["www-authenticate"]


@each(FOR_STAFF)
def test_the_scope_alone_is_enough(service: HttpService, operation: Operation) -> None:
    """The one scope that the contract names is all that it takes, and some role has it."""
    assert operation.roles()
    for role in operation.roles():
        assert is_let_in(operation.ask(service, staff(service, role, operation.scope or Scope.OPEN_ALARMS))), role


@each(WITH_IDS)
def test_ids_of_others(service: HttpService, operation: Operation) -> None:
    """What is another tenant's or another patient's is not there; the same request finds it for whose it is."""
    ids = things_of_the_owner(service, operation)
    strangers = [who_may(service, operation, "sein")]
    if operation.scope is None:
        strangers.append(patient(service, "another"))
    for stranger in strangers:
        answer = operation.ask(service, stranger, ids)
        assert problem(answer) == (404, "not-found")
        assert not any(id.encode() in answer.body for id in ids.values())
    assert operation.ask(service, who_may(service, operation), ids).status < 300


@each([operation for operation in FOR_PATIENTS if operation.name not in FOR_EVERYBODY_LOGGED_IN])
def test_a_representative_whom_nobody_registered(service: HttpService, operation: Operation) -> None:
    """Who acts for the owner by the token alone is refused whatever they ask for."""
    ids = things_of_the_owner(service, operation) if operation.places else None
    answer = operation.ask(service, patient(service, OWNER, act={"sub": secrets.token_hex(8)}), ids)
    assert answer.status == 403, answer
    assert MARK.encode() not in answer.body


@each([operation for operation in FOR_PATIENTS if operation.name not in WHILE_BLOCKED])
def test_a_blocked_account(service: HttpService, operation: Operation) -> None:
    """Who is blocked reads and writes nothing, from the next request on, though the token goes on to hold."""
    ids = things_of_the_owner(service, operation) if operation.places else None
    number = secrets.token_hex(8)
    account = an_account_of(service, number)
    token = patient(service, number)
    moderator = staff(service, Role.MODERATOR, Scope.BLOCK_ACCOUNTS)
    path = f"/v1/accounts/{account}/block"
    assert service.send("PUT", path, token=moderator).status < 300
    assert problem(operation.ask(service, token, ids)) == (403, "account-blocked")


@each(LISTS)
def test_lists_of_others(service: HttpService, operation: Operation) -> None:
    """Nothing of one tenant's is in what another tenant, or another patient, is shown."""
    id = a_message(service)
    strangers = [who_may(service, operation, "sein")]
    if operation.scope is None:
        strangers.append(patient(service, "another"))
    for stranger in strangers:
        answer = operation.ask(service, stranger)
        assert answer.status == 200
        assert id.encode() not in answer.body
        assert MARK.encode() not in answer.body


READS_CONTENT = {"POST /v1/alarms/{id}/opening"}
"""Where staff sees what a patient wrote, since their work needs it."""


@each([operation for operation in FOR_STAFF if operation.name not in READS_CONTENT])
def test_staff_sees_no_content(service: HttpService, operation: Operation) -> None:
    """What the owner wrote is in no answer to any role whose work does not need it, whatever it asks."""
    a_message(service)
    ids = things_of_the_owner(service, operation) if operation.places else None
    for role in operation.roles():
        answer = operation.ask(service, staff(service, role, *Scope), ids)
        assert is_let_in(answer)
        assert MARK.encode() not in answer.body


def test_what_asks_for_no_token() -> None:
    """Health, metrics, the operations page's files and signed links; whatever else is described is for somebody."""
    open_to_all = {path for _, path, operation in DESCRIPTION.operations() if operation.get("security") == []}
    health = {"/health/live", "/health/ready", "/metrics"}
    assert open_to_all == health | {"/ops", "/ops/{file}", "/alarms/{link}"}


def test_every_scope_is_some_roles() -> None:
    """No scope that nobody can have, and no operation that nobody may do."""
    assert set(Scope) == {scope for scopes in SCOPES_OF.values() for scope in scopes}
