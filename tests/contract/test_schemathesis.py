"""The gateway held to its OpenAPI by schemathesis: generated requests, good and bad, with a token and without.

By default the same requests every time, about half a minute of them. MESSAGING_FUZZ_EXAMPLES=2000 tries that many other
ones on each operation.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case

from messaging_service.domain.roles import SCOPES_OF
from tests.contract.description import CONTRACTS
from tests.contract.http_service import HttpService, http_service

ASKED_FOR = os.environ.get("MESSAGING_FUZZ_EXAMPLES")
CONFIG = {
    "generation": {"with-security-parameters": False},  # the tests say who asks
    "checks": {
        # what JSON Schema cannot say: bytes in UTF-8 (413), and which departments and words there are (422)
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "413", "422"]},
        "negative_data_rejection": {"expected-statuses": ["400", "401", "404", "405", "413", "415"]},
    },
    "operations": [
        {  # what JSON Schema cannot say: a cursor is one that an earlier answer gave (400)
            "include-operation-id": ["listThreads", "getThread"],
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404"]}},
        }
    ],
}
api = schemathesis.openapi.from_path(CONTRACTS / "openapi.yaml", config=schemathesis.Config.from_dict(CONFIG))
tried = settings(
    max_examples=int(ASKED_FOR or 60),
    derandomize=ASKED_FOR is None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
tried_less = settings(tried, max_examples=int(ASKED_FOR or 15))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpService]:
    """The whole service, shared by the tests of this file."""
    with http_service(tmp_path_factory.mktemp("service")) as running:
        yield running


def headers(service: HttpService, case: Case[Any]) -> dict[str, str]:
    """A token that is accepted: of staff where that is asked, else of a patient.

    An account may be closed by what is tried on it, so each operation has its own patient's.
    """
    operation = case.operation.definition.raw
    for scopes in (security["staff"] for security in operation.get("security", []) if "staff" in security):
        role = next(role for role, allowed in SCOPES_OF.items() if set(scopes) <= allowed)
        return {"Authorization": f"Bearer {service.staff_token(role, *scopes)}"}
    own = f"fuzz-{operation['operationId']}" if case.path.startswith("/v1/account") else "fuzz"
    return {"Authorization": f"Bearer {service.token(own)}"}


# by exclusion alone: beside the configuration's own `operations` schemathesis 4.32 heeds no include
@api.exclude(path_regex="^/(?!v1/account|v1/ops|alarms)").parametrize()
@tried_less
def test_accounts_and_operations_with_token(case: Case[Any], service: HttpService) -> None:
    """The same of accounts, the desk's work on them, and what operations see and mend."""
    case.call_and_validate(base_url=service.url, headers=headers(service, case))


@api.exclude(path_regex="^/(v1/account|v1/ops|ops|alarms)").parametrize()
@tried
def test_with_token(case: Case[Any], service: HttpService) -> None:
    """Every answer is described, and what the description allows is what is accepted."""
    case.call_and_validate(base_url=service.url, headers=headers(service, case))


@api.exclude(path_regex="^/(?!v1/)").parametrize()
@tried_less
def test_without_token(case: Case[Any], service: HttpService) -> None:
    """Whatever is asked, nobody without a token gets anything but a described refusal."""
    case.headers.pop("Authorization", None)
    answer = case.call_and_validate(base_url=service.url)
    assert answer.status_code in (401, 405)


def test_following_links(service: HttpService) -> None:
    """What a 202 links to is there: its message and its thread, in any order of requests."""

    class Workflow(api.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            return {"base_url": service.url, "headers": headers(service, case)}

    Workflow.run(settings=settings(tried, max_examples=tried.max_examples // 4, stateful_step_count=6))
