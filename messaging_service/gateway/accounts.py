"""/v1/accounts: the hospital's desk. The appointments office opens and closes, the moderator blocks, the coordinator
registers and confirms who represents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from messaging_service.application.callers import Staff
from messaging_service.application.ports import Actor
from messaging_service.application.represent import NewRepresentative
from messaging_service.domain.message import Identifier
from messaging_service.domain.refusals import IdentifierUnknown, NotFound
from messaging_service.domain.representative import Kind
from messaging_service.domain.roles import Scope
from messaging_service.gateway.account import account_answer, representative_in_path
from messaging_service.gateway.bodies import read_body
from messaging_service.gateway.context import CONTEXT, require

_ACCOUNT = re.compile(r"[0-9a-f]{32}")
_Name = Annotated[str, Meta(min_length=1, max_length=200)]
_Number = Annotated[str, Meta(pattern=r"^[!-~]{1,64}\Z")]


class Who(msgspec.Struct, forbid_unknown_fields=True):
    """Whose account: the patient's numbers, by identifier system."""

    identifiers: Annotated[Mapping[str, _Number], Meta(min_length=1, max_length=8)]


class NewAccount(Who, forbid_unknown_fields=True):
    """The body of POST /v1/accounts."""

    name: _Name


class RepresentativeToRegister(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /v1/accounts/{id}/representatives."""

    subject: Annotated[str, Meta(min_length=1, max_length=255)]
    name: _Name
    relation: Kind
    signs_care_plan: bool = False
    first_contact: bool = False
    patient_born_on: date | None = None


class Confirmation(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT /v1/accounts/{id}/representatives/{representative}/confirmation."""

    signs_care_plan: bool
    first_contact: bool


def add_routes(router: web.UrlDispatcher) -> None:
    """The routes of this resource."""
    one, representative = "/v1/accounts/{account}", "/v1/accounts/{account}/representatives/{representative}"
    router.add_post("/v1/accounts", post_account)
    router.add_post("/v1/account-searches", post_search)
    router.add_get(one, get_account)
    router.add_delete(one, delete_account)
    router.add_put(f"{one}/block", put_block)
    router.add_delete(f"{one}/block", delete_block)
    router.add_post(f"{one}/representatives", post_representative)
    router.add_delete(representative, delete_representative)
    router.add_put(f"{representative}/confirmation", put_confirmation)
    router.add_delete(f"{representative}/confirmation", delete_confirmation)


async def post_account(request: web.Request) -> web.Response:
    """Open a patient's account, or open it anew; a repeat changes nothing."""
    staff = await require(request, Scope.OPEN_ACCOUNTS)
    said = await read_body(request, NewAccount)
    administer, numbers = request.app[CONTEXT].administer, identifiers_of(staff, said.identifiers)
    return account_answer(await administer.open(staff.tenant, numbers, said.name, _by(request, staff)))


async def post_search(request: web.Request) -> web.Response:
    """The account of the patient with these numbers; they are sent in the body, since addresses end up in logs."""
    staff = await require(request, Scope.READ_ACCOUNTS)
    said = await read_body(request, Who)
    administer, numbers = request.app[CONTEXT].administer, identifiers_of(staff, said.identifiers)
    return account_answer(await administer.find(staff.tenant, numbers, _by(request, staff)))


async def get_account(request: web.Request) -> web.Response:
    """One account."""
    staff = await require(request, Scope.READ_ACCOUNTS)
    return account_answer(
        await request.app[CONTEXT].administer.show(staff.tenant, account_in_path(request), _by(request, staff))
    )


async def delete_account(request: web.Request) -> web.Response:
    """Close it, with every representative's access."""
    staff = await require(request, Scope.CLOSE_ACCOUNTS)
    return account_answer(
        await request.app[CONTEXT].administer.close(staff.tenant, account_in_path(request), _by(request, staff))
    )


async def put_block(request: web.Request) -> web.Response:
    """Block it, at once and without reasons (terms article 4.3)."""
    staff = await require(request, Scope.BLOCK_ACCOUNTS)
    return account_answer(
        await request.app[CONTEXT].administer.block(staff.tenant, account_in_path(request), _by(request, staff))
    )


async def delete_block(request: web.Request) -> web.Response:
    """Unblock it."""
    staff = await require(request, Scope.BLOCK_ACCOUNTS)
    administer = request.app[CONTEXT].administer
    return account_answer(await administer.unblock(staff.tenant, account_in_path(request), _by(request, staff)))


async def post_representative(request: web.Request) -> web.Response:
    """Register who acts for the patient; a repeat changes nothing."""
    staff = await require(request, Scope.REGISTER_REPRESENTATIVES)
    said = await read_body(request, RepresentativeToRegister)
    new = NewRepresentative(
        subject=said.subject,
        name=said.name,
        relation=said.relation,
        signs_care_plan=said.signs_care_plan,
        first_contact=said.first_contact,
        birth=said.patient_born_on,
    )
    represent = request.app[CONTEXT].represent
    return account_answer(await represent.register(staff.tenant, account_in_path(request), new, _by(request, staff)))


async def delete_representative(request: web.Request) -> web.Response:
    """End a representative's access."""
    staff = await require(request, Scope.REGISTER_REPRESENTATIVES)
    represent, which = request.app[CONTEXT].represent, representative_in_path(request)
    return account_answer(await represent.end(staff.tenant, account_in_path(request), which, _by(request, staff)))


async def put_confirmation(request: web.Request) -> web.Response:
    """What is so of a representative now; one who may act is active again (terms SEIN, articles 2.2 and 4.4)."""
    staff = await require(request, Scope.CONFIRM_REPRESENTATIVES)
    said = await read_body(request, Confirmation)
    view = await request.app[CONTEXT].represent.confirm(
        staff.tenant,
        account_in_path(request),
        representative_in_path(request),
        signs_care_plan=said.signs_care_plan,
        first_contact=said.first_contact,
        by=_by(request, staff),
    )
    return account_answer(view)


async def delete_confirmation(request: web.Request) -> web.Response:
    """Suspend a representative until it is confirmed again (terms SEIN, article 4.4)."""
    staff = await require(request, Scope.CONFIRM_REPRESENTATIVES)
    represent, which = request.app[CONTEXT].represent, representative_in_path(request)
    return account_answer(await represent.suspend(staff.tenant, account_in_path(request), which, _by(request, staff)))


def account_in_path(request: web.Request) -> str:
    """The id that the path names. Raises NotFound when it has not the shape of one."""
    id = request.match_info["account"]
    if not _ACCOUNT.fullmatch(id):
        raise NotFound
    return id


def identifiers_of(staff: Staff, given: Mapping[str, str]) -> tuple[Identifier, ...]:
    """In the tenant's order: a patient is known by the first."""
    systems = staff.tenant.identity.identifiers
    if next(iter(systems)) not in given or not set(given) <= set(systems):
        raise IdentifierUnknown(f"it knows {', '.join(systems)}, and needs {next(iter(systems))}")
    return tuple(Identifier(system, given[system]) for system in systems if system in given)


def _by(request: web.Request, staff: Staff) -> Actor:
    return request.app[CONTEXT].administer.by(staff)
